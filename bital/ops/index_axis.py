"""index_select and its kin: one axis at a vector of indices; take and put over all elements.

Room: ops. Indices that are known are checked when the operation is recorded, others when it runs.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from bital.base.dtype import bool_, int32, int64
from bital.base.size import normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, type_error
from bital.ops.family import raise_not_implemented
from bital.ops.gather import Route, check_range, combined, reduce_at, reduced_self, reduced_source
from bital.ops.index import add_rows, from_the_end, write_at
from bital.ops.indexing import mask_positions
from bital.ops.join import stack
from bital.ops.split import unbind
from bital.ops.view import Ints
from bital.ops.window import packed
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, array_of, from_array, known_array


def _select_rule(x: Meta, index: Meta, dim: int) -> tuple[Meta, dict]:
    dim = normalize_dim(dim, x.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (int64, int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    shape = tuple(x.shape)
    if not shape:
        if index.numel != 1:
            raise RuntimeError(
                f"index_select(): Index to scalar can have only 1 value, got {index.numel} value(s)"
            )
        return x, {"dim": dim}
    return meta_of((*shape[:dim], index.numel, *shape[dim + 1 :]), x.dtype, x.device), {"dim": dim}


def _check_select(index: Any, n: int) -> None:
    if index.size and (index.max() >= n or index.min() < 0):
        raise IndexError("index out of range in self")


def _select_impl(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    _check_select(index, x.shape[dim] if x.ndim else 1)
    return x.take(index.reshape(-1), dim) if x.ndim else x


def _select_native(xp: Any, x: Any, index: Any, *, dim: int) -> Any:
    xp.require((index >= 0) & (index < (x.shape[dim] if x.ndim else 1)))
    return xp.take(x, index.reshape(-1), dim) if x.ndim else x


_SELECT = Op(
    "index_select",
    _select_rule,
    _select_impl,
    inputs=("x", "index"),
    vjp=(lambda g, index, x_shape, dim: _zeros(g, x_shape).index_add(dim, index, g), None),
    fresh=False,
    fallible=True,
    batch=again(0, bare=(1,)),
    native=_select_native,
)


def _zeros(g: Tensor, shape: Ints) -> Any:
    return g.new_zeros(shape)


def _size(x: Tensor, dim: int) -> tuple[int, int]:
    dim = normalize_dim(dim, x._meta.ndim)
    return dim, tuple(x._meta.shape)[dim] if x._meta.ndim else 1


@public(out="exact")
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The parts of `input` along axis `dim` that a vector of indices names, as a copy."""
    if not isinstance(index, Tensor):
        raise type_error("index_select", "index", 2, index)
    out = apply(_SELECT, (input, index), (dim,))
    if index._storage.value.buf is not None:
        _check_select(known_array(index), _size(input, dim)[1])
    return out


def _into_rule(fn: str, kind: type) -> Any:
    """The rule of writing a source along an axis at a vector of indices."""

    def rule(x: Meta, index: Meta, src: Meta, dim: int, *more: Any) -> tuple[Meta, dict]:
        dim = normalize_dim(dim, x.ndim)
        if index.ndim > 1:
            raise IndexError(
                f"{fn}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
                f"{index.dtype.legacy_name} and size: {list(index.shape)}"
            )
        if index.dtype not in (int64, int32):
            raise RuntimeError(f"{fn}(): Expected dtype int32/int64 for index but got: "
                               f"{index.dtype.legacy_name}")  # fmt: skip
        if x.dtype is not src.dtype:
            both = (
                f"self and source expected to have the same dtype, but got (self) "
                f"{x.dtype.legacy_name} and (source) {src.dtype.legacy_name}"
                if fn == "index_copy_"
                else f"self ({x.dtype.legacy_name}) and source ({src.dtype.legacy_name}) must have "
                "the same scalar type"
            )
            raise RuntimeError(f"{fn}(): {both}")
        count = tuple(src.shape)[dim] if src.ndim else 1
        if index.numel != count:
            equal = f"Number of indices ({index.numel}) should be equal to source.size(dim)"
            if fn == "index_copy_":
                raise kind(f"{fn}(): {equal} ({count})")
            raise kind(f"{fn}(): {equal}: ({count}), for dim: {dim}")
        _check_rest(fn, x, src, dim)
        return x, {"dim": dim, **({"how": more[0], "include_self": more[1]} if more else {})}

    return rule


def _check_rest(fn: str, x: Meta, src: Meta, dim: int) -> None:
    rest = [tuple(m.shape)[:dim] + tuple(m.shape)[dim + 1 :] for m in (x, src)]
    if rest[0] != rest[1]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(x.shape)} source.shape = {list(src.shape)}"
        )


def _own(xp: Any, x: Any, out: Any) -> Any:
    return xp.array(x, order="C", copy=True) if out is None else out


def _front(a: Any, dim: int) -> Any:
    """The array with axis `dim` in front; a number as a vector of one."""
    return np.moveaxis(a, dim, 0) if a.ndim else a.reshape(1)


def _add_impl(
    xp: Any, x: Any, index: Any, src: Any, alpha: Any, *, dim: int, out: Any = None
) -> Any:
    out = _own(xp, x, out)
    index, into, rows = index.reshape(-1), _front(out, dim), _front(src, dim)
    check_range(index, len(into), dim)
    if alpha != 1:
        rows = rows * np.asarray(alpha).astype(rows.dtype)
    if not dim and out.ndim > 1 and out.size > 4 * len(out):
        width = prod(out.shape[1:])
        add_rows(xp, out.reshape(len(out), width), index, rows.reshape(len(rows), width))
    else:
        xp.add.at(into, index, rows)
    return out


def _put_native(
    xp: Any, x: Any, index: Any, rows: Any, dim: int, low: int, how: str | None, own: bool = True
) -> Any:
    """Rows put or combined along an axis; with `low` 1 indices may count from the end."""
    into = xp.moveaxis(x, dim, 0) if x.ndim else x.reshape(1)
    n, index = into.shape[0], index.reshape(-1)
    xp.require((index >= -low * n) & (index < n))
    index = xp.where(index < 0, index + n, index) if low else index
    out = combined(xp, rows, index, into, how, own)
    return xp.moveaxis(out, 0, dim) if x.ndim else out.reshape(())


def _rows_of(xp: Any, src: Any, dim: int) -> Any:
    return xp.moveaxis(src, dim, 0) if src.ndim else src.reshape(1)


def _add_native(xp: Any, x: Any, index: Any, src: Any, alpha: Any, *, dim: int) -> Any:
    rows = _rows_of(xp, src, dim) * src.dtype.type(alpha)
    return _put_native(xp, x, index, rows, dim, 0, "add")


def _copy_native(xp: Any, x: Any, index: Any, src: Any, *, dim: int) -> Any:
    return _put_native(xp, x, index, _rows_of(xp, src, dim), dim, 0, None)


def _fill_native(xp: Any, x: Any, index: Any, value: Any, *, dim: int) -> Any:
    shape = x.shape or (1,)
    rows = xp.broadcast_to(x.dtype.type(value), (index.size, *shape[:dim], *shape[dim + 1 :]))
    return _put_native(xp, x, index, rows, dim, 1, None)


_ADD = Op(
    "index_add", _into_rule("index_add_", RuntimeError), _add_impl,
    inputs=("x", "index", "src"), params=("alpha",),
    vjp=(
        lambda g: g,
        None,
        lambda g, index, dim, alpha: _times(index_select(g, dim, index), alpha),
    ),
    out="first", fallible=True, native=_add_native, batch=again(0, bare=(1,)))  # fmt: skip


def _times(g: Any, alpha: Any) -> Any:
    return g if alpha == 1 else g * alpha


def _known_range(
    x: Tensor, dim: int, index: Tensor, kind: type[Exception], fn: str = "", low: int = 0
) -> None:
    """Check an index that is known; with `low`, negative ones count from the end."""
    if index._storage.value.buf is not None:
        dim, n = _size(x, dim)
        try:
            check_range(known_array(index), n, dim, kind, -n if low else 0)
        except kind as error:
            raise kind(fn + str(error)) from None


@public(inplace=True, out=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with `alpha * source` added along `dim` where a vector of indices says."""
    check_tensor(source, "index_add", "source", 3)
    out = apply(_ADD, (input, index, source), (dim,), (alpha,))
    _known_range(input, dim, index, RuntimeError)
    return out


def _copy_impl(xp: Any, x: Any, index: Any, src: Any, *, dim: int, out: Any = None) -> Any:
    out = _own(xp, x, out)
    into, index = _front(out, dim), index.reshape(-1)
    check_range(index, len(into), dim, IndexError)
    into[index] = _front(src, dim)
    return out


_COPY = Op(
    "index_copy", _into_rule("index_copy_", IndexError), _copy_impl, inputs=("x", "index", "src"),
    vjp=(
        lambda g, index, dim: index_fill(g, dim, index, 0),
        None,
        lambda g, index, dim: index_select(g, dim, index),
    ),
    out="first", fallible=True, native=_copy_native, batch=again(0, bare=(1,)))  # fmt: skip


@public(inplace=True, out=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with `source` written along `dim` where a vector of indices says."""
    check_tensor(source, "index_copy", "source", 3)
    out = apply(_COPY, (input, index, source), (dim,))
    _known_range(input, dim, index, IndexError, "index_copy_(): ")
    return out


def _fill_rule(x: Meta, index: Meta, *rest: Any) -> tuple[Meta, dict]:
    *_, dim = rest
    if index.dtype not in (int64, int32):
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise IndexError("Index has to be a vector/scalar")
    return x, {"dim": normalize_dim(dim, x.ndim)}


def _fill_impl(xp: Any, x: Any, index: Any, value: Any, *, dim: int, out: Any = None) -> Any:
    out = _own(xp, x, out)
    into = _front(out, dim)
    check_range(index, len(into), dim, IndexError, -len(into))
    into[index.reshape(-1)] = value
    return out


def _where_filled(g: Tensor, dim: int, index: Tensor) -> Tensor:
    places = index_fill(g.new_zeros(g._meta.shape, dtype=bool_), dim, index, True)
    return g.where(places, 0)


_FILL = Op(
    "index_fill", _fill_rule, _fill_impl, inputs=("x", "index"), params=("value",),
    vjp=(lambda g, index, dim: index_fill(g, dim, index, 0), None),
    out="first", fallible=True, native=_fill_native, batch=again(0, bare=(1,)))  # fmt: skip
_FILL_TENSOR = Op(
    "index_fill_tensor", _fill_rule, _fill_impl, inputs=("x", "index", "value"),
    vjp=(
        lambda g, index, dim: index_fill(g, dim, index, 0),
        None,
        lambda g, index, dim: _where_filled(g, dim, index).sum(),
    ),
    grad_fn="IndexFillBackward1", out="first", fallible=True, native=_fill_native,
    batch=again(0, bare=(1, 2)),
)  # fmt: skip


@public(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of `input` with one number along `dim` where a vector of indices says."""
    if isinstance(value, Tensor):
        if value._meta.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._meta.ndim} dimension(s)."
            )
        value = value.to(input._meta.dtype)
        out = apply(_FILL_TENSOR, (input, index, value), (dim,))
    else:
        out = apply(_FILL, (input, index), (dim,), (value,))
    _known_range(input, dim, index, IndexError, low=1)
    return out


def _reduce_impl(
    xp: Any,
    x: Any,
    index: Any,
    src: Any,
    *,
    dim: int,
    how: str,
    include_self: bool,
    out: Any = None,
) -> Any:
    out = _own(xp, x, out)
    into = _front(out, dim)
    check_range(index, len(into), dim, IndexError)
    reduce_at(xp, into, index.reshape(-1), _front(src, dim), how, include_self)
    return out


def _reduce_native(
    xp: Any, x: Any, index: Any, src: Any, *, dim: int, how: str, include_self: bool
) -> Any:
    return _put_native(xp, x, index, _rows_of(xp, src, dim), dim, 0, how, include_self)


_REDUCE = Op(
    "index_reduce", _into_rule("index_reduce", IndexError), _reduce_impl,
    inputs=("x", "index", "src"),
    vjp=(
        lambda g, x, index, src, out, dim, how, include_self: reduced_self(
            Route(dim, index, rows=True), g, x, src, out, how, include_self),
        None,
        lambda g, x, index, src, out, dim, how, include_self: reduced_source(
            Route(dim, index, rows=True), g, x, src, out, how, include_self),
    ),
    out="first", fallible=True, native=_reduce_native, batch=again(0, bare=(1,)))  # fmt: skip


@public(inplace=True, out=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
    include_self: bool = True,
) -> Tensor:  # fmt: skip
    """`source` combined along `dim` into a copy of `input`: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    return apply(_REDUCE, (input, index, source), (dim, reduce, include_self))


@public(inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` written, or added, at a tuple of index tensors or masks."""
    check_tensor(values, "index_put", "values", 2)
    found: list[Tensor] = []
    axes: list[int] = []
    at = 0
    for k, index in enumerate(indices):
        if index is not None and not isinstance(index, Tensor):
            raise TypeError(
                f"expected Tensor as element {k} in argument 0, but got {type(index).__name__}"
            )
        each = [index] if index is None else mask_positions(index)
        for one in each:
            if one is not None:
                found.append(one)
                axes.append(at)
            at += 1
    if at > input._meta.ndim:
        raise IndexError(f"too many indices for tensor of dimension {input._meta.ndim} (got {at})")
    return write_at(input, tuple(axes), tuple(found), values, accumulate)


def _check_take(index: Any, n: int) -> None:
    if index.size and (index.max() >= n or index.min() < -n):
        bad = index[(index >= n) | (index < -n)].flat[0] if index.ndim else index
        raise IndexError(
            f"out of range: tried to access index {int(bad)} on a tensor of {n} elements."
        )


def _take_rule(x: Meta, index: Meta) -> tuple[Meta, dict]:
    if index.dtype is not int64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {index.dtype.legacy_name}"
        )
    if not x.numel and index.numel:
        raise IndexError("take(): tried to take from an empty tensor")
    return meta_of(index.shape, x.dtype, x.device), {}


def _take_impl(xp: Any, x: Any, index: Any) -> Any:
    _check_take(index, x.size)
    return x.reshape(-1).take(index)


_TAKE = Op(
    "take", _take_rule, _take_impl, inputs=("x", "index"),
    vjp=(lambda g, index, x_shape: put(_zeros(g, x_shape), index, g, True), None), fallible=True,
    native=lambda xp, x, index: xp.take_rows(x.reshape(-1), from_the_end(xp, index, x.size)),
)  # fmt: skip


@public(out="exact")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of `input`, numbered in a row, that `index` names."""
    if not isinstance(index, Tensor):
        raise type_error("take", "index", 1, index)
    out = apply(_TAKE, (input, index))
    if index._storage.value.buf is not None:
        _check_take(known_array(index), input._meta.numel)
    return out


def _put_rule(x: Meta, index: Meta, src: Meta, accumulate: bool) -> tuple[Meta, dict]:
    if index.dtype is not int64:
        raise RuntimeError(
            f"put_(): Expected a long tensor for index, but got {index.dtype.legacy_name}"
        )
    if x.dtype is not src.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{x.dtype.legacy_name} and source.dtype = {src.dtype.legacy_name}"
        )
    if index.numel != src.numel:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {src.numel}, index.numel() = {index.numel}"
        )
    return x, {"accumulate": accumulate}


def _put_impl(xp: Any, x: Any, index: Any, src: Any, *, accumulate: bool, out: Any = None) -> Any:
    out = _own(xp, x, out)
    _check_take(index, x.size)
    flat, places = out.reshape(-1), index.reshape(-1)
    if accumulate:
        xp.add.at(flat, places, src.reshape(-1))
    else:
        flat[places] = src.reshape(-1)
    return out


_PUT = Op(
    "put", _put_rule, _put_impl, inputs=("x", "index", "src"),
    vjp=(
        lambda g, index, accumulate: g if accumulate else put(g, index, _zeros(g, index.shape)),
        None,
        lambda g, index, src_shape: take(g, index).reshape(src_shape),
    ),
    out="first", fallible=True,
    native=lambda xp, x, index, src, *, accumulate: xp.put_rows(
        src.reshape(-1), from_the_end(xp, index.reshape(-1), x.size), x.reshape(-1),
        how="add" if accumulate else None,
    ).reshape(x.shape),
)  # fmt: skip


@public(inplace=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `source` written, or added, at elements numbered in a row."""
    out = apply(_PUT, (input, index, source), (accumulate,))
    if index._storage.value.buf is not None:
        _check_take(known_array(index), input._meta.numel)
    return out


@public()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element of axis `dim` (of all elements by default) repeated, one after another.

    With counts alone as `input`, the number of each element that often.
    """
    if repeats is None:
        counts = _counts(input)
        return from_array(np.repeat(np.arange(len(counts)), counts))
    if not isinstance(repeats, Tensor) and not hasattr(repeats, "__index__"):
        raise TypeError(
            "repeat_interleave() received an invalid combination of arguments - got "
            f"({type(repeats).__name__}), but expected one of:\n"
            " * (Tensor repeats, int dim = None, *, int output_size = None)\n"
            " * (int repeats, int dim = None, *, int output_size = None)"
        )
    if dim is None:
        input, dim = input.reshape(-1), 0
    dim, n = _size(input, dim)
    if isinstance(repeats, Tensor):
        counts = _counts(repeats)
        if len(counts) == 1:
            counts = counts.repeat(n)
        if len(counts) != n:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{len(counts)} and input.size({dim}) = {n}"
            )
        return index_select(input, dim, from_array(np.repeat(np.arange(n), counts)))
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    shape = tuple(input._meta.shape) or (1,)
    spaced = input.reshape(shape).unsqueeze(dim + 1)
    many = packed(spaced.expand((*shape[: dim + 1], repeats, *shape[dim + 1 :])))
    return many.view((*shape[:dim], n * repeats, *shape[dim + 1 :]))


def _counts(repeats: Tensor) -> Any:
    if repeats._meta.dtype not in (int64, int32):
        raise_not_implemented("repeat_interleave_cpu", repeats._meta.dtype)
    counts = array_of(repeats)
    if counts.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return counts.reshape(-1)


@public(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates, in a tensor of `shape`, of elements numbered in a row."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not sizes:
        return ()
    indices = indices.to(int64)
    coordinates = []
    for n in reversed(sizes):
        coordinates.append(indices % n)
        indices = indices.div(n, rounding_mode="floor")
    return unbind(stack(coordinates[::-1], -1), -1)
