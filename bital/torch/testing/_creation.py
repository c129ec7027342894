"""make_tensor: random tensors of any dtype and layout."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import bital.torch as torch


def _limits(low: Any, high: Any, dtype: Any) -> tuple[Any, Any]:
    """The bounds to draw from: those given, within what the dtype holds, or -9 and 9."""
    continuous = dtype.is_floating_point or dtype.is_complex
    if dtype is torch.bool:
        least: Any = 0
        most: Any = 2
        default = (0, 2)
    elif continuous:
        info = torch.finfo(dtype)
        least, most, default = info.min, info.max, (-9, 9)
    else:
        limits = torch.iinfo(dtype)
        least, most = limits.min, limits.max + (dtype is not torch.int64)
        default = (-9, 10)
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if any(isinstance(v, float) and math.isnan(v) for v in (low, high)):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and continuous:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} "
            f"only supports [{least}, {most})"
        )
    low, high = min(max(low, least), most), min(max(high, least), most)
    return (low, high) if continuous else (math.ceil(low), math.ceil(high))


def _drawn(shape: tuple, dtype: Any, low: Any, high: Any) -> Any:
    low, high = _limits(low, high, dtype)
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(low, high, shape, dtype=dtype)
    result = torch.empty(shape, dtype=dtype)
    parts = torch.view_as_real(result) if dtype.is_complex else result
    if high - low >= torch.finfo(parts.dtype).max:
        parts.uniform_(low / 2, high / 2).mul_(2)
    else:
        parts.uniform_(low, high)
    return result


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of random values in [low, high), by default from -9 to 9 (0 and 1 for bool).

    `noncontiguous` leaves gaps between elements; `exclude_zero` puts the least positive value in
    place of zeros. Raises ValueError for bounds that the dtype does not hold.
    """
    torch.empty(0, device=device)  # raises for devices that are not there
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = tuple(shape[0])
    continuous = dtype.is_floating_point or dtype.is_complex
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    if requires_grad and not continuous:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"{dtype=}"
        )
    gaps = noncontiguous and math.prod(shape) > 1
    result = _drawn((*shape[:-1], 2 * shape[-1]) if gaps else shape, dtype, low, high)
    if gaps:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = torch.finfo(dtype).tiny if continuous else 1
    return result.requires_grad_(requires_grad) if continuous else result
