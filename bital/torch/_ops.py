"""torch.ops: PyTorch's operators by the names that they have inside it.

`torch.ops.aten.name` is a function; its overloads (`.default`, `.Tensor`, …) are the function
itself, which tells them apart by its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.ops.api import NAMESPACES


class OpOverloadPacket:
    """An operator with all its overloads."""

    def __init__(self, name: str, fn: Callable) -> None:
        self.__name__ = name
        self._fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._fn(*args, **kwargs)

    def __getattr__(self, overload: str) -> Any:
        if overload.startswith("_"):
            raise AttributeError(overload)
        return self

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"


class _Namespace:
    """`torch.ops.aten`: what only it has, and the functions of `torch`."""

    def __getattr__(self, name: str) -> OpOverloadPacket:
        for place in ("ops.aten", "torch"):
            fn = NAMESPACES.get(place, {}).get(name)
            if fn is not None:
                packet = OpOverloadPacket(name, fn)
                setattr(self, name, packet)
                return packet
        raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")


class _UserNamespace:
    """Operators of a program's own, by the names that `torch.library.custom_op` gave them."""


class _Ops:
    """`torch.ops`."""

    aten = _Namespace()

    def namespace(self, name: str) -> _UserNamespace:
        """The namespace of that name for a program's operators, made when it is first needed."""
        if name == "aten":
            raise RuntimeError("the namespace 'aten' is PyTorch's own: name another")
        if name not in vars(self):
            setattr(self, name, _UserNamespace())
        return vars(self)[name]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'_OpNamespace' object has no attribute '{name}': bital has aten")


ops = _Ops()
