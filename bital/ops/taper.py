"""Window functions for signals: hann_window, hamming_window, blackman_window and others.

Room: ops. Formulas: PyTorch's documentation of each; n counts from 0 to N, where N is the length
for periodic windows and one less for symmetric ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import default, dtype
from bital.ops.api import public, type_error
from bital.ops.create import options
from bital.tensor.tensor import Tensor, from_array


def _made(
    fn: str, window_length: Any, periodic: bool, shape: Callable, d: dtype | None, kwargs: dict
) -> Tensor:
    """The window whose value at x = n / N is `shape(x)`, computed in float64."""
    if not hasattr(window_length, "__index__"):
        raise type_error(fn, "window_length", 1, window_length, "int")
    requires_grad = kwargs.pop("requires_grad", False)
    kwargs.pop("pin_memory", None)
    d, _ = options(d, kwargs.pop("layout", None), kwargs.pop("device", None), default.dtype, fn)
    if kwargs:
        raise TypeError(f"{fn}() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if not d.is_floating_point:
        raise RuntimeError(f"{fn} expects floating point dtypes, got: {d}")
    if window_length < 0:
        raise RuntimeError(f"{fn} requires non-negative window_length, got {window_length=}")
    if window_length < 2:
        made = np.ones(window_length, d.np)
    else:
        last = window_length if periodic else window_length - 1
        made = shape(np.arange(window_length) / last).astype(d.np)
    out = from_array(made, d)
    if requires_grad:
        out.requires_grad = True
    return out


@public(method=False)
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: dtype | None = None, **kwargs: Any
) -> Tensor:
    """(1 - cos(2πx)) / 2."""
    return _made(
        "hann_window", window_length, periodic, lambda x: 0.5 - 0.5 * np.cos(2 * np.pi * x),
        dtype, kwargs,
    )  # fmt: skip


@public(method=False)
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
    dtype: dtype | None = None, **kwargs: Any,
) -> Tensor:  # fmt: skip
    """alpha - beta cos(2πx)."""
    return _made(
        "hamming_window", window_length, periodic,
        lambda x: alpha - beta * np.cos(2 * np.pi * x), dtype, kwargs,
    )  # fmt: skip


@public(method=False)
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: dtype | None = None, **kwargs: Any
) -> Tensor:
    """0.42 - 0.5 cos(2πx) + 0.08 cos(4πx)."""
    return _made(
        "blackman_window", window_length, periodic,
        lambda x: 0.42 - 0.5 * np.cos(2 * np.pi * x) + 0.08 * np.cos(4 * np.pi * x), dtype, kwargs,
    )  # fmt: skip


@public(method=False)
def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: dtype | None = None, **kwargs: Any
) -> Tensor:
    """A triangle: 2x up to the middle, 2 - 2x from there."""
    return _made(
        "bartlett_window", window_length, periodic, lambda x: 1 - np.abs(2 * x - 1), dtype, kwargs
    )


@public(method=False)
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: dtype | None = None,
    **kwargs: Any,
) -> Tensor:  # fmt: skip
    """I0(beta sqrt(1 - (2x - 1)²)) / I0(beta), with the modified Bessel function of order 0."""
    return _made(
        "kaiser_window", window_length, periodic,
        lambda x: np.i0(beta * np.sqrt(1 - (2 * x - 1) ** 2)) / np.i0(beta), dtype, kwargs,
    )  # fmt: skip
