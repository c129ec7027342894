"""Largest and smallest along axes: amax, max, argmax and their opposites.

Room: ops. Where the largest is found more than once, `amax` and `max` without a dimension share the
gradient evenly; `max` along a dimension gives it to the element whose index it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, LOW_PRECISION, int64
from bital.base.size import normalize_dim
from bital.ir.batch import again, along
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.along import put_along
from bital.ops.api import check_tensor, numpy_names, public, type_error
from bital.ops.extremes import maximum, minimum
from bital.ops.reduce import (
    Dims,
    Ints,
    axes,
    check_keepdim,
    check_not_empty,
    hashable_dims,
    reduced,
    widened,
)
from bital.ops.return_types import named, values_and_indices
from bital.tensor.dispatch import apply, composite
from bital.tensor.recorders import unary_with
from bital.tensor.tensor import Tensor


def _share_rule(g: Meta, x: Meta, out: Meta, axis: Ints, nan: bool) -> tuple[Meta, dict]:
    return meta_of(x.shape, g.dtype, g.device), {"axis": axis, "nan": nan}


def _weights(xp: Any, x: Any, out: Any, axis: Ints, nan: bool) -> tuple[Any, Any]:
    """Which elements are the extreme one, and how many of them there are along the axes."""
    kept = tuple([1 if k in axis else n for k, n in enumerate(x.shape)])
    peak = out.reshape(kept)
    mask = x == peak
    if nan:
        mask |= (x != x) & (peak != peak)
    return mask, xp.add.reduce(mask, axis, np.int64, None, True)


def _share_impl(xp: Any, g: Any, x: Any, out: Any, *, axis: Ints, nan: bool) -> Any:
    mask, count = _weights(xp, x, out, axis, nan)
    wide = widened(g.reshape(count.shape))
    return (wide * mask / count.astype(wide.dtype)).astype(g.dtype, order="C", copy=False)


def _collect_rule(h: Meta, x: Meta, out: Meta, axis: Ints, nan: bool) -> tuple[Meta, dict]:
    return meta_of(out.shape, h.dtype, h.device), {"axis": axis, "nan": nan}


def _collect_impl(xp: Any, h: Any, x: Any, out: Any, *, axis: Ints, nan: bool) -> Any:
    mask, count = _weights(xp, x, out, axis, nan)
    wide = widened(h)
    summed = xp.add.reduce(wide * mask, axis, None, None, True) / count.astype(wide.dtype)
    return summed.reshape(out.shape).astype(h.dtype, copy=False)


#: the gradient g shared among equal extremes, and what that does backwards
_SHARE = Op(
    "share_among_equals",
    _share_rule,
    _share_impl,
    inputs=("g", "x", "out_"),
    vjp=(lambda h, x, out_, axis, nan: apply(_COLLECT, (h, x, out_), (axis, nan)), None, None),
    batch=again(0),
)
_COLLECT = Op(
    "collect_from_equals",
    _collect_rule,
    _collect_impl,
    inputs=("h", "x", "out_"),
    vjp=(lambda g, x, out_, axis, nan: apply(_SHARE, (g, x, out_), (axis, nan)), None, None),
    batch=again(0),
)


def _extreme_rule(fn: str, kernel: str) -> Callable:
    def rule(x: Meta, dims: Any, keepdim: bool, *_: Any) -> tuple[Meta, dict]:
        axis = axes(x, dims)
        check_not_empty(x, dims, axis, fn)
        if x.dtype.category == COMPLEX:
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{x.dtype.legacy_name}'")
        return reduced(x, axis, keepdim), {"axis": axis, "keepdims": keepdim}

    return rule


def _max_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool) -> Any:
    return xp.maximum.reduce(x, axis, None, None, keepdims)


def _min_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool) -> Any:
    return xp.minimum.reduce(x, axis, None, None, keepdims)


def _shared(g: Tensor, x: Tensor, out: Tensor, axis: Ints) -> Tensor:
    return apply(_SHARE, (g, x, out), (axis, False))


def shared_or_nan(g: Tensor, x: Tensor, out: Tensor, axis: Ints) -> Tensor:
    """g shared evenly among the elements of x that equal `out` along `axis`, NaN equalling NaN."""
    return apply(_SHARE, (g, x, out), (axis, True))


_AMAX = Op(
    "amax",
    _extreme_rule("amax", "max_values_cpu"),
    _max_impl,
    vjp=(_shared,),
    batch=again(0, all_for_none=True),
)
_AMIN = Op(
    "amin",
    _extreme_rule("amin", "min_values_cpu"),
    _min_impl,
    vjp=(_shared,),
    batch=again(0, all_for_none=True),
)
_MAX_ALL = Op(
    "max", _extreme_rule("max", "max_all"), _max_impl, vjp=(shared_or_nan,),
    grad_fn="MaxBackward1", batch=again(0, all_for_none=True))  # fmt: skip
_MIN_ALL = Op(
    "min", _extreme_rule("min", "min_all"), _min_impl, vjp=(shared_or_nan,),
    grad_fn="MinBackward1", batch=again(0, all_for_none=True))  # fmt: skip


@public(out=True)
@numpy_names
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest along `dim` (all by default); equal ones share the gradient."""
    check_tensor(input, "amax")
    check_keepdim(keepdim, "amax")
    return apply(_AMAX, (input,), (hashable_dims(dim, "amax"), keepdim))


@public(out=True)
@numpy_names
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest along `dim` (all by default); equal ones share the gradient."""
    check_tensor(input, "amin")
    check_keepdim(keepdim, "amin")
    return apply(_AMIN, (input,), (hashable_dims(dim, "amin"), keepdim))


def _index_rule(fn: str) -> Callable:
    def rule(x: Meta, dim: int | None, keepdim: bool, bools: bool = False) -> tuple[Meta, dict]:
        axis = axes(x, dim)
        if not x.numel and dim is None:
            raise IndexError(
                f"{fn}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        check_not_empty(x, dim, axis, fn)
        if x.dtype.category == COMPLEX:
            raise RuntimeError(f"{fn}(): does not support complex input")
        if x.dtype.category == BOOL and not bools:
            raise RuntimeError(f"{fn}(): does not support bool input")
        out = reduced(x, axis, keepdim, int64)
        along = None if dim is None or not axis else axis[0]
        return out, {"along": along, "shape": out.shape, "wide": x.dtype in LOW_PRECISION}

    return rule


def _argmax_impl(xp: Any, x: Any, *, along: int | None, shape: Ints, wide: bool) -> Any:
    found = (x.astype(xp.float32) if wide else x).argmax(along)
    return found if found.shape == shape else found.reshape(shape)


def _argmin_impl(xp: Any, x: Any, *, along: int | None, shape: Ints, wide: bool) -> Any:
    found = (x.astype(xp.float32) if wide else x).argmin(along)
    return found if found.shape == shape else found.reshape(shape)


def _first_native(extreme: str) -> Callable:
    """The first place of an extreme, or of a NaN, in array words."""

    def native(xp: Any, x: Any, *, along: int | None, shape: Ints, wide: bool) -> Any:
        axis, x = (0, x.reshape(-1)) if along is None else (along, x)
        peak = getattr(xp, extreme)(x, axis, keepdims=True)
        hit = (x == peak) | (x != x)
        numbers = xp.iota(x.shape, axis)
        return xp.min(xp.where(hit, numbers, x.shape[axis]), axis).reshape(shape)

    return native


_LARGEST, _SMALLEST = _first_native("max"), _first_native("min")
_ARGMAX = Op("argmax", _index_rule("argmax"), _argmax_impl, batch=along(0), native=_LARGEST)
_ARGMIN = Op("argmin", _index_rule("argmin"), _argmin_impl, batch=along(0), native=_SMALLEST)
_argmax, _argmin = unary_with(_ARGMAX), unary_with(_ARGMIN)
_MAX_INDEX = Op("max_index", _index_rule("max"), _argmax_impl, batch=along(0), native=_LARGEST)
_MIN_INDEX = Op("min_index", _index_rule("min"), _argmin_impl, batch=along(0), native=_SMALLEST)


def _one_dim(dim: Any, fn: str, position: int = 1) -> int | None:
    if dim is None or dim.__class__ is int:
        return dim
    if isinstance(dim, (tuple, list, float, str, bool)) or not hasattr(dim, "__index__"):
        raise type_error(fn, "dim", position, dim, "int")
    return int(dim)


@public(out=True)
@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest is along `dim` (by default of all elements): the first of equals."""
    return _found(_argmax, "argmax", input, dim, keepdim)


@public(out=True)
@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the smallest is along `dim` (by default of all elements): the first of equals."""
    return _found(_argmin, "argmin", input, dim, keepdim)


def _found(record: Callable, fn: str, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    if not isinstance(input, Tensor):
        check_tensor(input, fn)
    if keepdim is not False:
        check_keepdim(keepdim, fn)
    return record(input, (None if dim is None else _one_dim(dim, fn), keepdim))


def picked(name: str, grad_fn: str, rule: Callable) -> Op:
    """The gradient of a function that gives (values, indices): values are elements at indices.

    `rule` says the metas of the two and has `dim` in its attributes.
    """

    def vjp(g: tuple, out1: Tensor, x_shape: Ints, dim: int) -> Tensor:
        return put_along(g[0], out1, x_shape, dim)

    return Op(name, rule, None, vjp=(vjp,), grad_fn=grad_fn)


def _along(name: str, values: Op, indices: Op) -> Callable:
    """max and min along a dimension: two instructions, so that what nobody uses is not computed."""
    find = indices.rule

    def rule(x: Meta, dim: int, keepdim: bool) -> tuple[tuple[Meta, Meta], dict]:
        where = find(x, dim, keepdim, True)[0]
        k = normalize_dim(dim, x.ndim)
        return (meta_of(where.shape, x.dtype, x.device), where), {"dim": k, "keepdims": keepdim}

    def both(x: Tensor, *, dim: int, keepdims: bool) -> tuple[Tensor, Tensor]:
        return apply(values, (x,), (dim, keepdims)), apply(indices, (x,), (dim, keepdims, True))

    op = picked(f"{name}_dim", f"{name.title()}Backward0", rule)
    result = values_and_indices(name)
    return lambda x, dim, keepdim: result(composite(op, both, (x,), (dim, keepdim)))


_max_along = _along("max", _MAX_ALL, _MAX_INDEX)
_min_along = _along("min", _MIN_ALL, _MIN_INDEX)


def _wrong_arguments(fn: str, *args: Any) -> TypeError:
    got = ", ".join(type(a).__name__ for a in args)
    return TypeError(
        f"{fn}() received an invalid combination of arguments - got ({got}), but expected one of:\n"
        " * ()\n * (Tensor other)\n * (int dim, bool keepdim = False)\n"
    )


def _three_forms(
    name: str, whole: Op, along: Callable, of_two: Callable, input: Tensor, dim: Any,
    keepdim: Any, other: Any,
) -> Any:  # fmt: skip
    check_tensor(input, name)
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return of_two(input, other)
    if dim is None:
        return apply(whole, (input,), (None, False))
    if dim.__class__ is not int and (isinstance(dim, bool) or not hasattr(dim, "__index__")):
        raise _wrong_arguments(name, dim)
    if keepdim is not True and keepdim is not False:
        raise _wrong_arguments(name, dim, keepdim)
    return along(input, int(dim), keepdim)


@public(out=True)
@numpy_names
def max_(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Any:
    """The largest element; (values, indices) along `dim`; or the larger of two tensors."""
    return _three_forms("max", _MAX_ALL, _max_along, maximum, input, dim, keepdim, other)


@public(out=True)
@numpy_names
def min_(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Tensor | None = None
) -> Any:
    """The smallest element; (values, indices) along `dim`; or the smaller of two tensors."""
    return _three_forms("min", _MIN_ALL, _min_along, minimum, input, dim, keepdim, other)


def _aminmax_rule(x: Meta, dim: int | None, keepdim: bool) -> tuple[tuple[Meta, Meta], dict]:
    axis = axes(x, dim)
    if not x.numel:
        if dim is None:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has "
                "no identity."
            )
        check_not_empty(x, dim, axis, "aminmax")
    if x.dtype.category == COMPLEX:
        raise NotImplementedError(f"\"aminmax_cpu\" not implemented for '{x.dtype.legacy_name}'")
    out = reduced(x, axis, keepdim)
    return (out, out), {"axis": axis, "keepdims": keepdim}


def _aminmax_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool) -> tuple[Any, Any]:
    return (
        xp.minimum.reduce(x, axis, None, None, keepdims),
        xp.maximum.reduce(x, axis, None, None, keepdims),
    )


def _aminmax_vjp(g: tuple, x: Tensor, out0: Tensor, out1: Tensor, axis: Ints) -> Tensor | None:
    parts = [_shared(h, x, o, axis) for h, o in zip(g, (out0, out1)) if h is not None]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


_AMINMAX = Op("aminmax", _aminmax_rule, _aminmax_impl, vjp=(_aminmax_vjp,), batch=along(0))
_Aminmax = named("aminmax", "min", "max")


@public(out="exact")
@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max) of the whole tensor or along `dim`; equal ones share the gradient."""
    check_tensor(input, "aminmax")
    return _Aminmax(apply(_AMINMAX, (input,), (_one_dim(dim, "aminmax"), keepdim)))
