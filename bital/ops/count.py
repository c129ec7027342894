"""Counting and searching: unique, searchsorted, bincount, histograms.

Room: ops. What `unique` and `bincount` give has a size that depends on the data, so they compute at
once; the others are recorded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.dtype import FLOAT, INT, float32, float64, int32, int64
from bital.base.size import normalize_dim
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.along import take_along
from bital.ops.api import check_tensor, public
from bital.ops.family import not_implemented
from bital.ops.return_types import named
from bital.ops.sort import sortable
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor, array_of, from_array


def _groups(keys: list[np.ndarray], count: int, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """An order of the items, and where in it a group of equal ones begins.

    `keys` are the columns that are compared, the first one first; with `ordered` equal items are
    neighbours only where they are already.
    """
    if ordered or not keys:
        order = np.arange(count)
    else:
        order = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
    begins = np.zeros(count, bool)
    begins[:1] = True
    for key in keys:
        ranked = key[order]
        begins[1:] |= ranked[1:] != ranked[:-1]
    return order, begins


def _found(order: np.ndarray, begins: np.ndarray, shape: tuple) -> tuple[Tensor, Tensor]:
    """(inverse, counts): which group each item is in, and how many each group has."""
    inverse = np.empty(order.shape, np.int64)
    inverse[order] = np.cumsum(begins) - 1
    starts = np.flatnonzero(begins)
    counts = np.diff(np.append(starts, order.size)).astype(np.int64)
    return from_array(inverse.reshape(shape)), from_array(counts)


def _unique_flat(x: Tensor, *, ordered: bool) -> tuple[Tensor, Tensor, Tensor]:
    flat = array_of(x).reshape(-1)
    order, begins = _groups([sortable(flat)], flat.size, ordered)
    values = from_array(flat[order[begins]], x._meta.dtype)
    return (values, *_found(order, begins, tuple(x._meta.shape)))


def _unique_slices(x: Tensor, *, dim: int, ordered: bool) -> tuple[Tensor, Tensor, Tensor]:
    array = array_of(x)
    if not array.size and 0 in array.shape[:dim] + array.shape[dim + 1 :]:
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    front = np.moveaxis(array, dim, 0)
    rows = front.reshape(front.shape[0], math.prod(front.shape[1:]))
    order, begins = _groups(list(sortable(np.ascontiguousarray(rows.T))), len(rows), ordered)
    values = from_array(front[order[begins]], x._meta.dtype).movedim(0, dim)
    if values._view is not None:
        values._view.base = None  # PyTorch's result is laid out so, and is no view
    return (values, *_found(order, begins, (len(rows),)))


def _unique_op(name: str, grad_fn: str, forward: Any) -> Any:
    op = Op(
        name, lambda x, **attrs: (x, attrs), None, vjp=(not_implemented(name),), grad_fn=grad_fn
    )
    return lambda x, **attrs: composite(op, lambda t: forward(t, **attrs), (x,))


_unique2 = _unique_op("_unique2", "Unique2Backward0", _unique_flat)
_unique_dim = _unique_op("unique_dim", "UniqueDimBackward0", _unique_slices)
_consecutive = _unique_op("unique_consecutive", "UniqueConsecutiveBackward0", _unique_flat)
_consecutive_dim = _unique_op(
    "unique_dim_consecutive", "UniqueDimConsecutiveBackward0", _unique_slices
)


def _asked_for(found: tuple, inverse: bool, counts: bool) -> Any:
    values, where, number = found
    out = (values, *([where] if inverse else []), *([number] if counts else []))
    return values if len(out) == 1 else out


@public()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, sorted; of slices along `dim` if one is given.

    With `return_inverse` also which of them each element is, with `return_counts` how often each
    stands.
    """
    ndim = check_tensor(input, "unique")._meta.ndim
    if dim is None:
        found = _unique2(input, ordered=False)
    else:
        found = _unique_dim(input, dim=normalize_dim(dim, ndim), ordered=False)
    return _asked_for(found, return_inverse, return_counts)


@public()
def unique_consecutive(
    input: Tensor,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The first of every run of equal elements; of slices along `dim` if one is given."""
    ndim = check_tensor(input, "unique_consecutive")._meta.ndim
    if dim is None:
        found = _consecutive(input, ordered=True)
    else:
        found = _consecutive_dim(input, dim=normalize_dim(dim, ndim), ordered=True)
    return _asked_for(found, return_inverse, return_counts)


def _search_rule(ordered: Meta, x: Meta, right: bool, narrow: bool) -> tuple[Meta, dict]:
    if ordered.ndim != 1 and (ordered.ndim != x.ndim or ordered.shape[:-1] != x.shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(ordered.shape)} and input value tensor {list(x.shape)}"
        )
    out = meta_of(x.shape, int32 if narrow else int64, x.device)
    return out, {"side": "right" if right else "left", "target": out.np}


def _search_impl(xp: Any, ordered: Any, x: Any, *, side: Any, target: np.dtype) -> Any:
    ordered, x = sortable(ordered), sortable(x)
    if ordered.ndim == 1:
        return xp.searchsorted(ordered, x, side).astype(target)
    count = math.prod(x.shape[:-1])
    rows, wanted = ordered.reshape(count, -1 if count else 0), x.reshape(count, x.shape[-1])
    out = np.empty(wanted.shape, target)
    for k, (row, each) in enumerate(zip(rows, wanted)):
        out[k] = np.searchsorted(row, each, side)
    return out.reshape(x.shape)


_SEARCH = Op("searchsorted", _search_rule, _search_impl, inputs=("ordered", "x"))


@public(method=False, out=True)
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where along the last axis of a sorted sequence the elements of `input` would be put in.

    Before equal elements, or behind them with `right` (or side="right"). `sorter` sorts a
    sequence that is not.
    """
    ndim = check_tensor(sorted_sequence, "searchsorted", "sorted_sequence")._meta.ndim
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if right and side == "left":
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    if not isinstance(input, Tensor):
        if ndim != 1:
            raise RuntimeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
                f"dimension is 1, but we got boundaries tensor dim({ndim}) and input value's "
                "dim(0) numel(1)"
            )
        kind = _dtype_of(input, sorted_sequence)
        input = sorted_sequence.new_tensor(input, dtype=kind)
    if sorter is not None:
        if sorter._meta.shape != sorted_sequence._meta.shape:
            raise RuntimeError(
                "torch.searchsorted(): boundary and sorter must have the same size, but got "
                f"boundary tensor {list(sorted_sequence._meta.shape)} and got sorter tensor "
                f"{list(sorter._meta.shape)}"
            )
        if sorter._meta.dtype is not int64:
            raise RuntimeError(
                "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
                f"{sorter._meta.dtype.legacy_name}"
            )
        sorted_sequence = take_along(sorted_sequence, sorter, ndim - 1)
    behind = right or side == "right"
    pair = (sorted_sequence.detach(), input.detach())
    return apply(_SEARCH, pair, (behind, out_int32))


def _dtype_of(number: Any, like: Tensor) -> Any:
    """The dtype of a number that is looked for among the elements of `like`."""
    if isinstance(number, float) and like._meta.dtype.category <= INT:
        return float32
    return like._meta.dtype


@public(method=False, out=True)
def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Which bucket between sorted `boundaries` each element of `input` falls into."""
    check_tensor(boundaries, "bucketize", "boundaries", 2)
    if boundaries._meta.ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries._meta.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@public()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often (or with what total weight) each of 0, 1, 2, … stands among ints, none < 0."""
    meta = check_tensor(input, "bincount")._meta
    if meta.dtype.category != INT:
        raise NotImplementedError(
            f"\"bincount_cpu\" not implemented for '{meta.dtype.legacy_name}'"
        )
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    array = array_of(input)
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return from_array(np.bincount(array.astype(np.int64), minlength=minlength))
    if weights._meta.shape != meta.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    total = np.bincount(array.astype(np.int64), array_of(weights).astype(np.float64), minlength)
    single = weights._meta.dtype is float32
    return from_array(total.astype(np.float32 if single else np.float64))


def _check_range(low: float, high: float, fn: str) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{fn}: range of [{low:g}, {high:g}] is not finite")


def _edges_of(x: Any, low: float, high: float, fn: str) -> tuple[Any, Any]:
    """The range of a histogram: the one given, or that of the data where it is none."""
    kind = x.dtype.type
    if low == high and x.size:
        low, high = x.min(), x.max()
    _check_range(float(low), float(high), fn)
    if low == high:
        low, high = low - 1, high + 1
    return kind(low), kind(high)


def _histc_rule(x: Meta, bins: int, low: float, high: float) -> tuple[Meta, dict]:
    if x.dtype.category != FLOAT:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{x.dtype.legacy_name}'")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    _check_range(low, high, "torch.histc")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    return meta_of((bins,), x.dtype, x.device), {"bins": bins, "low": low, "high": high}


def _histc_impl(xp: Any, x: Any, *, bins: int, low: float, high: float) -> Any:
    kind = x.dtype
    x = sortable(x).reshape(-1)
    left, right = _edges_of(x, low, high, "torch.histc")
    inside = x[(x >= left) & (x <= right)]
    span = kind.type(right - left)  # in half precision every step is rounded
    steps = (inside - left).astype(kind, copy=False) * kind.type(bins)
    place = (steps.astype(kind, copy=False) / span).astype(kind, copy=False).astype(np.int64)
    return xp.bincount(xp.minimum(place, bins - 1), minlength=bins).astype(kind)


_HISTC = Op("histc", _histc_rule, _histc_impl, fallible=True)


@public(out=True)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max].

    Where min and max are equal the range is that of the data. Others and NaN are not counted.
    """
    check_tensor(input, "histc")
    return apply(_HISTC, (input.detach(),), (int(bins), float(min), float(max)))


def _histogram_rule(x: Meta, *rest: Any) -> tuple[tuple[Meta, ...], dict]:
    """Operands x (N, D), perhaps weights (N,), and edges where `bins` does not count them.

    Attributes: bins per dimension or None, the range as 2 D numbers or None, density, which ones.
    """
    *tensors, fn, bins, limits, density, weighted = rest
    if x.dtype not in (float32, float64):
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{x.dtype.legacy_name}'")
    for k, n in enumerate(bins or ()):
        if n <= 0:
            raise RuntimeError(f"{fn}(): bins must be > 0, but got {n} for dimension {k}")
    for k in range(0, len(limits or ()), 2):
        low, high = limits[k : k + 2]
        _check_range(low, high, f"{fn}()")
        if low > high:
            raise RuntimeError(
                f"{fn}(): min should not exceed max, but got min {low:g} max {high:g} for "
                f"dimension {k // 2}"
            )
    counts = bins or tuple([t.numel - 1 for t in tensors[weighted:]])
    attrs = {"bins": bins, "limits": limits, "density": density, "weighted": weighted}
    metas = [meta_of(counts, x.dtype, x.device)]
    metas += [meta_of((n + 1,), x.dtype, x.device) for n in counts]
    return tuple(metas), attrs


def _edges(x: Any, bins: tuple, limits: tuple | None) -> list[np.ndarray]:
    """Evenly spaced edges per column of x: in the given limits, or in those of the data."""
    found = []
    for k, n in enumerate(bins):
        if limits is not None:
            low, high = limits[2 * k : 2 * k + 2]
        else:
            low, high = (x[:, k].min(), x[:, k].max()) if len(x) else (0, 1)
            _check_range(float(low), float(high), "torch.histogram()")
        if low == high:
            low, high = low - 0.5, high + 0.5
        found.append(np.linspace(low, high, n + 1, dtype=x.dtype))
    return found


def _histogram_impl(
    xp: Any, x: Any, *rest: Any, bins: tuple | None, limits: tuple | None, density: bool,
    weighted: bool,
) -> tuple:  # fmt: skip
    if bins is None:
        edges = [e.reshape(-1).astype(x.dtype) for e in rest[weighted:]]
    else:
        edges = _edges(x, bins, limits)
    inside = np.ones(len(x), bool)
    flat = np.zeros(len(x), np.int64)
    for column, edge in zip(x.T, edges):
        place = np.searchsorted(edge, column, "right") - 1
        place[column == edge[-1]] = edge.size - 2
        inside &= (column >= edge[0]) & (column <= edge[-1])
        flat = flat * (edge.size - 1) + place
    shape = tuple([e.size - 1 for e in edges])
    weights = rest[0].reshape(-1)[inside] if weighted else None
    total = np.bincount(flat[inside], weights, math.prod(shape)).reshape(shape).astype(x.dtype)
    if density:
        total = total / total.sum()
        for k, edge in enumerate(edges):
            total = total / np.diff(edge).reshape([-1] + [1] * (len(edges) - k - 1))
    return total.astype(x.dtype, copy=False), *[e.copy() for e in edges]


_HISTOGRAM = Op("histogram", _histogram_rule, _histogram_impl, fallible=True)
_Histogram = named("histogram", "hist", "bin_edges")
_Histogramdd = named("histogramdd", "hist", "bin_edges")


def _histogram(
    fn: str, x: Tensor, bins: Any, limits: Any, weight: Tensor | None, density: bool, shape: Any
) -> tuple[Tensor, ...]:
    """(hist, *edges) of the rows of x (N, D); `shape` is what weights must have."""
    if weight is not None and weight._meta.shape != shape:
        raise RuntimeError(
            f"{fn}(): if weight tensor is provided it should have the same shape as the input "
            "tensor excluding its innermost dimension"
        )
    if weight is not None and weight._meta.dtype is not x._meta.dtype:
        raise RuntimeError(
            f"{fn}(): if weight tensor is provided, input tensor and weight tensor should have "
            "the same dtype"
        )
    edges = [] if isinstance(bins, tuple) else list(bins)
    for k, edge in enumerate(edges):
        if edge._meta.ndim != 1:
            raise RuntimeError(
                f"{fn}(): bins tensor should have one dimension, but got {edge._meta.ndim} "
                f"dimensions in the bins tensor for dimension {k}"
            )
        if not edge._meta.numel:
            raise RuntimeError(
                f"{fn}(): bins tensor should have at least 1 element, but got 0 elements in the "
                f"bins tensor for dimension {k}"
            )
        if edge._meta.dtype is not x._meta.dtype:
            raise RuntimeError(f"{fn}(): input tensor and bins tensors should have the same dtype")
    tensors = [x, *([] if weight is None else [weight]), *edges]
    attrs = (fn, None if edges else bins, limits, bool(density), weight is not None)
    return apply(_HISTOGRAM, tuple([t.detach() for t in tensors]), attrs)


@public(out=True)
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: tuple[float, float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges): how many elements fall into each bin, or their weight, or density.

    `bins` is how many equal bins there are in `range` (by default the data's), or their edges.
    """
    shape = check_tensor(input, "histogram")._meta.shape
    limits = None if range is None else (float(range[0]), float(range[1]))
    each = [bins] if isinstance(bins, Tensor) else (int(bins),)
    flat = input.detach().reshape(-1, 1)
    fn = "torch.histogram"
    return _Histogram(_histogram(fn, flat, each, limits, weight, density, shape))


@public(method=False)
def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
    """(hist, bin_edges) of points (..., D) in D dimensions; `bin_edges` has one tensor each.

    `bins`: how many equal bins in each dimension (or in all), or a list of their edges; `range`:
    the limits of every dimension, one after another.
    """
    shape = check_tensor(input, "histogramdd")._meta.shape
    if len(shape) < 2:
        raise RuntimeError(
            "torch.histogramdd(): input tensor should have at least 2 dimensions, but got "
            f"{len(shape)}"
        )
    size = shape[-1]
    each: Any = (bins,) * size if isinstance(bins, int) else bins
    each = list(each) if isinstance(each[0], Tensor) else tuple([int(n) for n in each])
    if len(each) != size:
        raise RuntimeError(
            f"torch.histogramdd(): expected {size} sequences of bin edges or bin counts for a "
            f"{size}-dimensional histogram but got {len(each)}"
        )
    limits = None if range is None else tuple([float(n) for n in range])
    if limits is not None and len(limits) != 2 * size:
        raise RuntimeError(
            f"torch.histogramdd(): for a {size}-dimensional histogram range should have "
            f"{2 * size} elements, but got {len(limits)}"
        )
    points = input.detach().reshape(-1, size)
    fn = "torch.histogramdd"
    hist, *edges = _histogram(fn, points, each, limits, weight, density, shape[:-1])
    return _Histogramdd((hist, tuple(edges)))
