"""Draws of real numbers other than normal ones: uniform, exponential, Cauchy; and Bernoulli trials.

Room: streams; NumPy and the standard library only. Each number costs one word of the stream in
float32 and the 16-bit formats, two words in float64; the inverse-distribution draws always compute
in float64 and narrow at the end. Argument errors are PyTorch's.
"""

from __future__ import annotations

import numpy as np

from bital.streams.arithmetic import (
    C_NAMES,
    F32,
    F64,
    LARGEST,
    REAL,
    SIGNED_OR_BYTE,
    TORCH_NAMES,
    fma32,
    fma64,
    narrow,
    real_part_dtype,
    require,
    shown,
    unit32,
    unit64,
)
from bital.streams.mt19937 import Engine

_GEOMETRIC = REAL | SIGNED_OR_BYTE
_BERNOULLI = _GEOMETRIC | {"bool"}


def uniform(engine: Engine, count: int, dtype: np.dtype, low: float, high: float) -> np.ndarray:
    """`count` numbers in [low, high) of a real or complex `dtype`."""
    if low == 0 and high == 1:
        if dtype == F32:
            return unit32(engine, count)
        if dtype == F64:
            return unit64(engine, count)
    part = real_part_dtype(dtype.name)
    if part is not None:
        return uniform(engine, 2 * count, part, low, high).view(dtype)
    _check_uniform(dtype.name, low, high)
    if dtype == F64:
        x = unit64(engine, count)
        x = fma64(x, high - low, low)
        return _keep_below(x, np.float64(low), np.float64(high))
    x = unit32(engine, count)
    if low != 0 or high != 1:
        low32, high32 = np.float32(low), np.float32(high)
        x = fma32(x, float(high32 - low32), float(low32))
    x = x.astype(dtype, copy=False)
    return _keep_below(x, dtype.type(low), dtype.type(high))


def _keep_below(x: np.ndarray, low, high) -> np.ndarray:
    """Numbers that rounding moved up to `high` become `low`, in place."""
    x[x == high] = low
    return x


def _check_uniform(name: str, low: float, high: float) -> None:
    require(name, REAL, "check_uniform_bounds")
    largest = LARGEST[name]
    for bound, which in ((low, "from"), (high, "to")):
        if not -largest <= bound <= largest:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[name]}")
    if not low <= high:
        raise RuntimeError(
            "uniform_ expects to return a [from, to) range, "
            f"but found from={shown(low)} > to={shown(high)}"
        )
    if not high - low <= largest:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{TORCH_NAMES[name]}>::max(), "
            f"but found to={shown(high)} and from={shown(low)} "
            "which result in to-from to exceed the limit"
        )


def exponential(engine: Engine, count: int, dtype: np.dtype, rate: float) -> np.ndarray:
    """-log(1 - u) / rate, of a real `dtype`."""
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={shown(rate)}")
    if dtype.name not in REAL:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {TORCH_NAMES.get(dtype.name, dtype.name)}"
        )
    x = unit64(engine, count)
    np.negative(x, out=x)
    np.log1p(x, out=x)
    x *= -1.0 / rate
    return narrow(x, dtype)


def cauchy(engine: Engine, count: int, dtype: np.dtype, median: float, sigma: float) -> np.ndarray:
    """median + sigma * tan(pi * (u - 1/2)), of a real `dtype`."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={shown(sigma)}")
    if dtype.name not in REAL:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {C_NAMES.get(dtype.name, dtype.name)}"
        )
    x = np.tan(np.pi * (unit64(engine, count) - 0.5))
    return narrow(x if (median, sigma) == (0, 1) else fma64(x, sigma, median), dtype)


def geometric(engine: Engine, count: int, dtype: np.dtype, p: float) -> np.ndarray:
    """How many trials of probability `p` until the first success; real or signed or uint8."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={shown(p)}")
    require(dtype.name, _GEOMETRIC, "geometric_cpu")
    x = unit64(engine, count)
    with np.errstate(divide="ignore"):
        np.log(x, out=x)
    x /= np.log1p(-p)
    return narrow(np.ceil(x, out=x), dtype)


def bernoulli(engine: Engine, count: int, dtype: np.dtype, p: float | np.ndarray) -> np.ndarray:
    """`count` zeros and ones, each one with probability `p`.

    p: a Python float, or an array of one or `count` floats, taken in order. A Python float and a
    float64 array compare with float64 uniforms, all other arrays with float32 ones. This is ATen's
    own stream; PyTorch built with MKL draws from another one on Intel processors, where `p` is a
    Python float.
    """
    if not isinstance(p, np.ndarray):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={shown(p)}")
        require(dtype.name, _BERNOULLI, "bernoulli_scalar_cpu_")
        return (unit64(engine, count) < p).astype(dtype, copy=False)
    require(dtype.name, _BERNOULLI, "bernoulli_tensor_cpu_self_")
    require(p.dtype.name, REAL, "bernoulli_tensor_cpu_p_")
    wide = p.dtype == F64
    p = np.broadcast_to(p.astype(F64 if wide else F32, copy=False).ravel(), count)
    if not ((p >= 0) & (p <= 1)).all():
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return ((unit64 if wide else unit32)(engine, count) < p).astype(dtype, copy=False)
