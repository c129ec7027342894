"""The `reduction` of losses, and the two older flags it replaced."""

from __future__ import annotations

import warnings


def get_enum(reduction: str) -> int:
    """The number ATen's operators know a reduction by."""
    numbers = {"none": 0, "mean": 1, "sum": 2}
    if reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
            stacklevel=2,
        )
        return 1
    if reduction not in numbers:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return numbers[reduction]


def legacy_get_string(
    size_average: bool | None, reduce: bool | None, emit_warning: bool = True
) -> str:
    """The reduction that the flags `size_average` and `reduce` mean; None stands for True."""
    if reduce is False:
        result = "none"
    else:
        result = "sum" if size_average is False else "mean"
    if emit_warning:
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{result}' instead.",
            stacklevel=4,
        )
    return result


def legacy_get_enum(
    size_average: bool | None, reduce: bool | None, emit_warning: bool = True
) -> int:
    """As `legacy_get_string`, as ATen's number."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
