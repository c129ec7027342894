"""Gather and scatter: reading and writing along one axis at an index of the result's own shape.

Room: ops. Indices that are known are checked when the operation is recorded, others when it runs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.dtype import int32, int64
from bital.base.size import normalize_dim
from bital.base.stride import contiguous_strides
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, type_error
from bital.ops.window import spread
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, known_array

Ints = tuple[int, ...]
#: places of up to this many elements are kept with the operator
_KEPT = 1 << 16


def check_known(index: Tensor, n: int, dim: int, kind: type = RuntimeError) -> None:
    """Raise PyTorch's error now for a known index that is out of range."""
    if index._storage.value.buf is not None:
        check_range(known_array(index), n, dim, kind)


def check_range(index: Any, n: int, dim: int, kind: type = RuntimeError, low: int = 0) -> None:
    """Raise `kind` unless low <= index < n everywhere."""
    if not low and index.size and index.dtype == np.int64 and index.flags.c_contiguous:
        if int(np.maximum.reduce(index.view(np.uint64), None)) < n:  # negative ones are huge
            return
    if index.size and (np.maximum.reduce(index, None) >= n or np.minimum.reduce(index, None) < low):
        bad = index[(index >= n) | (index < low)].flat[0] if index.ndim else index
        raise kind(f"index {int(bad)} is out of bounds for dimension {dim} with size {n}")


def _open_places(shape: Ints, index_shape: Ints, dim: int) -> Any:
    """Flat places of the elements at index 0 of `dim`, of index_shape with 1 on that axis."""
    strides = contiguous_strides(shape)
    total: Any = 0
    for k, n in enumerate(index_shape):
        if k != dim and n > 1:
            steps = np.arange(n) * strides[k]
            total = total + steps.reshape([n if j == k else 1 for j in range(len(index_shape))])
    return total


class Along:
    """Where an index along an axis points to in a flat tensor of `shape`."""

    __slots__ = ("shape", "index_shape", "dim", "size", "step", "kept")

    def __init__(self, shape: Ints, index_shape: Ints, dim: int) -> None:
        self.shape, self.index_shape, self.dim = tuple(shape), tuple(index_shape), dim
        self.size = self.shape[dim] if shape else 1
        self.step = contiguous_strides(self.shape)[dim] if shape else 1
        self.kept: Any = None

    def flat(self, index: Any) -> Any:
        """The flat places; RuntimeError where the index is out of range."""
        check_range(index, self.size, self.dim)
        places = self.kept
        if places is None:
            places = _open_places(self.shape, self.index_shape, self.dim) if self.shape else 0
            if np.size(places) <= _KEPT:
                self.kept = places
        return index.astype(np.int64, copy=False) * self.step + places

    def __repr__(self) -> str:
        return f"axis {self.dim} of {self.shape}"


def index_dtype(index: Meta, fn: str) -> None:
    if index.numel and index.dtype not in (int64, int32):
        raise RuntimeError(f"{fn}(): Expected dtype int32/int64 for index")


def _gather_rule(x: Meta, index: Meta, dim: int) -> tuple[Meta, dict]:
    dim = normalize_dim(dim, x.ndim)
    index_dtype(index, "gather")
    if index.numel and max(x.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for k, (n, m) in enumerate(zip(index.shape, x.shape)):
        if k != dim and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {k} expected index {list(index.shape)} to be no "
                f"larger than self {list(x.shape)} apart from dimension {dim}"
            )
    along = Along(x.shape or (1,), index.shape or (1,), dim)
    return meta_of(index.shape, x.dtype, x.device), {"along": along, "dim": dim}


def _gather_impl(xp: Any, x: Any, index: Any, *, along: Along, dim: int) -> Any:
    places = along.flat(index if index.ndim else index.reshape(1))
    return x.reshape(-1).take(places).reshape(index.shape)


def _places(xp: Any, index: Any, along: Along) -> Any:
    """`along.flat(index)` in array words."""
    index = index.reshape(along.index_shape).astype(xp.int64)
    xp.require((index >= 0) & (index < along.size))
    places = index * along.step
    for k, step in enumerate(contiguous_strides(along.shape)):
        if k != along.dim:
            places = places + xp.iota(along.index_shape, k) * step
    return places


def _gather_native(xp: Any, x: Any, index: Any, *, along: Along, dim: int) -> Any:
    return xp.take_rows(x.reshape(-1), _places(xp, index, along)).reshape(index.shape)


GATHER = Op(
    "gather",
    _gather_rule,
    _gather_impl,
    inputs=("x", "index"),
    vjp=(lambda g, index, x_shape, dim: _zeros(g, x_shape).scatter_add(dim, index, g), None),
    fallible=True,
    batch=again(0),
    native=_gather_native,
)


def _zeros(g: Tensor, shape: Ints) -> Any:
    return g.new_zeros(shape)


@public(out="exact")
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The elements of `input` that `index` names along axis `dim`, in the shape of `index`."""
    if not isinstance(index, Tensor):
        raise type_error("gather", "index", 2, index)
    out = apply(GATHER, (input, index), (dim,))
    dim = normalize_dim(dim, input._meta.ndim)
    check_known(index, tuple(input._meta.shape)[dim] if input._meta.ndim else 1, dim)
    return out


def _scatter_rule(x: Meta, index: Meta, *rest: Any) -> tuple[Meta, dict]:
    *src, dim, how, include_self = rest
    dim = normalize_dim(dim, x.ndim)
    index_dtype(index, "scatter")
    if src and x.dtype is not src[0].dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if not index.numel:
        return x, {"along": None, "dim": dim, "how": how, "include_self": include_self}
    if max(x.ndim, 1) != max(index.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if src and max(src[0].ndim, 1) != max(index.ndim, 1):
        normalize_dim(index.ndim - 1, src[0].ndim)
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    sizes = zip(index.shape, x.shape, src[0].shape if src else index.shape)
    for k, (n, m, given) in enumerate(sizes):
        if (k != dim and n > m) or n > given:
            than = f" and to be no larger size than src {list(src[0].shape)}" if src else ""
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} "
                f"apart from dimension {dim}{than}"
            )
    along = Along(x.shape or (1,), index.shape or (1,), dim)
    return x, {"along": along, "dim": dim, "how": how, "include_self": include_self}


_AT = {"sum": "add", "add": "add", "mean": "add", "prod": "multiply", "multiply": "multiply",
       "amax": "maximum", "amin": "minimum"}  # fmt: skip
#: what an element that is not included itself begins with
_START = {"sum": 0, "mean": 0, "prod": 1}


def start_of(how: str, d: Any) -> Any:
    """The neutral element of a reduction in a NumPy type."""
    if how in _START:
        return _START[how]
    low = how == "amax"
    if d.kind == "b":
        return not low
    if d.kind in "iu":
        return np.iinfo(d).min if low else np.iinfo(d).max
    return -math.inf if low else math.inf


def reduce_at(xp: Any, out: Any, place: Any, src: Any, how: str, include_self: bool) -> None:
    """out[place] combined with src, in place; places given several times combine all."""
    if not include_self:
        out[place] = start_of(how, out.dtype)
    getattr(xp, _AT[how]).at(out, place, src)
    if how == "mean":
        counts = xp.full(out.shape, int(include_self), out.dtype)
        xp.add.at(counts, place, out.dtype.type(1))
        counts[counts == 0] = 1
        out[...] = out // counts if out.dtype.kind in "iu" else out / counts


def _scatter_impl(
    xp: Any,
    x: Any,
    index: Any,
    src: Any,
    *,
    along: Along | None,
    dim: int,
    how: str | None,
    include_self: bool,
    out: Any = None,
) -> Any:
    if out is None:
        out = xp.array(x, order="C", copy=True)
    if along is None:
        return out
    index = index if index.ndim else index.reshape(1)
    places = along.flat(index)
    flat = out.reshape(-1)
    if np.ndim(src):
        src = src[tuple([slice(n) for n in index.shape])].reshape(places.shape)
    if how is None:
        flat[places] = src
    else:
        reduce_at(xp, flat, places, src, how, include_self)
    return out


def combined(
    xp: Any, rows: Any, places: Any, base: Any, how: str | None, include_self: bool
) -> Any:
    """A copy of `base` with rows put at places, or as `reduce_at` does it, in array words."""
    if how is None:
        return xp.put_rows(rows, places, base)
    if not include_self:
        start = xp.full(rows.shape, start_of(how, base.dtype), base.dtype)
        base = xp.put_rows(start, places, base)
    out = xp.put_rows(rows, places, base, how=_AT[how])
    if how != "mean":
        return out
    if base.dtype.kind in "iu":
        raise NotImplementedError("a mean of integers")
    counts = xp.full(base.shape, int(include_self), base.dtype)
    counts = xp.put_rows(xp.ones(rows.shape, base.dtype), places, counts, how="add")
    return out / xp.maximum(counts, 1)


def _scatter_native(
    xp: Any, x: Any, index: Any, src: Any, *, along: Along | None, dim: int, how: str | None,
    include_self: bool,
) -> Any:  # fmt: skip
    if along is None:
        return x
    if src.ndim:
        src = src[tuple([slice(n) for n in index.shape])].reshape(along.index_shape)
    src = xp.broadcast_to(src.astype(x.dtype), along.index_shape)
    flat = combined(xp, src, _places(xp, index, along), x.reshape(-1), how, include_self)
    return flat.reshape(x.shape)


def _source_back(g: Tensor, index: Tensor, src_meta: Meta, dim: int) -> Tensor:
    """The gradient of what was scattered; elements of src beyond the index have none."""
    got = gather(g, dim, index)
    if got._meta.shape == src_meta.shape:
        return got
    return spread(got, src_meta.shape, src_meta.strides, 0)


_SCATTER = Op(
    "scatter", _scatter_rule, _scatter_impl, inputs=("x", "index", "src"),
    vjp=(
        lambda g, index, dim: scatter(g, dim, index, 0),
        None,
        lambda g, index, src_meta, dim: _source_back(g, index, src_meta, dim),
    ),
    out="first", fallible=True, native=_scatter_native, batch=again(0))  # fmt: skip
_SCATTER_NUMBER = Op(
    "scatter_number", _scatter_rule, _scatter_impl, inputs=("x", "index"), params=("value",),
    vjp=(lambda g, index, dim: scatter(g, dim, index, 0), None),
    grad_fn="ScatterBackward1", out="first", fallible=True, native=_scatter_native,
    batch=again(0))  # fmt: skip
_SCATTER_ADD = Op(
    "scatter_add", _scatter_rule, _scatter_impl, inputs=("x", "index", "src"),
    vjp=(
        lambda g: g,
        None,
        lambda g, index, src_meta, dim: _source_back(g, index, src_meta, dim),
    ),
    out="first", fallible=True, native=_scatter_native, batch=again(0))  # fmt: skip
_SCATTER_HOW = Op(
    "scatter_how", _scatter_rule, _scatter_impl, inputs=("x", "index", "src"),
    out="first", fallible=True, native=_scatter_native, batch=again(0))  # fmt: skip
_SCATTER_NUMBER_HOW = Op(
    "scatter_number_how", _scatter_rule, _scatter_impl, inputs=("x", "index"), params=("value",),
    out="first", fallible=True, native=_scatter_native, batch=again(0))  # fmt: skip


def _scattered(op: Op, x: Tensor, index: Any, src: Any, attrs: tuple, fn: str) -> Tensor:
    if not isinstance(index, Tensor):
        raise type_error(fn, "index", 2, index)
    if isinstance(src, Tensor):
        out: Tensor = apply(op, (x, index, src), attrs)
    else:
        out = apply(op, (x, index), attrs, (src,))
    dim = normalize_dim(attrs[0], x._meta.ndim)
    check_known(index, tuple(x._meta.shape)[dim] if x._meta.ndim else 1, dim)
    return out


@public(inplace=True, out=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *,
    value: Any = None, reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with `src` (a tensor or a number) written where `index` says along `dim`.

    With `reduce` "add" or "multiply" it is combined with what is there; no gradient then.
    """
    src = value if src is None else src
    if reduce is not None and reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    tensor = isinstance(src, Tensor)
    if reduce is None:
        op = _SCATTER if tensor else _SCATTER_NUMBER
    else:
        op = _SCATTER_HOW if tensor else _SCATTER_NUMBER_HOW
    return _scattered(op, input, index, src, (dim, reduce, True), "scatter")


@public(inplace=True, out=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of `input` with `src` added where `index` says along `dim`."""
    if not isinstance(src, Tensor):
        raise type_error("scatter_add", "src", 3, src)
    return _scattered(_SCATTER_ADD, input, index, src, (dim, "add", True), "scatter_add")


class Route:
    """Reading and adding at an index, either as gather does or as index_select does."""

    def __init__(self, dim: int, index: Tensor, rows: bool = False) -> None:
        self.dim, self.index, self.rows = dim, index, rows

    def take(self, x: Any) -> Any:
        return (x.index_select if self.rows else x.gather)(self.dim, self.index)

    def add(self, x: Any, src: Any) -> Any:
        return (x.index_add if self.rows else x.scatter_add)(self.dim, self.index, src)

    def clear(self, x: Any) -> Any:
        return (x.index_fill if self.rows else x.scatter)(self.dim, self.index, 0)

    def reduce(self, x: Any, src: Any, how: str, include_self: bool) -> Any:
        fn = x.index_reduce if self.rows else x.scatter_reduce
        return fn(self.dim, self.index, src, how, include_self=include_self)


def reduced_self(
    route: Route, g: Any, x: Any, src: Any, out: Any, how: str, include_self: bool
) -> Any:
    """The gradient of what was reduced into (`torch.scatter_reduce`, `index_reduce`)."""
    if how == "sum":
        back = g
    elif how == "mean":
        back = g / _counts(route, x, src, include_self)
    elif how == "prod":
        ones = x.masked_fill(x == 0, 1)
        back = g * route.reduce(ones, src, "prod", include_self) / ones
    else:
        back = _shared(route, g, x, src, out) * (x == out)
    return back if include_self else route.clear(back)


def reduced_source(
    route: Route, g: Any, x: Any, src: Any, out: Any, how: str, include_self: bool
) -> Any:
    """The gradient of what was reduced in."""
    if how == "sum":
        return route.take(g)
    if how == "mean":
        return route.take(g / _counts(route, x, src, include_self))
    if how != "prod":
        return route.take(_shared(route, g, x, src, out)) * (src == route.take(out))
    # without zeros d/ds is the product over s; with exactly one zero it is that of the others
    zero = src == 0
    zeros = route.take(route.add(x.new_zeros(x.shape), zero.to(x.dtype)))
    single = zero & (zeros == 1)
    others = route.reduce(x, src.masked_fill(single, 1), "prod", include_self)
    plain = route.take(g * out) / src.masked_fill(zero, 1)
    return route.take(g * others).where(single, plain)


def _counts(route: Route, x: Any, src: Any, include_self: bool) -> Any:
    start = x.new_ones(x.shape) if include_self else x.new_zeros(x.shape)
    return route.add(start, src.new_ones(src.shape)).clamp(min=1)


def _shared(route: Route, g: Any, x: Any, src: Any, out: Any) -> Any:
    """g divided evenly among the elements that equal the extreme."""
    equal = (src == route.take(out)).to(x.dtype)
    return g / route.add((x == out).to(x.dtype), equal)


_SCATTER_REDUCE = Op(
    "scatter_reduce", _scatter_rule, _scatter_impl, inputs=("x", "index", "src"),
    vjp=(
        lambda g, x, index, src, out, dim, how, include_self: reduced_self(
            Route(dim, index), g, x, src, out, how, include_self),
        None,
        lambda g, x, index, src, out, dim, how, include_self: reduced_source(
            Route(dim, index), g, x, src, out, how, include_self),
    ),
    out="first", fallible=True, native=_scatter_native, batch=again(0))  # fmt: skip


@public(inplace=True, out=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`src` combined into a copy of `input` where `index` says along `dim`.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self` the elements of
    `input` that are written to do not take part.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    check_tensor(src, "scatter_reduce", "src", 3)
    attrs = (dim, reduce, include_self)
    return _scattered(_SCATTER_REDUCE, input, index, src, attrs, "scatter_reduce")


@public(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting; without `dim`, of all elements in a row."""
    check_tensor(indices, "take_along_dim", "indices", 2)
    if indices._meta.dtype is not int64:
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{indices._meta.dtype.legacy_name}"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, _counted(indices.reshape(-1), input._meta.numel))
    if input._meta.ndim != indices._meta.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input._meta.ndim} dimensions for input, and {indices._meta.ndim} dimensions "
            "for indices"
        )
    dim = normalize_dim(dim, input._meta.ndim)
    own, given = list(input._meta.shape), list(indices._meta.shape)
    shape: list[int] = []
    for k in reversed(range(len(own))):
        n, m = own[k], given[k]
        if k != dim and n != m and 1 not in (n, m):
            raise RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at "
                f"non-singleton dimension {k}"
            )
        shape.insert(0, m if n == 1 else n)
    x_shape = [own[k] if k == dim else n for k, n in enumerate(shape)]
    i_shape = [given[k] if k == dim else n for k, n in enumerate(shape)]
    return gather(input.expand(x_shape), dim, _counted(indices.expand(i_shape), x_shape[dim]))


def _counted(index: Tensor, n: int) -> Tensor:
    """Indices, negative ones of which count from the end, as ones that count from the front."""
    return index.where(index >= 0, index + n)
