"""Node: what backward keeps of an operation.

Room: tensor. Nodes carry PyTorch's names (`AddBackward0`) and point at the nodes of their inputs
through `edges`. The engine in the autograd room walks them; here is what they keep and how they
turn gradients of results into gradients of inputs.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from bital.base.errors import Unsupported
from bital.ir.op import INPUT, OUTPUT, PARAM, Op, Spec, Vjp
from bital.ir.trace import user_line

_next_number = itertools.count().__next__


class Extra:
    """What few nodes have: hooks, several results, a kept line, the user's metadata."""

    __slots__ = ("outputs", "hooks", "pre_hooks", "tensor_hooks", "retained", "line", "metadata")

    def __init__(self) -> None:
        self.outputs = 1
        self.hooks: dict = {}
        self.pre_hooks: dict = {}
        self.tensor_hooks: dict = {}  # those of tensors; they run before the node's own
        self.retained: dict = {}  # output index -> what keeps its gradient
        self.line: tuple | None = None
        self.metadata: dict = {}


class Node:
    """One step of the backward graph, `tensor.grad_fn`.

    `edges` holds per input the node its gradient goes to, an Output of it, or None, and `metas`
    what that gradient must look like; `number` grows with creation, so that consumers have larger
    numbers than what they consume. `extra` is None for most nodes.
    """

    __slots__ = ("edges", "metas", "number", "extra", "__weakref__")
    __module__ = "torch.autograd"

    def __init__(self, edges: tuple, metas: tuple) -> None:
        self.edges = edges
        self.metas = metas
        self.number = _next_number()
        self.extra: Extra | None = None
        if hooks.keep_lines:
            self.more().line = user_line()

    def more(self) -> Extra:
        """The node's Extra, made when first asked for."""
        if self.extra is None:
            self.extra = Extra()
        return self.extra

    @property
    def outputs(self) -> int:
        """How many results the operation has."""
        return 1 if self.extra is None else self.extra.outputs

    def apply(self, g: Any) -> list:
        """The gradients of the inputs, aligned with `edges`, from those of the results."""
        raise NotImplementedError

    def release(self) -> None:
        """Forget what was kept for backward."""

    def name(self) -> str:
        return type(self).__name__

    @property
    def next_functions(self) -> tuple:
        return tuple(
            (None, 0) if e is None else (e.node, e.index) if type(e) is Output else (e, 0)
            for e in self.edges
        )

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's own use."""
        return self.more().metadata

    def register_hook(self, fn: Callable) -> Handle:
        """Call `fn(grad_inputs, grad_outputs)` after the node has run; it may return new ones."""
        return Handle(self.more().hooks, fn)

    def register_prehook(self, fn: Callable) -> Handle:
        """Call `fn(grad_outputs)` before the node runs; it may return new ones."""
        return Handle(self.more().pre_hooks, fn)

    def _sequence_nr(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"


class Output:
    """Result `index` of a node with several results, as an edge."""

    __slots__ = ("node", "index")

    def __init__(self, node: Node, index: int) -> None:
        self.node, self.index = node, index


class Handle:
    """What a `register_…` call returns: `remove()` takes the hook away again."""

    __slots__ = ("hooks", "id")
    _ids = itertools.count()

    def __init__(self, hooks: dict, fn: Callable) -> None:
        self.hooks, self.id = hooks, next(Handle._ids)
        hooks[self.id] = fn

    def remove(self) -> None:
        self.hooks.pop(self.id, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds the gradient to `.grad`."""

    __slots__ = ("_variable", "tensor_hooks", "post_hooks")

    def __init__(self, variable: Any) -> None:
        super().__init__((), ())
        self._variable = weakref.ref(variable)
        self.tensor_hooks: dict | None = None
        self.post_hooks: dict | None = None

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def variable(self) -> Any:
        """The leaf, or None when nobody holds it any more."""
        return self._variable()


SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


class OpNode(Node):
    """The node of a declared operator: its Spec, its gradient rule, and what that rule needs."""

    __slots__ = ("spec", "vjp", "saved", "params")
    op: Op

    def __init__(self, edges: tuple, spec: Spec, vjp: Vjp, tensors: tuple, params: tuple) -> None:
        self.edges = edges
        self.metas = spec.metas
        self.number = _next_number()
        self.extra = None
        self.spec = spec
        self.vjp = vjp
        self.params = params
        if hooks.active:
            self._keep_by_hooks(tensors)
        else:
            self.saved: Any = vjp.keep(tensors)

    def _keep_by_hooks(self, tensors: tuple) -> None:
        """Off the hot path: pack hooks are on, or lines are wanted."""
        if hooks.keep_lines:
            self.more().line = user_line()
        pack = hooks.pack
        if pack is None:
            self.saved = self.vjp.keep(tensors)
        else:
            self.saved = [pack(tensors[i]) if kind is INPUT else None for kind, i in self.vjp.saves]

    @property
    def next_functions(self) -> tuple:
        return super().next_functions + ((None, 0),) * self.op.empty_edges

    def keep_output(self, k: int, tensor: Any) -> None:
        """Keep result `k` where the rule asks for it, without a cycle through the tensor."""
        if (OUTPUT, k) in self.vjp.saves:
            self.saved[self.vjp.saves.index((OUTPUT, k))] = (
                SavedOutput(tensor, k) if hooks.pack is None else hooks.pack(tensor.detach())
            )

    def unpack(self) -> list:
        """The kept tensors, after checking that nothing was overwritten."""
        saved = self.saved
        if saved is None:
            raise RuntimeError(SECOND_TIME)
        tensors = []
        for kept in saved:
            if kept.__class__ is tuple:
                tensor, version = kept
                if tensor._storage.version != version:
                    raise_modified(tensor, self, tensor._storage.version, version)
                tensors.append(tensor)
            else:
                tensors.append(kept.unpack(self))
        return tensors

    def apply(self, g: Any) -> list:
        return self.vjp.run(self, g)

    def release(self) -> None:
        if self.vjp.saves:
            self.saved = None

    def __getattr__(self, name: str) -> Any:
        """PyTorch's `_saved_…`: the operand, result, scalar or attribute of that name."""
        if not name.startswith("_saved_"):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        op = self.spec.op
        wanted = name[7:]
        sizes = wanted.endswith("_sym_sizes")
        wanted = wanted.removesuffix("_sym_sizes")
        place = op.locate({"self": op.inputs[0], "result": "out"}.get(wanted, wanted))
        if sizes and place[0] == INPUT:
            return self.spec.metas[place[1]].shape
        if place in self.vjp.saves:
            return self.unpack()[self.vjp.saves.index(place)]
        if place[0] == PARAM:
            return self.params[place[1]]
        if place[0] <= OUTPUT:
            return None
        if place[1] in self.spec.attrs:
            return self.spec.attrs[place[1]]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


class SavedOutput:
    """A result kept for its own node's rule: its storage and place, not the tensor itself."""

    __slots__ = ("storage", "version", "meta", "view", "index")

    def __init__(self, tensor: Any, index: int) -> None:
        self.index = index
        self.storage, self.version = tensor._storage, tensor._storage.version
        self.meta, self.view = tensor._meta, tensor._view

    def unpack(self, node: Node) -> Any:
        if self.storage.version != self.version:
            raise_modified(self, node, self.storage.version, self.version)
        tensor = hooks.rebuild(self.storage, self.meta, self.view)
        tensor._edge = node if node.outputs == 1 else Output(node, self.index)
        return tensor


def raise_modified(kept: Any, node: Node, now: int, expected: int) -> None:
    """PyTorch's error for a saved tensor that an in-place operation has overwritten."""
    meta = kept._meta if hasattr(kept, "_meta") else kept.meta
    edge = getattr(kept, "_edge", None)
    origin = edge.node if type(edge) is Output else edge
    index = edge.index if type(edge) is Output else 0
    if isinstance(kept, SavedOutput):
        origin = node
    which = ""
    if origin is not None and not isinstance(origin, AccumulateGrad):
        which = f", which is output {index} of {origin.name().partition('Backward')[0]},"
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [torch.{meta.dtype.legacy_name}Tensor {list(meta.shape)}]{which} is at "
        f"version {now}; expected version {expected} instead. Hint: enable anomaly detection to "
        "find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )


class _Hooks:
    """What other modules give: saved-tensor hooks, and how a tensor is made of its parts."""

    pack: Callable | None = None  # tensor -> object with unpack(node)
    keep_lines = False  # anomaly detection wants to name the user's line of every node
    active = False  # either of the two
    rebuild: Callable
    zeros: Callable  # meta -> tensor
    rebase: Callable  # tensor, edge: the tensor was written in place

    def set(self, **changes: Any) -> None:
        """Change `pack` or `keep_lines`."""
        self.__dict__.update(changes)
        self.active = self.pack is not None or self.keep_lines


hooks = _Hooks()


def node_class(op: Op) -> type[OpNode]:
    """The class of an operator's nodes, named as PyTorch names it."""
    if op.node_class is None:
        op.node_class = type(
            op.grad_fn, (OpNode,), {"__slots__": (), "op": op, "__module__": "torch.autograd"}
        )
    return op.node_class


def not_differentiable(name: str) -> Unsupported:
    return Unsupported(f"bital has no gradient for '{name}' yet")
