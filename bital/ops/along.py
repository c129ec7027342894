"""Taking and putting elements along one axis by index: how sorted and extreme elements are found.

Room: ops. The indices have the shape of what is taken; an axis of length 1 may be missing from it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.dtype import LOW_PRECISION
from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

Ints = tuple[int, ...]


def flat_places(index: Any, shape: Ints, axis: int) -> Any:
    """Where the elements `index` along `axis` lie in a contiguous array of `shape`."""
    outer, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    if not index.size:
        return np.empty(index.shape, np.intp)
    spread = index.reshape(outer, -1, inner)
    if inner == 1:
        places = spread + np.arange(0, outer * n, n).reshape(outer, 1, 1)
    else:
        base = np.arange(0, outer * n * inner, n * inner).reshape(outer, 1, 1)
        places = spread * inner + (base + np.arange(inner))
    return places.reshape(index.shape)


def _take_rule(x: Meta, index: Meta, axis: int) -> tuple[Meta, dict]:
    return like(x, index.shape), {"axis": axis}


def _take_impl(xp: Any, x: Any, index: Any, *, axis: int) -> Any:
    if not x.ndim:
        return x.reshape(index.shape).copy()
    return xp.take(x, flat_places(index, x.shape, axis))


def _native_places(xp: Any, index: Any, shape: Ints, axis: int) -> Any:
    """`flat_places` in array words, flat."""
    outer, n, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    parts = (outer, index.size // max(outer * inner, 1), inner)
    first = xp.iota(parts, 0) * (n * inner) + xp.iota(parts, 2)
    return (index.reshape(parts) * inner + first).reshape(-1)


def _take_native(xp: Any, x: Any, index: Any, *, axis: int) -> Any:
    if not x.ndim:
        return x.reshape(index.shape)
    places = _native_places(xp, index, x.shape, axis)
    return xp.take_rows(x.reshape(-1), places).reshape(index.shape)


def _put_rule(g: Meta, index: Meta, shape: Ints, axis: int, add: bool) -> tuple[Meta, dict]:
    total = np.dtype(np.float32) if add and g.dtype in LOW_PRECISION else g.np
    return like(g, shape), {"shape": shape, "axis": axis, "add": add, "total": total}


def _put_impl(
    xp: Any, g: Any, index: Any, *, shape: Ints, axis: int, add: bool, total: np.dtype
) -> Any:
    if not shape:
        return g.reshape(()).copy()
    out = xp.zeros(math.prod(shape), total)
    places = flat_places(index, shape, axis)
    if add:
        xp.add.at(out, places, g)
    else:
        out[places] = g
    return out.reshape(shape).astype(g.dtype, copy=False)


def _put_native(
    xp: Any, g: Any, index: Any, *, shape: Ints, axis: int, add: bool, total: np.dtype
) -> Any:
    if not shape:
        return g.reshape(())
    places = _native_places(xp, index, shape, axis)
    return xp.put_rows(g.reshape(-1), places, math.prod(shape), how="add" if add else None).reshape(
        shape
    )


_TAKE = Op(
    "take_along",
    _take_rule,
    _take_impl,
    inputs=("x", "index"),
    vjp=(lambda g, index, x_shape, axis: put_along(g, index, x_shape, axis, add=True), None),
    grad_fn="GatherBackward0",
    batch=again(0),
    native=_take_native,
)
_PUT = Op(
    "put_along",
    _put_rule,
    _put_impl,
    inputs=("g", "index"),
    vjp=(lambda g, index, axis: take_along(g, index, axis), None),
    grad_fn="ScatterBackward0",
    batch=again(1, sizes=(0,)),
    native=_put_native,
)


def take_along(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """The elements of x at `index` along `axis`, in the shape of `index`."""
    return apply(_TAKE, (x, index), (axis,))


def put_along(g: Tensor, index: Tensor, shape: Ints, axis: int, *, add: bool = False) -> Tensor:
    """Zeros of `shape` with g put at `index` along `axis`; with `add` where indices may repeat."""
    return apply(_PUT, (g, index), (shape, axis, add))
