"""Reductions: sums, means, products, counts, any and all.

Room: ops. Extremes are in `peaks.py`, variances in `variance.py`, norms in `norms.py`.
A reduction's gradient is repeated over the axes it ran over.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT, LOW_PRECISION, dtype, int64, uint8
from bital.base.dtype import bool_ as bool_dtype
from bital.base.size import normalize_dims, reduced_shape
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, method, numpy_names, public, type_error
from bital.ops.broadcast import repeat_over
from bital.ops.family import masked_op, to_float
from bital.tensor.dispatch import apply
from bital.tensor.recorders import unary_with
from bital.tensor.tensor import Tensor

Ints = tuple[int, ...]
Dims = int | tuple[int, ...] | list[int] | None

#: the default of `dim`: no dimensions were given, which makes another node than None does
WHOLE: Any = type("_Whole", (tuple,), {"__slots__": ()})()

#: sums of more rows than this are made of sums of so many, so that rounding errors do not pile up
_FEW_ROWS = 128


def hashable_dims(dim: Any, fn: str) -> Any:
    """`dim` as None, an int or a tuple of ints, or PyTorch's TypeError."""
    if dim is None or dim.__class__ is int:
        return dim
    if dim is WHOLE:
        return None
    try:
        if isinstance(dim, (tuple, list)):
            return tuple([d if d.__class__ is int else operator.index(d) for d in dim])
        return operator.index(dim)
    except TypeError:
        raise TypeError(
            f"{fn}() received an invalid combination of arguments - got ({type(dim).__name__}), "
            "but expected one of:\n * (*, torch.dtype dtype = None)\n * (tuple of ints dim, bool "
            "keepdim = False, *, torch.dtype dtype = None)\n"
        ) from None


def check_keepdim(keepdim: Any, fn: str) -> None:
    """PyTorch's TypeError where `keepdim` is no bool."""
    if keepdim is not True and keepdim is not False:
        raise type_error(fn, "keepdim", 2, keepdim, "bool")


def axes(x: Meta, dims: Any) -> Ints:
    """The axes a reduction over `dims` runs over: all for None and for none at all."""
    if dims is None or dims == ():
        return tuple(range(x.ndim))
    found = normalize_dims(dims, x.ndim)
    return found if x.ndim else ()


def reduced(x: Meta, axis: Ints, keepdim: bool, d: dtype | None = None) -> Meta:
    """The meta of a reduction of x over `axis`."""
    return meta_of(reduced_shape(x.shape, axis, keepdim), d or x.dtype, x.device)


def check_not_empty(x: Meta, dims: Any, axis: Ints, fn: str) -> None:
    """PyTorch's errors for a reduction that has no value for no elements."""
    if x.numel:
        return
    if dims is None or dims == ():
        raise RuntimeError(
            f"{fn}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    for k in axis:
        if not x.shape[k]:
            raise IndexError(f"{fn}(): Expected reduction dim {k} to have non-zero size.")


def runs_of(shape: Ints, axis: Ints) -> tuple[Ints, ...] | None:
    """How a sum over `axis` is to be divided: (outer, rows, inner) per run of axes, last run first.

    None where NumPy's own reduction is as accurate: it adds pairwise along the last axis, but row
    by row along others, which for many rows loses digits.
    """
    runs: list[list[int]] = []
    for k in sorted(axis):
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    found = []
    left = list(shape)
    for run in reversed(runs):
        rows = math.prod(left[run[0] : run[-1] + 1])
        inner = math.prod(left[run[-1] + 1 :])
        found.append((math.prod(left[: run[0]]), rows, inner))
        for k in run:
            left[k] = 1
    return tuple(found) if any(i > 1 and rows > _FEW_ROWS for _, rows, i in found) else None


@functools.lru_cache
def _ones(kind: np.dtype) -> np.ndarray:
    return np.ones(_FEW_ROWS, kind)


def _fewer_rows(xp: Any, x: Any) -> Any:
    """x (outer, rows, inner) with its rows added up to no more than a few."""
    outer, rows, inner = x.shape
    while rows > _FEW_ROWS:
        if outer == 1:  # sums of blocks of rows, as products with ones: BLAS adds fastest
            blocks = rows // _FEW_ROWS
            whole = blocks * _FEW_ROWS
            y = xp.matmul(_ones(x.dtype), x[0, :whole].reshape(blocks, _FEW_ROWS, inner))
            if whole < rows:
                y[0] += xp.add.reduce(x[0, whole:], axis=0)
            x, rows = y[None], blocks
        else:
            half = rows // 2
            y = xp.add(x[:, :half], x[:, half : 2 * half])
            if rows & 1:
                y[:, 0] += x[:, -1]
            x, rows = y, half
    return x


def _over_runs(xp: Any, x: Any, runs: tuple[Ints, ...]) -> Any:
    """The sum over runs of axes, flat."""
    for run in runs:
        x = x.reshape(run)
        x = xp.add.reduce(_fewer_rows(xp, x) if run[2] > 1 else x, axis=1)
    return x


def total(xp: Any, x: Any, axis: Ints, keepdims: bool, runs: tuple | None, d: Any = None) -> Any:
    """The sum of floats x over `axis`; half precision must have been widened before."""
    if runs is None or xp is not np:
        return xp.add.reduce(x, axis, d, None, keepdims)
    summed = _over_runs(xp, x if d is None else x.astype(d, copy=False), runs)
    return summed.reshape(reduced_shape(x.shape, axis, keepdims))


def widened(x: Any) -> Any:
    """Half-precision numbers as float32, in which they are accumulated."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def _sum_rule(x: Meta, dims: Any, keepdim: bool, d: dtype | None) -> tuple:
    axis = axes(x, dims)
    target = d or (int64 if x.dtype.category <= INT else x.dtype)
    # a narrower kind of number is converted before it is summed, a wider one while it is
    before = target if target.category < x.dtype.category or target.category == BOOL else None
    kind = before or x.dtype
    runs = runs_of(x.shape, axis) if target.category > INT else None
    how = "plain"
    if kind.category == BOOL and target.category <= INT:
        how = "count" if target.category == INT and len(axis) == x.ndim and not keepdim else "wider"
    elif kind in LOW_PRECISION or target in LOW_PRECISION:
        how = "half"
    elif kind is not target or target.category == INT:  # NumPy would widen narrow integers
        how = "wider"
    attrs = {"axis": axis, "keepdims": keepdim, "how": how, "target": target.np, "runs": runs}
    out = reduced(x, axis, keepdim, target)
    return (out, attrs) if before is None else (out, attrs, before)


def _sum_impl(
    xp: Any, x: Any, *, axis: Ints, keepdims: bool, how: str, target: np.dtype, runs: tuple | None
) -> Any:
    if how == "plain" and runs is None:
        return xp.add.reduce(x, axis, None, None, keepdims)
    if how == "count":
        return target.type(xp.count_nonzero(x))
    if how == "half":
        return total(xp, widened(x), axis, keepdims, runs).astype(target)
    return total(xp, x, axis, keepdims, runs, target)


def _sum_native(
    xp: Any, x: Any, *, axis: Ints, keepdims: bool, how: str, target: np.dtype, runs: tuple | None
) -> Any:
    return xp.sum(x.astype(target), axis, target, keepdims=keepdims)


def _repeat(g: Tensor, x_shape: Ints, axis: Ints) -> Tensor:
    return repeat_over(g, x_shape, axis)


_SUM = Op(
    "sum",
    _sum_rule,
    _sum_impl,
    vjp=(_repeat,),
    grad_fn="SumBackward0",
    batch=again(0, all_for_none=True),
    native=_sum_native,
)
_SUM_DIM = Op(
    "sum_dim",
    _sum_rule,
    _sum_impl,
    vjp=(_repeat,),
    grad_fn="SumBackward1",
    batch=again(0, all_for_none=True),
    native=_sum_native,
)
_sum_all, _sum_over = unary_with(_SUM), unary_with(_SUM_DIM)
#: the attributes of a reduction of all elements to one of their dtype
_WHOLE = (None, False, None)


@public(out=True)
@numpy_names
def sum_(
    input: Tensor, dim: Dims = WHOLE, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` (all by default), as `torch.sum`; integers are summed in int64."""
    if not isinstance(input, Tensor):
        check_tensor(input, "sum")
    if dim is WHOLE and keepdim is False:
        return _sum_all(input, _WHOLE if dtype is None else (None, False, dtype))
    check_keepdim(keepdim, "sum")
    return _sum_over(input, (hashable_dims(dim, "sum"), keepdim, dtype))


@method
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the axes that broadcasting from `size` would have repeated."""
    target = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    if not target:
        return sum_(self)
    shape = self._meta.shape
    lead = len(shape) - len(target)
    fits = lead >= 0 and all(t in (1, n) for t, n in zip(target, shape[lead:]))
    if not fits:
        raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(shape)}}}.")
    dims = tuple(range(lead)) + tuple(
        [lead + k for k, n in enumerate(target) if n == 1 and shape[lead + k] != 1]
    )
    if not dims:
        return self
    if self._meta.dtype.category <= INT:
        self = self.to(int64)
    if len(dims) == lead:
        return _sum_over(self, (dims, False, None))
    summed = _sum_over(self, (dims, True, None))
    return summed.reshape(target) if lead else summed


def _mean_rule(x: Meta, dims: Any, keepdim: bool, d: dtype | None) -> tuple:
    kind = d or x.dtype
    if kind.category <= INT:
        raise RuntimeError(
            f"mean(): could not infer output dtype. {'Input' if d is None else 'Optional'} dtype "
            f"must be either a floating point or complex dtype. Got: {kind.legacy_name}"
        )
    axis = axes(x, dims)
    half = kind in LOW_PRECISION
    attrs = {
        "axis": axis, "keepdims": keepdim, "runs": runs_of(x.shape, axis),
        "count": math.prod([x.shape[k] for k in axis]), "half": kind.np if half else None,
    }  # fmt: skip
    return reduced(x, axis, keepdim, kind), attrs, kind


def _mean_impl(
    xp: Any, x: Any, *, axis: Ints, keepdims: bool, runs: tuple | None, count: int, half: Any
) -> Any:
    if half is not None:
        summed = total(xp, x.astype(np.float32), axis, keepdims, runs)
        return (summed / np.float32(count)).astype(half)
    summed = total(xp, x, axis, keepdims, runs)
    return summed / summed.dtype.type(count)


def _mean_vjp(g: Tensor, x_shape: Ints, axis: Ints, count: int) -> Tensor:
    return repeat_over(g / count, x_shape, axis)


_MEAN = Op(
    "mean",
    _mean_rule,
    _mean_impl,
    vjp=(_mean_vjp,),
    grad_fn="MeanBackward0",
    batch=again(0, all_for_none=True),
)
_MEAN_DIM = Op(
    "mean_dim",
    _mean_rule,
    _mean_impl,
    vjp=(_mean_vjp,),
    grad_fn="MeanBackward1",
    batch=again(0, all_for_none=True),
)
_mean_all, _mean_over = unary_with(_MEAN), unary_with(_MEAN_DIM)


@public(out=True)
@numpy_names
def mean(
    input: Tensor, dim: Dims = WHOLE, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over `dim` (all by default), as `torch.mean`; integers need a `dtype`."""
    if not isinstance(input, Tensor):
        check_tensor(input, "mean")
    if dim is WHOLE and keepdim is False:
        return _mean_all(input, _WHOLE if dtype is None else (None, False, dtype))
    check_keepdim(keepdim, "mean")
    return _mean_over(input, (hashable_dims(dim, "mean"), keepdim, dtype))


def _nansum_rule(x: Meta, dims: Any, keepdim: bool, d: dtype | None) -> tuple:
    if x.dtype.category == COMPLEX:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    return _sum_rule(x, dims, keepdim, d)


def _nansum_impl(xp: Any, x: Any, **attrs: Any) -> Any:
    return _sum_impl(xp, xp.where(x != x, x.dtype.type(0), x), **attrs)


_WHERE_NUMBER = masked_op("nansum_backward", lambda xp, x: x == x)
_NANSUM = Op(
    "nansum",
    _nansum_rule,
    _nansum_impl,
    vjp=(lambda g, x, axis: apply(_WHERE_NUMBER, (repeat_over(g, x._meta.shape, axis), x)),),
    batch=again(0, all_for_none=True),
)


@public(out=True)
@numpy_names
def nansum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` of what is not NaN, as `torch.nansum`."""
    if check_tensor(input, "nansum")._meta.dtype.category <= INT:
        return sum_(input, dim, keepdim, dtype=dtype)
    return apply(_NANSUM, (input,), (hashable_dims(dim, "nansum"), keepdim, dtype))


@public(out=True)
@numpy_names
def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over `dim` of what is not NaN, as `torch.nanmean`."""
    if check_tensor(input, "nanmean")._meta.dtype.category <= INT:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input._meta.dtype.legacy_name}"
        )
    known = sum_(input.detach() == input.detach(), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / known


def _truth_rule(x: Meta, dims: Any, keepdim: bool, everything: bool) -> tuple[Meta, dict]:
    axis = () if dims == () and not everything else axes(x, dims)
    out = reduced(x, axis, keepdim, uint8 if x.dtype is uint8 else bool_dtype)
    return out, {"axis": axis, "keepdims": keepdim, "target": out.np}


def _any_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool, target: np.dtype) -> Any:
    if x.dtype.kind != "b":
        x = x != 0
    return xp.logical_or.reduce(x, axis, None, None, keepdims).astype(target)


def _all_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool, target: np.dtype) -> Any:
    if x.dtype.kind != "b":
        x = x != 0
    return xp.logical_and.reduce(x, axis, None, None, keepdims).astype(target)


_ANY = Op("any", _truth_rule, _any_impl, batch=again(0))
_ALL = Op("all", _truth_rule, _all_impl, batch=again(0))


@public(out=True)
@numpy_names
def any_(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element along `dim` is not zero; uint8 gives uint8, all else bool."""
    check_tensor(input, "any")
    check_keepdim(keepdim, "any")
    return apply(_ANY, (input,), (hashable_dims(dim, "any"), keepdim, dim is None))


@public(out=True)
@numpy_names
def all_(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements along `dim` are not zero; uint8 gives uint8, all else bool."""
    check_tensor(input, "all")
    check_keepdim(keepdim, "all")
    return apply(_ALL, (input,), (hashable_dims(dim, "all"), keepdim, dim is None))


def _count_rule(x: Meta, dims: Any) -> tuple[Meta, dict]:
    axis = axes(x, dims)
    return reduced(x, axis, False, int64), {"axis": axis}


_COUNT = Op(
    "count_nonzero",
    _count_rule,
    lambda xp, x, *, axis: xp.add.reduce(x != 0, axis, xp.int64),
    batch=again(0, all_for_none=True),
)


@public()
@numpy_names
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements along `dim` are not zero, as int64."""
    check_tensor(input, "count_nonzero")
    return apply(_COUNT, (input,), (hashable_dims(dim, "count_nonzero"),))


def _logsumexp_rule(x: Meta, dims: Any, keepdim: bool) -> tuple:
    d = to_float(x.dtype)
    axis = axes(x, dims)
    attrs = {"axis": axis, "keepdims": keepdim, "runs": runs_of(x.shape, axis)}
    return reduced(x, axis, keepdim, d), attrs, d


def _logsumexp_impl(xp: Any, x: Any, *, axis: Ints, keepdims: bool, runs: tuple | None) -> Any:
    wide = widened(x)
    shape = reduced_shape(x.shape, axis, keepdims)
    if not x.size:
        return xp.full(shape, -np.inf, x.dtype)
    top = xp.maximum.reduce(wide.real, axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, top.dtype.type(0))
    shifted = wide - top
    powers = xp.exp(shifted, out=shifted) if shifted.ndim else xp.exp(shifted)
    summed = total(xp, powers, axis, True, runs)
    return (xp.log(summed) + top).reshape(shape).astype(x.dtype, copy=False)


def _logsumexp_vjp(g: Tensor, x: Tensor, out: Tensor, axis: Ints) -> Tensor:
    shape = x._meta.shape
    share = (x - repeat_over(out, shape, axis)).exp()
    if share._meta.dtype.category == COMPLEX:
        share = share.conj()
    return repeat_over(g, shape, axis) * share


_LOGSUMEXP = Op(
    "logsumexp",
    _logsumexp_rule,
    _logsumexp_impl,
    vjp=(_logsumexp_vjp,),
    batch=again(0, all_for_none=True),
)


@public(out=True)
@numpy_names
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """`log(sum(exp(input)))` along `dim`, without overflow, as `torch.logsumexp`."""
    check_tensor(input, "logsumexp")
    check_keepdim(keepdim, "logsumexp")
    return apply(_LOGSUMEXP, (input,), (hashable_dims(dim, "logsumexp"), keepdim))


public("special", name="logsumexp", method=False, out=True)(logsumexp)


def _trace_rule(x: Meta) -> tuple[Meta, dict]:
    if x.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {x.ndim}")
    if x.dtype.category == BOOL:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    d = int64 if x.dtype.category == INT else x.dtype
    return meta_of((), d, x.device), {"target": d.np}


def _trace_impl(xp: Any, x: Any, *, target: np.dtype) -> Any:
    return xp.add.reduce(widened(x).diagonal()).astype(target)


def _on_diagonal(xp: Any, g: Any, *, shape: Ints) -> Any:
    out = xp.zeros(shape, g.dtype)
    xp.fill_diagonal(out[: shape[1]], g)  # a tall matrix is not to be wrapped around
    return out


def _on_diagonal_native(xp: Any, g: Any, *, shape: Ints) -> Any:
    return xp.where(xp.equal(xp.iota(shape, 0), xp.iota(shape, 1)), g, g.dtype.type(0))


_ON_DIAGONAL = Op(
    "trace_backward",
    lambda g, shape: (meta_of(shape, g.dtype, g.device), {"shape": shape}),
    _on_diagonal,
    vjp=(lambda g: trace(g),),
    native=_on_diagonal_native,
)
_TRACE = Op(
    "trace",
    _trace_rule,
    _trace_impl,
    vjp=(lambda g, x_shape: apply(_ON_DIAGONAL, (g,), (x_shape,)),),
)


@public()
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal; integers are summed in int64."""
    return apply(_TRACE, (check_tensor(input, "trace"),))
