"""torch.masked: reductions and normalisations of the elements that a mask selects.

Room: ops. Elements that are masked out become what changes nothing (0 for sums, -inf for maxima).
A row without any element gives that number; a mean of none is NaN. `mask` is broadcast to the
input; `dtype` is the result's, and by default the input's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, FLOAT, INT, dtype, float32, iinfo, int64
from bital.base.size import normalize_dims
from bital.ops.api import check_tensor, public
from bital.ops.mask import where
from bital.ops.norms import vector_norm
from bital.ops.softmax import log_softmax, softmax, softmin
from bital.ops.view import Ints
from bital.tensor.tensor import Tensor

_declare = functools.partial(public, "masked", method=False)


def _selected(input: Any, mask: Any) -> Any:
    """The mask as bools of the input's shape."""
    shape = input._meta.shape
    if mask._meta.ndim > len(shape):
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            "input)"
        )
    return mask.bool().expand(shape) if mask._meta.shape != shape else mask.bool()


def _least(d: dtype, fn: str) -> float:
    if d.is_complex or d.category == BOOL:
        raise NotImplementedError(f"identity of {fn} on {d} input")
    return -math.inf if d.is_floating_point else iinfo(d).min


def _greatest(d: dtype, fn: str) -> float:
    if d.is_complex or d.category == BOOL:
        raise NotImplementedError(f"identity of {fn} on {d} input")
    return math.inf if d.is_floating_point else iinfo(d).max


def _least_of_complex(d: dtype, fn: str) -> complex:
    return complex(-math.inf) if d.is_complex else _least(d, fn)


def _filled(fn: str, neutral: Any, input: Any, mask: Any) -> Any:
    """The input with the neutral number where it is masked out."""
    check_tensor(input, fn)
    if mask is None:
        return input
    if callable(neutral):
        neutral = neutral(input._meta.dtype, fn)
    return where(_selected(input, mask), input, input.new_full((), neutral))


def _axes(input: Any, dim: Any) -> Ints:
    """The axes in rising order; all of them for None and for ()."""
    return tuple(sorted(normalize_dims(dim, max(input._meta.ndim, 1) if dim else input._meta.ndim)))


def _axis(input: Any, dim: int) -> int:
    return _axes(input, dim if dim is not None else None)[0]


def _total_dtype(input: Any, d: dtype | None) -> dtype:
    """Integers add up to int64."""
    return d or (int64 if input._meta.dtype.category <= INT else input._meta.dtype)


@_declare()
def sum(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The sum of the selected elements."""
    x = _filled("sum", 0, input, mask)
    return x.sum(_axes(x, dim), bool(keepdim), dtype=_total_dtype(input, dtype))


@_declare()
def prod(
    input: Tensor, dim: Any = None, *, keepdim: bool | None = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The product of the selected elements."""
    x = _filled("prod", 1, input, mask).to(_total_dtype(input, dtype))
    for axis in reversed(_axes(x, dim)):
        x = x.prod(axis, bool(keepdim))
    return x


def _running(name: str, neutral: int) -> None:
    def fn(
        input: Any, dim: int, *, dtype: dtype | None = None, mask: Tensor | None = None
    ) -> Tensor:
        x = _filled(name, neutral, input, mask)
        d = dtype or input._meta.dtype
        return getattr(x, name)(_axis(x, dim), dtype=d).to(d)

    fn.__doc__ = f"`{name}` of the selected elements."
    _declare(name=name)(fn)


def _extreme(name: str, neutral: Callable) -> None:
    def fn(
        input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: dtype | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        x = _filled(name, neutral, input, mask)
        dims = _axes(x, dim) if name in ("amax", "amin") else dim
        return getattr(x, name)(dims, bool(keepdim)).to(dtype or input._meta.dtype)

    fn.__doc__ = f"`{name}` of the selected elements."
    _declare(name=name)(fn)


_running("cumsum", 0)
_running("cumprod", 1)
_extreme("amax", _least)
_extreme("amin", _greatest)
_extreme("argmax", _least)
_extreme("argmin", _greatest)


def _count(input: Any, dim: Any, keepdim: bool, mask: Any) -> Any:
    """How many elements are selected."""
    ones = input.new_ones(input._meta.shape, dtype=int64)
    chosen = ones if mask is None else _selected(input, mask)
    return chosen.sum(_axes(input, dim), keepdim)


@_declare()
def mean(
    input: Any, dim: Any = None, *, keepdim: bool | None = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of the selected elements; NaN where there is none."""
    d = dtype or check_tensor(input, "mean")._meta.dtype
    if d.category < FLOAT:
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Optional' if dtype else 'Input'} dtype must "
            f"be either a floating point or complex dtype. Got: {d}"
        )
    total: Any = sum(input, dim, keepdim=keepdim, dtype=d, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


@_declare()
def median(
    input: Any, dim: int = -1, *, keepdim: bool = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The lower median of the selected elements of each row; NaN where there is none."""
    whole = not check_tensor(input, "median")._meta.dtype.is_floating_point
    x = _filled("median", math.nan, input.to(float32) if whole else input, mask)
    out = x.nanmedian(_axis(x, dim), keepdim).values
    if not whole:
        return out
    if out.isnan().any():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    return out.to(dtype or input._meta.dtype)


@_declare()
def logsumexp(
    input: Any, dim: Any = None, *, keepdim: bool = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`logsumexp` of the selected elements; -inf where there is none."""
    x = _filled("logsumexp", _least_of_complex, input, mask)
    return x.logsumexp(_axes(x, dim), keepdim).to(dtype or input._meta.dtype)


@_declare()
def logaddexp(
    input: Any, other: Any, *, dtype: dtype | None = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`logaddexp` of two tensors, what is masked out of either counting as -inf."""
    x = _filled("logaddexp", _least, input, input_mask)
    y = _filled("logaddexp", _least, other, other_mask)
    return x.logaddexp(y).to(dtype or input._meta.dtype)


@_declare()
def norm(
    input: Any, ord: float | None = 2.0, dim: Any = None, *, keepdim: bool | None = False,
    dtype: dtype | None = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of order `ord` of the selected elements."""
    x = _filled("norm", math.inf if ord == -math.inf else 0, input, mask)
    d = dtype or x._meta.dtype
    return vector_norm(x, ord, _axes(x, dim), bool(keepdim), dtype=d)


@_declare()
def normalize(
    input: Any, ord: float, dim: int, *, eps: float = 1e-12, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The selected elements divided by their norm along `dim`, which counts as `eps` at least."""
    x = _filled("normalize", 0, input, mask)
    size: Any = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return x / size.maximum(size.new_full((), eps))


def _variance(
    input: Any, dim: Any, unbiased: bool | None, correction: float | None, keepdim: bool | None,
    d: dtype | None, mask: Any,
) -> Any:  # fmt: skip
    """The mean squared distance from the mean, the count less `correction` dividing."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1.0 if unbiased is None or unbiased else 0.0
    d = d or (input._meta.dtype if input._meta.dtype.category >= FLOAT else float32)
    wide = d if d.category >= FLOAT else float32
    count = _count(input, dim, True, mask)
    total: Any = sum(input, dim, keepdim=True, dtype=d, mask=mask)
    x = input - total / count
    squares: Any = sum(x * x.conj(), dim, keepdim=keepdim, dtype=wide, mask=mask)
    count = count.reshape(squares._meta.shape)
    if correction:
        count = (count.to(wide.to_real()) - float(correction)).clamp(min=0)
    return (squares / count).to(d)


@_declare()
def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool | None = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance of the selected elements."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


@_declare()
def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, *,
    correction: float | None = None, keepdim: bool | None = False, dtype: dtype | None = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation of the selected elements."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask).sqrt()


def _soft(name: str, fn: Callable, neutral: Callable) -> None:
    def normalised(
        input: Any, dim: int, *, dtype: dtype | None = None, mask: Tensor | None = None
    ) -> Tensor:
        x = _filled(name, neutral, input, mask)
        axis, d = _axis(x, dim), dtype or input._meta.dtype
        return fn(x, axis, dtype=d)

    normalised.__doc__ = f"`{name}` of the selected elements; NaN where there is none."
    _declare(name=name)(normalised)


_soft("softmax", softmax, _least)
_soft("log_softmax", log_softmax, _least)
_soft("softmin", softmin, _greatest)
