"""Normal draws: PyTorch's two ways of turning uniform numbers into normal ones.

Room: streams; NumPy and the standard library only. Both ways are the method of Box and Muller
(Ann. Math. Stat. 29, 1958).

*In sixteens*: contiguous tensors of 16 elements and more. Eight uniforms make radii, the next
eight make angles. float32 (and the 16-bit formats, which are computed in it) uses the polynomials
of the Cephes library (S. Moshier, `logf`, `sinf`, `cosf`) with fused multiply-adds; the same steps
are taken here, so the bits are the same. A product of two float32 is exact in float64, so one step
is: multiply and add in float64, round to float32.
*In pairs*: everything else. float64 throughout, and the second of a pair is kept for the next call.
"""

from __future__ import annotations

import math

import numpy as np

from bital.streams.arithmetic import F64, fma32, fma64, unit32, unit64
from bital.streams.mt19937 import Engine

_FEW = 8  # pairs
_CHUNK = 1024  # blocks of 16 at a time: the work arrays then fit in the cache


def _coefficients(*values: float) -> tuple[float, ...]:
    return tuple(float(np.float32(v)) for v in values)


_LOG = _coefficients(
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LN2_LOW, _LN2_HIGH = _coefficients(-2.12194440e-4, 0.693359375)
_COS = _coefficients(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_SIN = _coefficients(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
# pi/4 in three parts, so that subtracting a multiple of it keeps the low bits
_QUARTER_PI = _coefficients(-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_FOUR_OVER_PI = np.float32(1.27323954473516)
_TWO_PI = np.float32(2.0 * math.pi)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)


def _round(wide: np.ndarray, single: np.ndarray) -> None:
    """Round `wide` (float64) to float32 in place; `single` receives the float32 values."""
    single[...] = wide
    wide[...] = single


def _polynomial(coefficients, x: np.ndarray, single: np.ndarray) -> np.ndarray:
    """Horner's rule on float64 `x`, each step rounded to float32."""
    y = x * coefficients[0]
    y += coefficients[1]
    _round(y, single)
    for c in coefficients[2:]:
        y *= x
        y += c
        _round(y, single)
    return y


def _log(u: np.ndarray) -> np.ndarray:
    """Natural logarithm of float32 `u` in [2**-24, 1], as float32.

    u = 2**e * m with m in [sqrt(1/2), sqrt(2)); log m is a polynomial in m - 1.
    """
    bits = u.view(np.int32) - _SQRT_HALF_BITS
    e = (bits >> 23).astype(np.float64)
    bits &= np.int32(0x7FFFFF)
    bits += _SQRT_HALF_BITS
    single = bits.view(np.float32) - np.float32(1)
    x = single.astype(np.float64)
    z = x * x
    _round(z, single)
    y = _polynomial(_LOG, x, single)
    y *= x
    _round(y, single)
    y *= z
    low = e * _LN2_LOW
    _round(low, single)
    y += low
    _round(y, single)
    z *= 0.5
    y -= z
    _round(y, single)
    y += x
    _round(y, single)
    e *= _LN2_HIGH
    y += e
    return y.astype(np.float32)


def _sin_cos(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of float32 `theta` in [0, 2 pi], as float32."""
    octant = (theta * _FOUR_OVER_PI).astype(np.int32)
    octant += 1
    octant &= ~1
    y = octant.astype(np.float64)
    x = theta.astype(np.float64)
    single = np.empty_like(theta)
    x += y * _QUARTER_PI[0]  # exact
    for part in _QUARTER_PI[1:]:
        x += y * part
        _round(x, single)
    z = x * x
    _round(z, single)

    cos = _polynomial(_COS, z, single)
    cos *= z
    _round(cos, single)
    cos *= z
    cos -= z * 0.5
    _round(cos, single)
    cos += 1.0
    sin = _polynomial(_SIN, z, single)
    sin *= z
    _round(sin, single)
    sin *= x
    sin += x

    cos, sin = cos.astype(np.float32), sin.astype(np.float32)
    straight = (octant & 2) == 0  # elsewhere sine and cosine change places
    out_sin = np.where(straight, sin, cos)
    out_cos = np.where(straight, cos, sin)
    out_sin.view(np.int32)[...] ^= (octant & 4) << 29
    out_cos.view(np.int32)[...] ^= ((octant + 2) & 4) << 29
    return out_sin, out_cos


def _sixteens32(u: np.ndarray, mean: float, std: float) -> None:
    """Uniform to normal, in place. u: (blocks, 2, 8) float32."""
    mean, std = float(np.float32(mean)), float(np.float32(std))
    for start in range(0, len(u), _CHUNK):
        part = u[start : start + _CHUNK]
        radius = _log(np.float32(1) - part[:, 0])
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        sin, cos = _sin_cos(part[:, 1] * _TWO_PI)
        cos *= radius
        sin *= radius
        if std == 1:
            cos += np.float32(mean)
            sin += np.float32(mean)
        else:
            cos, sin = (fma32(x, std, mean) for x in (cos, sin))
        part[:, 0] = cos
        part[:, 1] = sin


def _sixteens64(u: np.ndarray, mean: float, std: float) -> None:
    """Uniform to normal, in place. u: (blocks, 2, 8) float64."""
    radius = np.sqrt(-2.0 * np.log(1.0 - u[:, 0]))
    theta = u[:, 1] * (2.0 * math.pi)
    for row, wave in enumerate((np.cos, np.sin)):
        x = wave(theta)
        x *= radius
        u[:, row] = x + mean if std == 1 else fma64(x, std, mean)


def in_sixteens(engine: Engine, count: int, dtype: np.dtype, mean: float, std: float) -> np.ndarray:
    """`count` >= 16 normal numbers of a real `dtype`.

    Where `count` is no multiple of 16, the last 16 are made once more from 16 new uniforms. Before
    that float32 and float64 draw uniforms for the incomplete block too; the 16-bit formats do not.
    """
    unit, fill = (unit64, _sixteens64) if dtype == F64 else (unit32, _sixteens32)
    tail = count % 16
    whole = count - tail
    short = dtype.itemsize == 2
    u = unit(engine, whole + (16 + (0 if short else tail) if tail else 0))
    if not tail:
        fill(u.reshape(-1, 2, 8), mean, std)
        return u.astype(dtype, copy=False)
    u[whole : whole + 16] = u[-16:].copy()
    fill(u[: whole + 16].reshape(-1, 2, 8), mean, std)
    out = np.empty(count, dtype)
    out[:whole] = u[:whole]
    out[-16:] = u[whole : whole + 16]
    return out


def one_uniform(high: int, low: int) -> float:
    """What `unit64` makes of two words."""
    return ((high & 0x1FFFFF) << 32 | low) * 2.0**-53


def in_pairs(
    engine: Engine, count: int, kept: float | None
) -> tuple[np.ndarray | list[float], float | None]:
    """`count` standard normal numbers in double precision, and the one kept for the next call.

    `kept` is what the call before kept; it comes first.
    """
    pairs = (count - (kept is not None) + 1) // 2
    made: np.ndarray | list[float]
    if pairs <= _FEW:
        made = [] if kept is None else [kept]
        made += _few_pairs(engine.words(4 * pairs).tolist())
    else:
        u = unit64(engine, 2 * pairs).reshape(pairs, 2)
        radius = np.sqrt(-2.0 * np.log1p(-u[:, 1]))
        theta = u[:, 0] * (2.0 * math.pi)
        both = np.stack((radius * np.cos(theta), radius * np.sin(theta)), axis=1).ravel()
        made = both if kept is None else np.concatenate(([kept], both))
    if len(made) == count:
        return made, None
    return made[:count], float(made[count])


def one_pair(first: float, second: float) -> tuple[float, float]:
    """Two uniform numbers as two normal ones."""
    theta = 2.0 * math.pi * first
    radius = math.sqrt(-2.0 * math.log1p(-second))
    return radius * math.cos(theta), radius * math.sin(theta)


def _few_pairs(words: list[int]) -> list[float]:
    """The same for a few pairs, with Python's numbers, which are cheaper for them than NumPy."""
    made: list[float] = []
    for i in range(0, len(words), 4):
        first = one_uniform(words[i], words[i + 1])
        made += one_pair(first, one_uniform(words[i + 2], words[i + 3]))
    return made
