"""Broadcasting as a recorded operation: the gradient of reductions.

Room: ops. `Tensor.expand` makes a window; a gradient is no view of anything, so one instruction
that repeats a value, without taking memory for it, is cheaper.
"""

from __future__ import annotations

from typing import Any

from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.create import ones_of
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _rule(x: Meta, shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[Meta, dict]:
    kept = tuple([1 if k in axis else n for k, n in enumerate(shape)])
    everything = all(n == 1 for n in kept)
    return like(x, shape), {"shape": shape, "kept": None if everything else kept, "axis": axis}


def _impl(xp: Any, x: Any, *, shape: tuple, kept: tuple | None, axis: tuple) -> Any:
    if kept is None:  # one number everywhere: a buffer with strides of zero, made the short way
        x = xp.asarray(x)
        return xp.ndarray(shape, x.dtype, x if x.flags.c_contiguous else x.copy(), 0, _zeros(shape))
    return xp.broadcast_to(x.reshape(kept), shape)


def _zeros(shape: tuple) -> tuple:
    return (0,) * len(shape)


def _gather(g: Tensor, x_shape: tuple, axis: tuple) -> Tensor:
    return g.sum(axis).reshape(x_shape) if axis else g


_REPEAT = Op(
    "repeat_over",
    _rule,
    _impl,
    vjp=(_gather,),
    grad_fn="ExpandBackward0",
    alias=True,
    batch=again(1, sizes=(0,)),
    native=lambda xp, x, *, shape, kept, axis: xp.broadcast_to(
        x.reshape(kept or (1,) * len(shape)), shape
    ),
)


def repeat_over(g: Tensor, shape: tuple[int, ...], axis: tuple[int, ...]) -> Tensor:
    """g, which lacks (or has as 1) the axes `axis` of `shape`, repeated over them."""
    if g._view is None and g._edge is None and g._storage.value is g._meta.ones:
        return ones_of(like(g._meta, shape))  # backward begins with a one: nothing to record
    return apply(_REPEAT, (g,), (shape, axis))
