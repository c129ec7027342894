"""Forward-mode differentiation by dual tensors (`torch.autograd.forward_ad`).

Room: autograd. A dual tensor is an alias whose node knows the tangent; what is computed of it is
recorded as for backward, and the derivative of a result is computed when it is unpacked.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from bital.autograd.mode import set_mode
from bital.autograd.tape import PassedOn, Pushforward, reaches_beyond
from bital.autograd.transforms import check_tangent
from bital.ir.trace import local
from bital.tensor.node import Node
from bital.tensor.tensor import Tensor, detached, edge_of


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns: the tensor, and its derivative or None."""

    primal: Tensor
    tangent: Tensor | None


class DualEntry(PassedOn):
    """The node of a dual tensor."""

    __slots__ = ("tangent",)
    tangent: Any


class _Level(threading.local):
    """The dual tensors of the open level; None where none is open."""

    entries: list[DualEntry] | None = None
    mode: Any = True


_open = _Level()


def enter_dual_level() -> int:
    """Begin a level, in which there can be dual tensors; its number, which is 0."""
    if _open.entries is not None:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    trace = local.trace
    _open.entries, _open.mode = [], trace.grad
    trace.forwards += 1
    set_mode(trace, trace.grad)
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: its tangents are forgotten."""
    if _open.entries is None:
        raise RuntimeError("Dual level must be a positive number.")
    if level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    for entry in _open.entries:
        entry.live = False
        entry.tangent = None
    _open.entries = None
    trace = local.trace
    trace.forwards -= 1
    set_mode(trace, _open.mode)


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A tensor on the same memory whose derivative is `tangent`, of the same shape."""
    if _open.entries is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    check_tangent(tensor, tangent)
    if isinstance(edge_of(tensor), DualEntry) and edge_of(tensor).tangent is not None:
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the "
            "same level 0 is not supported."
        )
    dual = detached(tensor)
    entry = DualEntry(dual, edge_of(tensor))
    entry.tangent = tangent
    _open.entries.append(entry)
    dual._edge = entry
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its derivative, and the derivative."""
    entries = _open.entries
    if not entries or edge_of(tensor) is None:
        return UnpackedDualTensor(tensor, None)
    known: dict[Node, bool] = {}
    outside = reaches_beyond(edge_of(tensor), entries, known)
    create = bool(local.trace.grad) and (
        outside or any(edge_of(entry.tangent) is not None for entry in entries)
    )
    push = Pushforward([tensor], entries)
    (tangent,) = push([entry.tangent for entry in entries], create)
    primal = detached(tensor)
    if outside:
        primal._edge = edge_of(tensor)
    return UnpackedDualTensor(primal, tangent)


class dual_level:
    """`with dual_level():` a level for dual tensors."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()
