"""Order: sort, argsort, topk, kthvalue, median, mode, quantile.

Room: ops. Sorting is always stable, and NaN counts as larger than every number, as in PyTorch. What
these functions give are elements of their input, so gradients go back to where they stood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, float32, float64, int64
from bital.base.size import normalize_dim, reduced_shape
from bital.base.stride import preserved_strides, reshape_strides
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.along import take_along
from bital.ops.api import check_tensor, numpy_names, public, type_error
from bital.ops.peaks import picked, shared_or_nan
from bital.ops.products import in_shape
from bital.ops.reduce import Ints, axes, reduced
from bital.ops.return_types import values_and_indices
from bital.ops.window import laid_out
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor, make_view, strides_of, values_of

#: from this length on, a few largest elements are found without sorting the rest
_LONG = 64


def sortable(x: Any) -> Any:
    """Numbers of the same order that NumPy sorts fast."""
    if x.dtype.kind == "b":
        return x.view(np.uint8)
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def order_along(x: Any, axis: int, descending: bool) -> Any:
    """Where the elements along `axis` come from when they are sorted, equal ones in their order."""
    x = sortable(x)
    if not descending:
        return np.argsort(x, axis, "stable")
    back = (slice(None),) * axis + (slice(None, None, -1),)
    return (x.shape[axis] - 1 - np.argsort(x[back], axis, "stable"))[back]


def _no_complex(x: Meta, what: str) -> None:
    if x.dtype.category == COMPLEX:
        raise RuntimeError(what)


def _order_rule(x: Meta, axis: int, descending: bool) -> tuple[Meta, dict]:
    _no_complex(x, " Sort does not support complex dtypes on CPU")
    return meta_of(x.shape, int64, x.device), {"axis": axis, "descending": descending}


def _order_impl(xp: Any, x: Any, *, axis: int, descending: bool) -> Any:
    if not x.ndim:
        return np.zeros((), np.int64)
    return xp.ascontiguousarray(order_along(x, axis, descending))


_ORDER = Op("argsort", _order_rule, _order_impl, batch=again(0))


def _pair_rule(x: Meta, axis: int, descending: bool) -> tuple[tuple[Meta, Meta], dict]:
    found = _order_rule(x, axis, descending)[0]
    return (x, found), {"dim": axis, "descending": descending}


def _sorted(x: Tensor, *, dim: int, descending: bool) -> tuple[Tensor, Tensor]:
    found = apply(_ORDER, (x,), (dim, descending))
    values = take_along(x, found, dim)
    if x._view is not None:
        strides = tuple(preserved_strides(tuple(x._meta.shape), strides_of(x)))
        if strides != x._meta.strides:
            return laid_out(values, strides), laid_out(found, strides)
    return values, found


_SORT = picked("sort", "SortBackward0", _pair_rule)
_SORT_STABLE = picked("sort_stable", "SortBackward1", _pair_rule)
_Sort = values_and_indices("sort")


def _dim_and_flag(dim: Any, fn: str) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(
            f"{fn}() received an invalid combination of arguments - got ({type(dim).__name__}), "
            "but expected one of:\n * (*, bool stable, int dim = -1, bool descending = False)\n"
            " * (int dim = -1, bool descending = False)\n"
        )
    return int(dim)


@public(out=True)
@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Any:
    """(values, indices) sorted along `dim`, equal elements in their order; NaN is the largest."""
    k = normalize_dim(_dim_and_flag(dim, "sort"), check_tensor(input, "sort")._meta.ndim)
    op = _SORT if stable is None else _SORT_STABLE
    return _Sort(composite(op, _sorted, (input,), (k, bool(descending))))


@public(out=True)
@numpy_names
def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Tensor:
    """Where the elements come from when they are sorted along `dim`, as int64."""
    k = normalize_dim(_dim_and_flag(dim, "argsort"), check_tensor(input, "argsort")._meta.ndim)
    return _sorted(input.detach(), dim=k, descending=bool(descending))[1]


@public(out=True)
def msort(input: Tensor) -> Tensor:
    """The elements sorted along the first dimension, as `torch.msort`."""
    return sort(input, 0)[0]


def _topk_rule(x: Meta, k: int, axis: int, largest: bool) -> tuple[tuple[Meta, Meta], dict]:
    if not 0 <= k <= (x.shape[axis] if x.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if x.dtype.category in (BOOL, COMPLEX):
        raise NotImplementedError(f"\"topk_cpu\" not implemented for '{x.dtype.legacy_name}'")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :]) if x.ndim else ()
    out = meta_of(shape, x.dtype, x.device)
    return (out, meta_of(shape, int64, x.device)), {"k": k, "dim": axis, "largest": largest}


def _topk_indices(xp: Any, x: Any, *, k: int, axis: int, largest: bool) -> Any:
    if not x.ndim:
        return np.zeros((), np.int64)
    lead = (slice(None),) * axis
    n = x.shape[axis]
    if n < _LONG or k > n // 8 or not k:
        return xp.ascontiguousarray(order_along(x, axis, largest)[lead + (slice(0, k),)])
    x = sortable(x)
    if largest:
        few = xp.argpartition(x, n - k, axis)[lead + (slice(n - k, None),)]
    else:
        few = xp.argpartition(x, k - 1, axis)[lead + (slice(0, k),)]
    few = xp.sort(few, axis)
    order = order_along(xp.take_along_axis(x, few, axis), axis, largest)
    return xp.take_along_axis(few, order, axis)


_TOPK_INDICES = Op(
    "topk_indices",
    lambda x, k, axis, largest: (
        _topk_rule(x, k, axis, largest)[0][1], {"k": k, "axis": axis, "largest": largest},
    ),
    _topk_indices, batch=again(1))  # fmt: skip


def _topk(x: Tensor, *, k: int, dim: int, largest: bool) -> tuple[Tensor, Tensor]:
    found = apply(_TOPK_INDICES, (x,), (k, dim, largest))
    return take_along(x, found, dim), found


_TOPK = picked("topk", "TopkBackward0", _topk_rule)
_Topk = values_and_indices("topk")


def _count(k: Any, fn: str) -> int:
    """The argument `k`, which must be an int."""
    if isinstance(k, (bool, float, str)) or not hasattr(k, "__index__"):
        raise type_error(fn, "k", 1, k, "int")
    return int(k)


@public(out=True)
@numpy_names
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """(values, indices) of the k largest (or smallest) along `dim`, the most extreme first."""
    axis = normalize_dim(dim, check_tensor(input, "topk")._meta.ndim)
    k = _count(k, "topk")
    return _Topk(composite(_TOPK, _topk, (input,), (k, axis, bool(largest))))


def _one_index(name: str, find: Callable, check: Callable) -> Op:
    """The Op of the index of one element per slice; `find(keys, …)` gives it in the last axis."""

    def rule(x: Meta, dim: int, keepdim: bool, *args: Any) -> tuple[Meta, dict]:
        axis = normalize_dim(dim, x.ndim)
        check(x, axis, *args)
        out = reduced(x, axes(x, dim), keepdim, int64)
        return out, {"axis": axis, "shape": out.shape, "args": args}

    def impl(xp: Any, x: Any, *, axis: int, shape: Ints, args: tuple) -> Any:
        if not x.ndim or not math.prod(shape):
            return np.zeros(shape, np.int64)
        found = find(np.moveaxis(sortable(x), axis, -1), *args)
        return xp.ascontiguousarray(found).reshape(shape)

    return Op(name, rule, impl)


def _pick(name: str, indices: Op, grad_fn: str) -> Callable:
    """(values, indices) of one element per slice, and its gradient."""

    def rule(x: Meta, dim: int, keepdim: bool, *args: Any) -> tuple[tuple[Meta, Meta], dict]:
        found = indices.rule(x, dim, keepdim, *args)[0]
        axis = normalize_dim(dim, x.ndim)
        attrs = {"dim": axis, "keepdim": keepdim, "args": args}
        return (meta_of(found.shape, x.dtype, x.device), found), attrs

    def both(x: Tensor, *, dim: int, keepdim: bool, args: tuple) -> tuple[Tensor, Tensor]:
        found = apply(indices, (x,), (dim, keepdim, *args))
        return take_along(x, found, dim), found

    op = picked(f"{name}_dim", grad_fn, rule)
    result = values_and_indices(name)
    return lambda x, dim, keepdim, *args: result(
        composite(op, both, (x,), (dim, bool(keepdim), *args))
    )


def _not_empty(fn: str) -> Callable:
    def check(x: Meta, axis: int, *_: Any) -> None:
        _no_complex(x, f"{fn}(): does not support complex input")
        if x.ndim and not x.shape[axis]:
            raise IndexError(f"{fn}(): Expected reduction dim {axis} to have non-zero size.")

    return check


def _kth_check(x: Meta, axis: int, k: int) -> None:
    if not 1 <= k <= (x.shape[axis] if x.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")


def _kth(x: Any, k: int) -> Any:
    return np.argsort(x, -1, "stable")[..., k - 1]


def _median(x: Any) -> Any:
    """The lower median; the first NaN where there is one."""
    middle = np.argsort(x, -1, "stable")[..., (x.shape[-1] - 1) // 2]
    if x.dtype.kind != "f":
        return middle
    unknown = x != x
    return np.where(unknown.any(-1), unknown.argmax(-1), middle)


def _nanmedian(x: Any) -> Any:
    """The lower median of what is not NaN; the first element where nothing else is."""
    known = (x == x).sum(-1, keepdims=True)
    place = np.maximum((known - 1) // 2, 0)
    return np.take_along_axis(np.argsort(x, -1, "stable"), place, -1)[..., 0]


def _mode(x: Any) -> Any:
    """The last place of the smallest among the most frequent elements."""
    order = np.argsort(x, -1, "stable")
    ranked = np.take_along_axis(x, order, -1)
    begins = np.ones(ranked.shape, bool)
    begins[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    here = np.arange(x.shape[-1])
    length = here - np.maximum.accumulate(np.where(begins, here, 0), -1)
    return np.take_along_axis(order, length.argmax(-1)[..., None], -1)[..., 0]


_kthvalue = _pick("kthvalue", _one_index("kth_index", _kth, _kth_check), "KthvalueBackward0")
_median_along = _pick(
    "median", _one_index("median_index", _median, _not_empty("median")), "MedianBackward1"
)
_nanmedian_along = _pick(
    "nanmedian", _one_index("nanmedian_index", _nanmedian, _not_empty("nanmedian")),
    "NanmedianBackward1",
)  # fmt: skip
_mode_along = _pick("mode", _one_index("mode_index", _mode, _not_empty("mode")), "ModeBackward0")


@public(out="exact")
@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the k-th smallest element along `dim`."""
    return _kthvalue(check_tensor(input, "kthvalue"), dim, keepdim, _count(k, "kthvalue"))


@public(out=True)
@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(values, indices) of the most frequent element along `dim`: the smallest of equals."""
    return _mode_along(check_tensor(input, "mode"), dim, keepdim)


def _middle(name: str, find: Callable) -> Op:
    """The median of all elements; equal ones share its gradient."""

    def rule(x: Meta) -> tuple[Meta, dict]:
        if x.dtype.category == BOOL:
            raise NotImplementedError("\"median_cpu\" not implemented for 'Bool'")
        _no_complex(x, f"{name}(): does not support complex input")
        return meta_of((), x.dtype, x.device), {}

    def impl(xp: Any, x: Any) -> Any:
        if not x.size:
            return x.dtype.type(np.nan if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min)
        flat = x.reshape(-1)
        return flat[find(sortable(flat))]

    return Op(
        name, rule, impl,
        vjp=(lambda g, x, out: shared_or_nan(g, x, out, tuple(range(x._meta.ndim))),),
    )  # fmt: skip


_MEDIAN, _NANMEDIAN = _middle("median", _median), _middle("nanmedian", _nanmedian)


@public(out=True)
@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of all elements, or (values, indices) of it along `dim`; NaN prevails."""
    check_tensor(input, "median")
    return apply(_MEDIAN, (input,)) if dim is None else _median_along(input, dim, keepdim)


@public(out=True)
@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower median of what is not NaN, or (values, indices) of it along `dim`."""
    check_tensor(input, "nanmedian")
    return apply(_NANMEDIAN, (input,)) if dim is None else _nanmedian_along(input, dim, keepdim)


def _ranks_rule(x: Meta, q: Meta, ignore_nan: bool, how: str) -> tuple[tuple[Meta, ...], dict]:
    shape = (*x.shape[:-1], q.numel)
    place, weight = meta_of(shape, int64, x.device), meta_of(shape, x.dtype, x.device)
    return (place, place, weight), {"ignore_nan": ignore_nan, "how": how}


def _ranks_impl(xp: Any, x: Any, q: Any, *, ignore_nan: bool, how: str) -> tuple:
    """Between which elements of a sorted last axis the quantiles lie, and how far."""
    q = q.reshape(-1)
    last = x.shape[-1] - 1
    unknown = x != x
    if ignore_nan:
        ranks = xp.maximum(q * ((~unknown).sum(-1, keepdims=True) - 1).astype(x.dtype), 0)
    else:
        ranks = q * x.dtype.type(last)
        ranks = xp.where(unknown.any(-1, keepdims=True), x.dtype.type(last), ranks)
    if how in ("lower", "higher", "nearest"):
        ranks = {"lower": xp.floor, "higher": xp.ceil, "nearest": xp.rint}[how](ranks)
    below, above = xp.floor(ranks), xp.ceil(ranks)
    weight = xp.full_like(ranks, 0.5) if how == "midpoint" else ranks - below
    return below.astype(np.int64), above.astype(np.int64), weight.astype(x.dtype, copy=False)


def _ranks_by_q(g: tuple, x: Tensor, q_shape: Ints, ignore_nan: bool, how: str) -> Tensor | None:
    """The gradient of how far quantiles lie: ranks grow with q as the elements are many."""
    if g[2] is None or how != "linear":
        return None
    known = x.isnan().logical_not().sum(-1, True)
    last = known - 1 if ignore_nan else (known == x._meta.shape[-1]) * (x._meta.shape[-1] - 1)
    return (g[2] * last).reshape(-1, math.prod(q_shape)).sum(0).reshape(q_shape)


_RANKS = Op("quantile_ranks", _ranks_rule, _ranks_impl, inputs=("x", "q"), vjp=(None, _ranks_by_q))
_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(fn: str, x: Meta, q: Any, how: str) -> None:
    if not x.numel:
        raise RuntimeError(f"{fn}() input tensor must be non-empty")
    if isinstance(q, Tensor):
        if q._meta.ndim > 1:
            raise RuntimeError(f"{fn}() q must be a scalar or 1D tensor")
    elif not 0 <= q <= 1:
        raise RuntimeError(f"{fn}() q must be in the range [0, 1] but got {q:g}")
    if x.dtype not in (float32, float64):
        raise RuntimeError(f"{fn}() input tensor must be either float or double dtype")
    if isinstance(q, Tensor) and q._meta.dtype is not x.dtype:
        raise RuntimeError(f"{fn}() q tensor must be same dtype as the input tensor")
    if how not in _INTERPOLATIONS:
        raise RuntimeError(
            f"{fn}() interpolation must be one of linear, lower, higher, midpoint or nearest, but "
            f"got {how}"
        )
    if isinstance(q, Tensor) and not values_of((q >= 0) & (q <= 1)).all():
        raise RuntimeError(f"{fn}() q values must be in the range [0, 1]")


def _quantile(
    fn: str, x: Tensor, q: Any, dim: int | None, keepdim: bool, how: str, ignore_nan: bool
) -> Tensor:
    _check_quantile(fn, x._meta, q, how)
    ndim, shape = x._meta.ndim, tuple(x._meta.shape)
    if dim is None:
        kept = (1,) * ndim if keepdim else ()
        x = x.reshape(-1)
    else:
        axis = normalize_dim(dim, ndim)
        kept = reduced_shape(shape, (axis,) if ndim else (), keepdim)
        x = x.movedim(axis, -1) if ndim else x.reshape(-1)
    if not isinstance(q, Tensor):
        q = x.new_tensor(q)
    ranked = sort(x, -1)[0]
    below, above, weight = apply(_RANKS, (ranked.detach(), q), (ignore_nan, how))
    out = take_along(ranked, below, x._meta.ndim - 1)
    if how in ("linear", "midpoint"):
        out = out.lerp(take_along(ranked, above, x._meta.ndim - 1), weight)
    if q._meta.ndim == 0:
        return in_shape(out, tuple(kept), "SqueezeBackward4")
    front = out.movedim(-1, 0)
    final = (q._meta.numel, *kept)
    strides: Any = reshape_strides(tuple(front._meta.shape), strides_of(front), final)
    return make_view(out, final, strides, 0, "SqueezeBackward4", lambda g: _last(g, out._meta))


def _last(g: Tensor, like: Meta) -> Tensor:
    """The gradient of quantiles, which stand first, as that of what they were taken from."""
    rest = tuple(like.shape[:-1])
    return g.reshape(like.shape[-1], *rest).movedim(0, -1)


@public(out=True)
@numpy_names
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The q-th quantiles along `dim` (of all elements by default), as `torch.quantile`."""
    check_tensor(input, "quantile")
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@public(out=True)
@numpy_names
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The q-th quantiles along `dim` of what is not NaN, as `torch.nanquantile`."""
    check_tensor(input, "nanquantile")
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)
