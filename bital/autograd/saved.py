"""Hooks on what the graph keeps: `torch.autograd.graph.saved_tensors_hooks` and its uses.

Room: autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.tensor.node import Node, hooks, output_of
from bital.tensor.tensor import Tensor, detached

_stack: list[tuple[Callable, Callable]] = []
_disabled: list[str] = []


class Packed:
    """What a pack hook made of a saved tensor, to be unpacked when backward asks for it."""

    __slots__ = ("packed", "unpack_hook", "edge", "output")

    def __init__(self, tensor: Tensor) -> None:
        pack, self.unpack_hook = _stack[-1]
        self.edge = tensor._edge
        self.output: int | None = None  # which result of its own node this is
        storage, version = tensor._storage, tensor._storage.version
        self.packed = pack(detached(tensor) if tensor._edge is not None else tensor)
        if storage.version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook can not be modified by in-place operations as this can lead "
                "to unexpected side-effects. Please open an issue if you need to perform in-place "
                "operations on the input to a pack hook."
            )

    def unpack(self, node: Node) -> Tensor:
        tensor = self.unpack_hook(self.packed)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(tensor).__name__}"
            )
        edge = self.edge
        if self.output is not None:
            edge = node if node.outputs == 1 else output_of(node, self.output)
        if edge is not None:
            tensor = detached(tensor)
            tensor._edge = edge
        return tensor


class saved_tensors_hooks:
    """Inside the block, saved tensors go through `pack_hook` and come back by `unpack_hook`."""

    def __init__(
        self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]
    ) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _disabled:
            raise RuntimeError(_disabled[-1])
        _stack.append((self.pack_hook, self.unpack_hook))
        hooks.set(pack=Packed)

    def __exit__(self, *exc: object) -> None:
        _stack.pop()
        hooks.set(pack=Packed if _stack else None)


class save_on_cpu(saved_tensors_hooks):
    """Saved tensors are kept on the CPU, where they already are: copies without sharing."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: t.clone(), lambda t: t)


class disable_saved_tensors_hooks:
    """Inside the block, `saved_tensors_hooks` raises RuntimeError with the given message."""

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        _disabled.append(self.error_message)

    def __exit__(self, *exc: object) -> None:
        _disabled.pop()
