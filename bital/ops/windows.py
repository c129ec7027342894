"""The window functions of torch.signal.windows.

Room: ops. Formulas: their documentation. A window of M points is symmetric, or with `sym=False`
one period of a periodic one, which is a symmetric one of M + 1 points without the last.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from bital.base.dtype import default, dtype, float32, float64
from bital.base.layout import strided
from bital.ops.api import public, type_error
from bital.tensor.tensor import Tensor, from_array


def _made(fn: str, m: Any, shape: Callable[[np.ndarray], np.ndarray], options: dict) -> Tensor:
    """The window whose value at the points 0 … M - 1 is `shape(points)`, computed in float64."""
    d: dtype = options.pop("dtype", None) or default.dtype
    layout = options.pop("layout", strided)
    requires_grad = options.pop("requires_grad", False)
    options.pop("device", None)
    if options:
        raise TypeError(f"{fn}() got an unexpected keyword argument '{next(iter(options))}'")
    if not hasattr(m, "__index__"):
        raise type_error(fn, "M", 1, m, "int")
    if m < 0:
        raise ValueError(f"{fn} requires non-negative window length, got M={m}")
    if layout is not strided:
        raise ValueError(f"{fn} is implemented for strided tensors only, got: {layout}")
    if d not in (float32, float64):
        raise ValueError(f"{fn} expects float32 or float64 dtypes, got: {d}")
    made = np.ones(m) if m < 2 else shape(np.arange(m, dtype=np.float64))
    return from_array(made.astype(d.np), d).requires_grad_(requires_grad)


def _span(m: int, sym: bool) -> int:
    """How many points lie after the first, up to where the window ends."""
    return m - 1 if sym else m


_declare = functools.partial(public, "signal.windows", method=False)


def _of_cosines(fn: str, m: Any, weights: Sequence[float], sym: bool, options: dict) -> Tensor:
    def shape(k: np.ndarray) -> np.ndarray:
        angle = k * (2 * math.pi / _span(m, sym))
        return sum(((-1) ** i * a * np.cos(i * angle) for i, a in enumerate(weights)), 0 * angle)

    return _made(fn, m, shape, options)


@_declare()
def general_cosine(M: int, *, a: Iterable, sym: bool = True, **options: Any) -> Tensor:
    """The sum of (-1)^i a_i cos(i x) over a period of x."""
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = list(a)
    if not weights:
        raise ValueError("Coefficients cannot be empty")
    return _of_cosines("general_cosine", M, weights, sym, options)


@_declare()
def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(x)."""
    return _of_cosines("general_cosine", M, (alpha, 1 - alpha), sym, options)


@_declare()
def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(x)."""
    return _of_cosines("general_cosine", M, (0.54, 0.46), sym, options)


@_declare()
def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """(1 - cos(x)) / 2."""
    return _of_cosines("general_cosine", M, (0.5, 0.5), sym, options)


@_declare()
def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(x) + 0.08 cos(2x)."""
    return _of_cosines("blackman", M, (0.42, 0.5, 0.08), sym, options)


@_declare()
def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Four cosines, with the weights that A. H. Nuttall gave in 1981 for low side lobes."""
    weights = (0.3635819, 0.4891775, 0.1365995, 0.0106411)
    return _of_cosines("general_cosine", M, weights, sym, options)


@_declare()
def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 up to 1 and down."""
    return _made("bartlett", M, lambda k: 1 - abs(2 * k / _span(M, sym) - 1), options)


@_declare()
def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Half a wave: sin(pi (k + 1/2) / M)."""
    return _made("cosine", M, lambda k: np.sin(math.pi * (k + 0.5) / (_span(M, sym) + 1)), options)


@_declare()
def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any
) -> Tensor:
    """exp(-|k - center| / tau); only a periodic window may have another center than the middle."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")

    def shape(k: np.ndarray) -> np.ndarray:
        middle = _span(M, sym) / 2 if center is None else center
        return np.exp(-abs(k - middle) / tau)

    return _made("exponential", M, shape, options)


@_declare()
def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-(k - middle)² / (2 std²))."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _made(
        "gaussian", M, lambda k: np.exp(-0.5 * ((k - _span(M, sym) / 2) / std) ** 2), options
    )


@_declare()
def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - x²)) / I0(beta), x from -1 to 1, with a modified Bessel function."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")

    def shape(k: np.ndarray) -> np.ndarray:
        x = 2 * k / _span(M, sym) - 1
        return np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta)

    return _made("kaiser", M, shape, options)
