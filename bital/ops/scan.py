"""Scans: cumulative sums, products and extremes; products; differences and trapezoids.

Room: ops. Gradients of products are exact where elements are zero: they are made of exclusive
products and of first-order linear recurrences, never of quotients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, INT, LOW_PRECISION, dtype, int64
from bital.base.size import normalize_dim
from bital.ir.batch import again, along
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.along import put_along
from bital.ops.api import check_tensor, numpy_names, public, type_error
from bital.ops.broadcast import repeat_over
from bital.ops.family import conj
from bital.ops.reduce import Ints, axes, check_keepdim, reduced, widened
from bital.ops.return_types import values_and_indices
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: the types in which PyTorch accumulates scans on the CPU
_WIDE = {"f": np.dtype(np.float64), "c": np.dtype(np.complex128)}


def from_end(x: Any, axis: int) -> Any:
    """x seen backwards along `axis`."""
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _scan_rule(x: Meta, dim: int, d: dtype | None, reverse: bool) -> tuple:
    axis = normalize_dim(dim, x.ndim)
    target = d or (int64 if x.dtype.category <= INT else x.dtype)
    out = meta_of(x.shape, target, x.device)
    return out, {"axis": axis, "reverse": reverse}, target


def _accumulate(xp: Any, fn: str, x: Any, axis: int, reverse: bool) -> Any:
    if xp is not np:
        return xp.scanned({"add": "sum", "multiply": "prod"}[fn], axis, reverse, x)
    if not x.ndim:
        return x.copy()
    wide = x.astype(np.float32) if x.dtype.kind == "V" else x
    seen = from_end(wide, axis) if reverse else wide
    got = getattr(xp, fn).accumulate(seen, axis, _WIDE.get(wide.dtype.kind, wide.dtype))
    got = from_end(got, axis) if reverse else got
    return xp.ascontiguousarray(got.astype(x.dtype, copy=False))


def _cumsum_impl(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    return _accumulate(xp, "add", x, axis, reverse)


_CUMSUM = Op(
    "cumsum",
    _scan_rule,
    _cumsum_impl,
    vjp=(lambda g, axis, reverse: apply(_CUMSUM, (g,), (axis, g._meta.dtype, not reverse)),),
    batch=again(0),
)


def _check_dim(dim: Any, fn: str) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise type_error(fn, "dim", 1, dim, "int")
    return int(dim)


@public(inplace=True, out=True)
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """Sums of the elements up to each one along `dim`; integers are summed in int64."""
    check_tensor(input, "cumsum")
    return apply(_CUMSUM, (input,), (_check_dim(dim, "cumsum"), dtype, False))


def _shift_impl(xp: Any, x: Any, *, axis: int, by: int, fill: int) -> Any:
    """x moved by one place along `axis`, `fill` coming in at the end that is left free."""
    if not x.ndim:
        return np.asarray(fill, x.dtype)
    out = xp.full(x.shape, fill, x.dtype)
    lead = (slice(None),) * axis
    ahead, behind = lead + (slice(1, None),), lead + (slice(None, -1),)
    if by > 0:
        out[ahead] = x[behind]
    else:
        out[behind] = x[ahead]
    return out


_SHIFT = Op(
    "shift",
    lambda x, axis, by, fill: (x, {"axis": axis, "by": by, "fill": fill}),
    _shift_impl,
    vjp=(lambda g, axis, by: apply(_SHIFT, (g,), (axis, -by, 0)),),
    batch=again(0),
)


def _recur_impl(xp: Any, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    """y[k] = b[k] + a[k] y[k-1] (of y[k+1] if `reverse`), by doubling the reach of each step."""
    if not b.ndim:
        return b.copy()
    factor, total = np.moveaxis(widened(a), axis, 0).copy(), np.moveaxis(widened(b), axis, 0).copy()
    if reverse:
        factor, total = factor[::-1], total[::-1]
    n, reach = total.shape[0], 1
    while reach < n:
        total[reach:] += factor[reach:] * total[:-reach].copy()
        factor[reach:] *= factor[:-reach].copy()
        factor[:reach] = 0
        reach *= 2
    total = total[::-1] if reverse else total
    return xp.ascontiguousarray(np.moveaxis(total, 0, axis).astype(b.dtype, copy=False))


def _recur_vjp_a(g: Tensor, a: Tensor, out: Tensor, axis: int, reverse: bool) -> Tensor:
    before = apply(_SHIFT, (out,), (axis, -1 if reverse else 1, 0))
    return _adjoint(g, a, axis, reverse) * conj(before)


def _adjoint(g: Tensor, a: Tensor, axis: int, reverse: bool) -> Tensor:
    """The gradient of what a recurrence adds: the recurrence the other way."""
    factor = apply(_SHIFT, (conj(a),), (axis, 1 if reverse else -1, 0))
    return apply(_RECUR, (factor, g), (axis, not reverse))


_RECUR = Op(
    "linear_recurrence",
    lambda a, b, axis, reverse: (b, {"axis": axis, "reverse": reverse}),
    _recur_impl,
    inputs=("a", "b"),
    vjp=(_recur_vjp_a, _adjoint),
    batch=again(0),
    native=lambda xp, a, b, *, axis, reverse: xp.scanned("recur", axis, reverse, b, a),
)


def _cumprod_impl(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    return _accumulate(xp, "multiply", x, axis, reverse)


def _exclusive(x: Tensor, axis: int, reverse: bool) -> Tensor:
    """The product of the elements before each one (after, if `reverse`)."""
    upto = apply(_CUMPROD, (x,), (axis, x._meta.dtype, reverse))
    return apply(_SHIFT, (upto,), (axis, -1 if reverse else 1, 1))


def _cumprod_vjp(g: Tensor, x: Tensor, axis: int, reverse: bool) -> Tensor:
    # dx[i] = prod(x[:i]) S[i], where S[i] = sum over k >= i of g[k] prod(x[i+1..k])
    #       = g[i] + x[i+1] S[i+1]
    x = conj(x.to(g._meta.dtype))
    following = apply(_SHIFT, (x,), (axis, 1 if reverse else -1, 0))
    return _exclusive(x, axis, reverse) * apply(_RECUR, (following, g), (axis, not reverse))


_CUMPROD = Op("cumprod", _scan_rule, _cumprod_impl, vjp=(_cumprod_vjp,), batch=again(0))


@public(inplace=True, out=True)
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """Products of the elements up to each one along `dim`; integers are multiplied in int64."""
    check_tensor(input, "cumprod")
    return apply(_CUMPROD, (input,), (_check_dim(dim, "cumprod"), dtype, False))


def _prod_rule(x: Meta, dim: int | None, keepdim: bool, d: dtype | None) -> tuple:
    axis = axes(x, dim)
    target = d or (int64 if x.dtype.category <= INT else x.dtype)
    attrs = {"axis": axis, "keepdims": keepdim, "dim": dim}
    return reduced(x, axis, keepdim, target), attrs, target


def _prod_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool, dim: int | None) -> Any:
    got = xp.multiply.reduce(widened(x), axis, None, None, keepdims)
    return got.astype(x.dtype) if got.dtype != x.dtype else got


def _prod_vjp(g: Tensor, x: Tensor, axis: Ints) -> Tensor:
    shape = x._meta.shape
    g = repeat_over(g, shape, axis)
    x = conj(x.to(g._meta.dtype))
    if not shape:
        return g
    if len(axis) > 1:
        flat = x.reshape(-1)
        others = _exclusive(flat, 0, False) * _exclusive(flat, 0, True)
        return g * others.reshape(shape)
    return g * (_exclusive(x, axis[0], False) * _exclusive(x, axis[0], True))


_PROD = Op(
    "prod", _prod_rule, _prod_impl, vjp=(_prod_vjp,), grad_fn="ProdBackward0", batch=along(0)
)
_PROD_DIM = Op(
    "prod_dim", _prod_rule, _prod_impl, vjp=(_prod_vjp,), grad_fn="ProdBackward1", batch=along(0)
)


@public(out=True)
@numpy_names
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The product of all elements, or along `dim`; integers are multiplied in int64."""
    check_tensor(input, "prod")
    if dim is None:
        return apply(_PROD, (input,), (None, False, dtype))
    check_keepdim(keepdim, "prod")
    return apply(_PROD_DIM, (input,), (_check_dim(dim, "prod"), keepdim, dtype))


def _extreme_impl(name: str) -> Callable:
    def impl(xp: Any, x: Any, *, axis: int) -> tuple[Any, Any]:
        if not x.ndim:
            return x.copy(), np.zeros((), np.int64)
        best = getattr(xp, name).accumulate(x, axis)
        places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        found = xp.maximum.accumulate(xp.where((x == best) | (x != x), places, 0), axis)
        return xp.ascontiguousarray(best), xp.ascontiguousarray(found)

    return impl


def _extreme_rule(x: Meta, dim: int) -> tuple[tuple[Meta, Meta], dict]:
    axis = normalize_dim(dim, x.ndim)
    return (x, meta_of(x.shape, int64, x.device)), {"axis": axis}


def _extreme_vjp(g: tuple, out1: Tensor, x_shape: Ints, axis: int) -> Tensor:
    return put_along(g[0], out1, x_shape, axis, add=True)


def _cumulative_extreme(name: str, fn: str, doc: str) -> None:
    op = Op(name, _extreme_rule, _extreme_impl(fn), vjp=(_extreme_vjp,))
    result = values_and_indices(name)

    def scan(input: Tensor, dim: int) -> Any:
        check_tensor(input, name)
        if input._meta.dtype.category == COMPLEX:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{input._meta.dtype.legacy_name}'"
            )
        return result(apply(op, (input,), (_check_dim(dim, name),)))

    scan.__doc__ = doc
    public(name=name, out=True)(numpy_names(scan))


_cumulative_extreme(
    "cummax", "maximum", "(values, indices) of the largest up to each element: the last of equals."
)
_cumulative_extreme(
    "cummin", "minimum", "(values, indices) of the smallest up to each element: the last of equals."
)


def _logcumsumexp_rule(x: Meta, dim: int, reverse: bool) -> tuple:
    if x.dtype.category <= INT:
        raise NotImplementedError(
            f"\"logcumsumexp_out_cpu\" not implemented for '{x.dtype.legacy_name}'"
        )
    return x, {"axis": normalize_dim(dim, x.ndim), "reverse": reverse}


def _complex_logcumsumexp(xp: Any, x: Any, axis: int) -> Any:
    """One element after another along `axis`, so that phases add up as PyTorch's do, unwrapped."""
    rows = np.moveaxis(x, axis, 0)
    out = np.empty_like(rows)
    total = np.full(rows.shape[1:], -np.inf, x.dtype)
    for k, row in enumerate(rows):
        smaller = row.real < total.real
        low, high = xp.where(smaller, row, total), xp.where(smaller, total, row)
        with np.errstate(all="ignore"):
            joined = np.log1p(xp.exp(low - high)) + high
        none = np.isneginf(high.real)  # both are the logarithm of 0
        out[k] = total = xp.where(none, low, joined)
    return xp.ascontiguousarray(np.moveaxis(out, 0, axis))


def _logcumsumexp_impl(xp: Any, x: Any, *, axis: int, reverse: bool) -> Any:
    if x.dtype.kind == "c" and x.ndim:
        return _complex_logcumsumexp(xp, x, axis)
    return _accumulate(xp, "logaddexp", x, axis, reverse)


def _logcumsumexp_vjp(g: Tensor, x: Tensor, out: Tensor, axis: int, reverse: bool) -> Tensor:
    if x._meta.dtype in LOW_PRECISION:  # the rounding of `out` would be magnified
        wide = x.float()
        again = apply(_LOGCUMSUMEXP, (wide,), (axis, reverse))
        return _logcumsumexp_vjp(g.float(), wide, again, axis, reverse).to(x._meta.dtype)
    # dx[i] = exp(x[i] - y[i]) S[i] with S[i] = sum over k >= i of g[k] exp(y[i] - y[k])
    fade = out - apply(_SHIFT, (out,), (axis, 1 if reverse else -1, 0))
    if fade._meta.dtype.category == COMPLEX:
        ones = g.new_ones(g._meta.shape)
        fade = fade * apply(_SHIFT, (ones,), (axis, 1 if reverse else -1, 0))  # 0 at the end
    if fade._meta.dtype.category != COMPLEX:
        fade = fade.clamp(max=0)  # the end compares with nothing
    x, out, fade = conj(x), conj(out), conj(fade)
    following = apply(_RECUR, (fade.exp(), g), (axis, not reverse))
    return (x - out).exp() * following


_LOGCUMSUMEXP = Op(
    "logcumsumexp", _logcumsumexp_rule, _logcumsumexp_impl, vjp=(_logcumsumexp_vjp,), batch=again(0)
)


@public(out=True)
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """`log(cumsum(exp(input)))` along `dim`, without overflow."""
    check_tensor(input, "logcumsumexp")
    return apply(_LOGCUMSUMEXP, (input,), (_check_dim(dim, "logcumsumexp"), False))
