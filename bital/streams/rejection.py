"""Draws that try until a number is accepted: Poisson, binomial, gamma, Dirichlet.

Room: streams; NumPy and the standard library only. How many words a number costs depends on the
words, so these go one number at a time, in double precision. A `Source` hands out its uniform and
normal numbers.
"""

from __future__ import annotations

import functools
import math
from typing import Protocol

import numpy as np

from bital.streams.arithmetic import F64, REAL, require

_TWO_SIZES = frozenset(("float32", "float64"))
# log(k!) less Stirling's formula, for k = 0 .. 9
_STIRLING_TAIL = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
    0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


class Source(Protocol):
    """Where single numbers come from."""

    def one_uniform(self) -> float:
        """In [0, 1), from two words."""

    def one_normal(self) -> float:
        """Standard normal; the second of a pair is kept for the next call."""


def poisson(source: Source, rate: np.ndarray) -> np.ndarray:
    """One Poisson number for each element of a real array `rate`, in its dtype."""
    require(rate.dtype.name, REAL, "poisson_cpu")
    return _each(lambda r: _one_poisson(source, r), rate.dtype, rate)


def _each(draw, dtype: np.dtype, *arrays: np.ndarray) -> np.ndarray:
    """`draw` over the elements of equally shaped arrays, as an array of `dtype`."""
    flat = [a.astype(F64).ravel().tolist() for a in arrays]
    made = np.array([draw(*values) for values in zip(*flat, strict=True)], F64)
    return made.reshape(arrays[0].shape).astype(dtype)


def _one_poisson(source: Source, rate: float) -> int:
    if not rate >= 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    if rate >= 10:
        return _large_poisson(source, rate)
    if rate == 0:
        return 0
    # Multiply uniforms until the product falls below exp(-rate) (Knuth).
    bound, product, k = math.exp(-rate), 1.0, 0
    while (product := product * source.one_uniform()) > bound:
        k += 1
    return k


def _large_poisson(source: Source, rate: float) -> int:
    """Transformed rejection, PTRS (W. Hoermann, Insurance: Math. and Econ. 12, 1993)."""
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = source.one_uniform() - 0.5
        v = source.one_uniform()
        us = 0.5 - abs(u)
        if us == 0:
            continue
        k = math.floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = _log(v) + math.log(inverse_alpha) - math.log(a / (us * us) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1.0):
            return k


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def binomial(source: Source, count: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """Successes among `count` trials of probability `prob`: equal shapes and dtypes, float32/64."""
    require(count.dtype.name, _TWO_SIZES, "binomial_cpu")
    if prob.dtype != count.dtype:
        raise RuntimeError(f"Found dtype {prob.dtype} but expected {count.dtype}")
    real = count.dtype.type
    return _each(lambda n, p: _one_binomial(source, real, n, p), count.dtype, count, prob)


def _one_binomial(source: Source, real: type, count: float, prob: float) -> float:
    """`real` is float32 or float64: what PyTorch computes in the tensor's dtype is done in it."""
    if count <= 0 or prob <= 0:
        return 0.0
    if prob >= 1:
        return count
    if math.isnan(prob):
        return math.nan
    rarer, large = _rarer(real, count, prob)
    made = (_large_binomial if large else _few_successes)(source, real, count, rarer)
    return made if prob <= 0.5 else count - made


@functools.lru_cache(maxsize=4096)
def _rarer(real: type, count: float, prob: float) -> tuple[float, bool]:
    """The probability of the rarer outcome, and whether ten of it or more are expected."""
    rarer = prob if prob <= 0.5 else float(real(1.0 - prob))
    return rarer, bool(real(count) * real(rarer) >= 10)


@functools.lru_cache(maxsize=4096)
def _log_failure(real: type, prob: float) -> float:
    return float(np.log1p(-real(prob)))


def _few_successes(source: Source, real: type, count: float, prob: float) -> float:
    """Add up geometric waiting times until they exceed `count`."""
    log_failure = _log_failure(real, prob)
    trials, successes = 0.0, 0.0
    while True:
        u = source.one_uniform()
        trials += math.ceil(math.log(u) / log_failure) if u > 0 else math.inf
        if trials > count:
            return successes
        successes += 1


@functools.lru_cache(maxsize=4096)
def _large_constants(real: type, count: float, prob: float) -> tuple[float, ...]:
    """(a, b, centre, v_r, odds, alpha, mode) of the transformed rejection."""
    n, p = real(count), real(prob)
    deviation = float(np.sqrt(n * p * (real(1) - p)))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    odds = float(p / (real(1) - p))
    alpha = (2.83 + 5.1 / b) * deviation
    mode = float(np.floor((n + real(1)) * p))
    return a, b, float(n * p) + 0.5, 0.92 - 4.2 / b, odds, alpha, mode


def _large_binomial(source: Source, real: type, count: float, prob: float) -> float:
    """Transformed rejection, BTRS (W. Hoermann, J. Stat. Comput. Simul. 46, 1993)."""
    a, b, centre, v_r, odds, alpha, mode = _large_constants(real, count, prob)
    while True:
        u = source.one_uniform() - 0.5
        v = source.one_uniform()
        us = 0.5 - abs(u)
        if us == 0:
            continue
        k = float(real(math.floor((2 * a / us + b) * u + centre)))
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(count - mode)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )
        if _log(v * alpha / (a / (us * us) + b)) <= bound:
            return k


def _stirling_tail(k: float) -> float:
    if k < len(_STIRLING_TAIL):
        return _STIRLING_TAIL[int(k)]
    square = (k + 1) * (k + 1)
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def gamma(source: Source, shape: np.ndarray) -> np.ndarray:
    """One gamma number (scale 1) for each shape parameter; float32 or float64, never zero."""
    require(shape.dtype.name, _TWO_SIZES, "gamma_cpu")
    real = shape.dtype.type
    made = _each(lambda a: _one_gamma(source, real, a), shape.dtype, shape)
    return np.maximum(made, np.finfo(shape.dtype).tiny)


@functools.lru_cache(maxsize=4096)
def _gamma_constants(real: type, shape: float) -> tuple[float, float, float]:
    """(power of a uniform number that scales, 0 for none; d; c) for a shape parameter."""
    power = 0.0
    if shape < 1:
        power = float(real(1) / real(shape))
        shape = float(real(shape) + real(1))
    third = np.float32(1) / np.float32(3)  # in single precision whatever the dtype is
    d = float(real(shape) - real(third))
    return power, d, 1.0 / math.sqrt(9.0 * d)


_SQUEEZE = float(np.float32(0.0331))


def _one_gamma(source: Source, real: type, shape: float) -> float:
    """Rejection after G. Marsaglia and W. W. Tsang (ACM TOMS 26, 2000)."""
    if shape == 0:
        return 0.0
    power, d, c = _gamma_constants(real, shape)
    scale = math.pow(1 - source.one_uniform(), power) if power else 1.0
    while True:
        y = 0.0
        while y <= 0:
            x = source.one_normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - source.one_uniform()
        xx = x * x
        if u < 1 - _SQUEEZE * xx * xx or math.log(u) < 0.5 * xx + d * (1 - v + math.log(v)):
            return scale * d * v


def dirichlet(source: Source, concentration: np.ndarray) -> np.ndarray:
    """Gamma numbers of `concentration` (float32 or float64), divided by their sum over the last
    axis; strictly between zero and one."""
    dtype = concentration.dtype
    require(dtype.name, _TWO_SIZES, "dirichlet")
    parts = gamma(source, concentration.astype(F64))
    parts /= parts.sum(axis=-1, keepdims=True)
    below_one = np.nextafter(dtype.type(1), dtype.type(0))
    return np.clip(parts.astype(dtype), np.finfo(dtype).tiny, below_one)
