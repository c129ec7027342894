"""Masks: where, masked_fill, masked_select, masked_scatter, nonzero; and the …_scatter functions.

Room: ops. What depends on how many elements of a mask are true needs its value at once.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from bital.base.dtype import bool_, uint8
from bital.base.size import broadcast_shapes, normalize_dim
from bital.base.window import strided
from bital.ir.batch import elementwise
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.create import check_representable, constant
from bital.ops.family import common_dtype
from bital.ops.index import check_real
from bital.ops.index_axis import put
from bital.ops.part import check_in_storage, diagonal_window
from bital.ops.split import unbind
from bital.ops.view import Ints
from bital.ops.window import CLEAR, packed, part
from bital.tensor.dispatch import apply, cast, inplace
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, array_of, from_array, window

_NUMBERS = (bool, int, float, complex)


def _where_rule(condition: Meta, x: Meta, y: Meta) -> tuple[Meta, dict]:
    shape = broadcast_shapes(condition.shape, x.shape, y.shape)
    return meta_of(shape, x.dtype, x.device), {}


_WHERE = Op(
    "where",
    _where_rule,
    lambda xp, condition, x, y: xp.where(condition, x, y),
    inputs=("condition", "x", "y"),
    vjp=(
        None,
        lambda g, condition: apply(_WHERE, (condition, g, _zero(g))),
        lambda g, condition: apply(_WHERE, (condition, _zero(g), g)),
    ),
    elementwise=True,
)


def _zero(g: Tensor) -> Tensor:
    return constant(meta_of((), g._meta.dtype, g._meta.device), 0)


def _choose(condition: Tensor, x: Any, y: Any) -> Tensor:
    check_tensor(condition, "where", "condition")
    d = condition._meta.dtype
    if d is uint8:
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated and will be "
            "removed in a future version of PyTorch. Use a boolean condition instead.",
            UserWarning,
            stacklevel=3,
        )
        condition = cast(condition, bool_)
    elif d is not bool_:
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{d.legacy_name}"
        )
    if not all(isinstance(o, (Tensor, *_NUMBERS)) for o in (x, y)):
        raise _wrong_where(condition, x, y)
    if isinstance(x, Tensor) or isinstance(y, Tensor):
        target = common_dtype(*[o._meta if isinstance(o, Tensor) else type(o) for o in (x, y)])
    else:
        both = type(x)() + type(y)()
        target = bool_ if type(x) is type(y) is bool else common_dtype(type(both))
    scalar = meta_of((), target, condition._meta.device)
    pair = [cast(o, target) if isinstance(o, Tensor) else constant(scalar, o) for o in (x, y)]
    return apply(_WHERE, (condition, *pair))


def _wrong_where(*args: Any) -> TypeError:
    got = ", ".join(type(a).__name__ for a in args if a is not None)
    return TypeError(
        f"where() received an invalid combination of arguments - got ({got}), but expected one "
        "of:\n * (Tensor condition)\n * (Tensor condition, Tensor input, Tensor other, *, Tensor "
        "out = None)\n * (Tensor condition, Number self, Tensor other)\n * (Tensor condition, "
        "Tensor input, Number other)\n * (Tensor condition, Number self, Number other)"
    )


@public(method=False, out=True)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition is true, `other` elsewhere, broadcast and promoted.

    With the condition alone, `nonzero(condition, as_tuple=True)`.
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    return _choose(condition, input, other)


@public("Tensor", name="where")
def where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """`self` where the condition is true, `other` elsewhere."""
    return _choose(condition, self, other)


def _fill_rule(x: Meta, mask: Meta, *value: Meta) -> tuple[Meta, dict]:
    if mask.dtype is not bool_:
        names = {"int32": "int", "uint8": "unsigned char", "float32": "float", "int64": "long"}
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{names.get(mask.dtype.name, mask.dtype.name)}"
        )
    if value and value[0].ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value[0].ndim} dimension(s)."
        )
    return meta_of(broadcast_shapes(mask.shape, x.shape), x.dtype, x.device), {}


def _fill_impl(xp: Any, x: Any, mask: Any, value: Any) -> Any:
    if mask.shape == x.shape:
        out = xp.array(x, order="C", copy=True)
    else:
        out = xp.empty(np.broadcast_shapes(x.shape, mask.shape), x.dtype)
        out[...] = x
    xp.copyto(out, x.dtype.type(value), where=mask)
    return out


#: contiguous whatever x is, as PyTorch's
_FILL = Op(
    "masked_fill", _fill_rule, _fill_impl, inputs=("x", "mask"), params=("value",),
    vjp=(lambda g, mask: masked_fill(g, mask, 0), None), batch=elementwise)  # fmt: skip
_FILL_TENSOR = Op(
    "masked_fill_tensor", _fill_rule, _fill_impl,
    inputs=("x", "mask", "value"),
    vjp=(
        lambda g, mask: masked_fill(g, mask, 0),
        None,
        lambda g, mask: apply(_WHERE, (mask, g, _zero(g))),
    ),
    grad_fn="MaskedFillBackward1", batch=elementwise)  # fmt: skip


@public()
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`input` with a number, or the element of a 0-d tensor, where the mask is true."""
    check_tensor(mask, "masked_fill", "mask", 2)
    d = input._meta.dtype
    if isinstance(value, Tensor):
        if value._meta.dtype.is_complex:
            check_real(value.item(), d)
        return apply(_FILL_TENSOR, (input, mask, cast(value, d)))
    check_real(value, d)
    check_representable(value, d)
    return apply(_FILL, (input, mask), (), (int(value) if d.category == 1 else value,))


@public(name="masked_fill_")
def masked_fill_in_place(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`masked_fill` written into the tensor itself."""
    check_tensor(mask, "masked_fill_", "mask", 2)
    broadcast_shapes(self._meta.shape, mask._meta.shape)
    return inplace(self, masked_fill, mask, value)


def _true_places(mask: Tensor, shape: Ints) -> Tensor:
    """The flat places, in a tensor of `shape`, where a mask that broadcasts to it is true."""
    return from_array(np.flatnonzero(np.broadcast_to(array_of(mask), shape)))


_SELECT = Op(
    "masked_select",
    lambda x, places: (meta_of(places.shape, x.dtype, x.device), {}),
    lambda xp, x, places: x.reshape(-1).take(places),
    inputs=("x", "places"),
    vjp=(lambda g, places, x_shape: put(_zeros(g, x_shape), places, g, True), None),
)


def _zeros(g: Tensor, shape: Ints) -> Tensor:
    return g.new_zeros(shape)


@public(out="exact")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of `input` where the mask is true, as a vector."""
    if check_tensor(mask, "masked_select", "mask", 2)._meta.dtype is not bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    shape = broadcast_shapes(mask._meta.shape, input._meta.shape)
    x = input if input._meta.shape == shape else input.expand(shape)
    return apply(_SELECT, (x, _true_places(mask, shape)))


def _scatter_rule(x: Meta, mask: Meta, source: Meta) -> tuple[Meta, dict]:
    if x.dtype is not source.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got"
            f"{x.dtype.legacy_name} and {source.dtype.legacy_name}"
        )
    if mask.dtype is not bool_:
        raise RuntimeError(
            "masked_scatter_ only supports boolean masks, but got mask with dtype "
            f"{mask.dtype.legacy_name}"
        )
    return meta_of(broadcast_shapes(mask.shape, x.shape), x.dtype, x.device), {}


def _scatter_impl(xp: Any, x: Any, mask: Any, source: Any) -> Any:
    shape = np.broadcast_shapes(x.shape, mask.shape)
    out = xp.array(xp.broadcast_to(x, shape), order="C", copy=True)
    mask = xp.broadcast_to(mask, shape)
    count = int(np.count_nonzero(mask))
    if count > source.size:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    out[mask] = source.reshape(-1)[:count]
    return out


def _unscatter_impl(xp: Any, g: Any, mask: Any, *, shape: Ints) -> Any:
    out = xp.zeros(shape, g.dtype)
    chosen = g[xp.broadcast_to(mask, g.shape)]
    out.reshape(-1)[: chosen.size] = chosen
    return out


_UNSCATTER = Op(
    "masked_scatter_backward",
    lambda g, mask, shape: (meta_of(shape, g.dtype, g.device), {"shape": shape}),
    _unscatter_impl,
    inputs=("g", "mask"),
    vjp=(lambda g, mask, g_shape: apply(_SCATTER, (_zeros(g, g_shape), mask, g)), None),
)
_SCATTER = Op(
    "masked_scatter",
    _scatter_rule,
    _scatter_impl,
    inputs=("x", "mask", "source"),
    vjp=(
        lambda g, mask: masked_fill(g, mask, 0),
        None,
        lambda g, mask, source_shape: apply(_UNSCATTER, (g, mask), (source_shape,)),
    ),
    fallible=True,
)


@public(inplace=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`input` with the elements of `source`, in order, where the mask is true."""
    check_tensor(mask, "masked_scatter", "mask", 2)
    check_tensor(source, "masked_scatter", "source", 3)
    out = apply(_SCATTER, (input, mask, source))
    known = mask._storage.value.buf is not None and not mask._meta.device.lanes
    if known and source._meta.numel < out._meta.numel:
        places = np.broadcast_to(array_of(mask), out._meta.shape)
        if np.count_nonzero(places) > source._meta.numel:
            raise RuntimeError("Number of elements of source < number of ones in mask")
    return out


@public(out=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of elements that are not zero: a row each, or a vector per axis."""
    array = array_of(check_tensor(input, "nonzero"))
    if as_tuple:
        return unbind(_places(array.reshape(1) if not array.ndim else array), 1)
    return _places(array)


def _places(array: Any) -> Tensor:
    """The places as rows; in memory they lie axis by axis, as PyTorch's do."""
    if not array.ndim:
        return from_array(np.empty((int(bool(array)), 0), np.int64))
    found = from_array(np.stack(np.nonzero(array)).astype(np.int64, copy=False))
    n = array.ndim
    count = found._meta.numel // n
    meta = meta_of((count, n), found._meta.dtype)
    return window(found._storage, meta, view_at(0, (1, count)))


@public()
def argwhere(input: Tensor) -> Tensor:
    """The places of elements that are not zero, a row each."""
    return nonzero(input)


def _window_put_impl(
    xp: Any, x: Any, src: Any, offset: int, *, shape: Ints, strides: Ints, out: Any = None
) -> Any:
    if out is None:
        out = xp.array(x, order="C", copy=True)
    strided(out, offset, shape, strides, out.dtype)[...] = src
    return out


def _put_op(name: str) -> Op:
    """x with src written into a window of it; PyTorch has a function, and a node, per kind."""

    def rule(x: Meta, src: Meta, shape: Ints, strides: Ints) -> tuple[Meta, dict]:
        if src.shape != shape:
            raise RuntimeError(
                "expected src to have a size equal to the slice of self. src size = "
                f"{list(src.shape)}, slice size = {list(shape)}"
            )
        if src.dtype is not x.dtype:
            raise RuntimeError(f"{name}: self and src must have the same dtype")
        return x, {"shape": shape, "strides": strides}

    return Op(
        name, rule, _window_put_impl, inputs=("x", "src"), params=("offset",),
        vjp=(
            lambda g, shape, strides, offset: apply(CLEAR, (g,), (shape, strides), (offset,)),
            lambda g, shape, strides, offset: part(g, shape, strides, offset),
        ),
        out="first",
        native=lambda xp, x, src, offset, *, shape, strides: xp.written(
            x, src, shape, strides, offset
        ),
    )  # fmt: skip


_PUTS = {
    name: _put_op(name)
    for name in ("select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter")
}


def _put(name: str, x: Tensor, src: Tensor, shape: Ints, strides: Ints, offset: int) -> Tensor:
    return apply(_PUTS[name], (x, check_tensor(src, name, "src", 2)), (shape, strides), (offset,))


@public()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` written at `index` of axis `dim`."""
    shape, strides = tuple(input._meta.shape), input._meta.strides
    dim = normalize_dim(dim, len(shape))
    n = shape[dim]
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension "
            f"{dim}"
        )
    at = index + n if index < 0 else index
    rest = (*shape[:dim], *shape[dim + 1 :])
    steps = (*strides[:dim], *strides[dim + 1 :])
    return _put("select_scatter", input, src, rest, steps, at * strides[dim])


@public(out=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """A copy of `input` with `src` written into start:end:step of axis `dim`."""
    shape, strides = tuple(input._meta.shape), input._meta.strides
    dim = normalize_dim(dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    begin, stop, _ = slice(start, end).indices(shape[dim])
    count = max(0, -(-(stop - begin) // step))
    part_shape = (*shape[:dim], count, *shape[dim + 1 :])
    steps = (*strides[:dim], strides[dim] * step, *strides[dim + 1 :])
    return _put("slice_scatter", input, src, part_shape, steps, begin * strides[dim])


@public()
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy of `input` with `src` written on a diagonal."""
    meta = input._meta
    shape, strides, first = diagonal_window(meta.shape, meta.strides, offset, dim1, dim2)
    return _put("diagonal_scatter", input, src, shape, strides, first)


@public()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Tensor:
    """A copy of `input` with `src` written into any window of it."""
    x = input if input._view is None else packed(input)
    check_in_storage(x, tuple(size), tuple(stride), storage_offset or 0)
    return _put("as_strided_scatter", x, src, tuple(size), tuple(stride), storage_offset or 0)
