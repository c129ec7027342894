"""log, log2, log10 and log1p.

Room: codegen. x = 2**e * (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), by integer arithmetic
on the bits. f32: log(1 + f) = f - f**2/2 + f**3 * P(f), P of degree 8, minimax in the relative
error (Remez exchange): 2**-28.1. f64: with s = f / (2 + f), log(1 + f) = f - f**2/2 +
s * (f**2/2 + R(s**2)), R(z) = z * Q(z) of degree 7: 2**-57.9 (fdlibm's e_log.c is arranged so).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bital.codegen.math import wide
from bital.codegen.math.value import Value, fma, parts, polynomial, select, word


class _Format(NamedTuple):
    """What the algorithm must know of a format of floating-point numbers."""

    fraction: int  # bits of the fraction
    root: int  # the bits of sqrt(1/2)
    least: float  # the smallest normal number
    ln2: tuple[float, float]  # ln 2 as a sum of two numbers; e times the first is exact
    p: tuple[float, ...]


_F32 = _Format(
    23, 0x3F3504F3, 2.0**-126, (0.693145751953125, 1.42860682e-6),
    (0.33333313, -0.2500001, 0.20002124, -0.16668, 0.14219454, -0.12405454, 0.1188881,
     -0.116768464, 0.067466),
)  # fmt: skip
_F64 = _Format(
    52, 0x3FE6A09E667F3BCD, 2.0**-1022, (0.6931471803691238, 1.9082149292705877e-10),
    (0.6666666666666713, 0.3999999999948221, 0.28571428736992255, 0.22222198353117611,
     0.18183608350372596, 0.1531224107837749, 0.14819710109436213),
)  # fmt: skip


def _format(x: Value) -> _Format:
    return _F64 if x.wide else _F32


def ln2(x: Value) -> tuple[float, float]:
    """ln 2 as a sum of two numbers; an exponent times the first is exact."""
    return _format(x).ln2


def split(x: Value) -> tuple[Value, Value]:
    """e and f of a positive, finite x."""
    form = _format(x)
    tiny = x < form.least
    bits = select(tiny, x * 2.0**form.fraction, x).bits()
    above = bits - form.root
    e = above >> form.fraction
    f = (bits - (e << form.fraction)).as_float() - 1.0
    return e.cast(x.kind) - select(tiny, x.const(form.fraction), 0.0), f


def join(e: Value, f: Value) -> Value:
    """e * ln 2 + log(1 + f)."""
    form = _format(f)
    half = f * f * 0.5
    if f.wide:
        s = f / (f + 2.0)
        z = s * s
        rest = fma(s, fma(z, polynomial(z, form.p), half), e * form.ln2[1])
        return fma(e, form.ln2[0], f - (half - rest))
    rest = fma(f * f * f, polynomial(f, form.p), e * form.ln2[1])
    return fma(e, form.ln2[0], f - (half - rest))


def special(x: Value, result: Value) -> Value:
    """The logarithm where x is finite and positive; else inf, -inf of 0, NaN below 0."""
    result = select(x < float("inf"), result, x)
    return select(x > 0.0, result, select(x.equals(0.0), x.const(float("-inf")), float("nan")))


#: by the bits of m's fraction that stand in front: 1 / m, of m between 3/4 and 3/2, 1 beside 1;
#: and minus its logarithm, as multiples of 2**-16 and what is left
_INVERSE = tuple(
    1.0 if k in (0, 15) else float(np.float32(1 / ((1 if k < 8 else 0.5) * (1 + (k + 0.5) / 16))))
    for k in range(16)
)
_HIGH = tuple(round(-math.log(c) * 2**16) / 2**16 for c in _INVERSE)
_LOW = tuple(-math.log(c) - high for c, high in zip(_INVERSE, _HIGH))
#: (log(1 + r) - r) / r**2 on -1/31..1/16: 2**-28.3 in the relative error of log(1 + r)
_NEAR = (-0.5, 0.33334463834762573, -0.2500948905944824, 0.18893542885780334)


def _log_by_table(x: Value) -> Value:
    m = wide.mantissa(x)
    e = wide.exponent(x) - wide.exponent(m)
    place = m.bits() >> 19
    r = fma(m, wide.lookup(_INVERSE, place), -1.0)
    high = fma(e, _F32.ln2[0], wide.lookup(_HIGH, place))
    low = fma(e, _F32.ln2[1], wide.lookup(_LOW, place))
    result = high + (r + fma(r * r, polynomial(r, _NEAR), low))
    return wide.special(
        result, x, wide.ARGUMENT, wide.QUIET, wide.MINUS_INF, wide.KEEP, wide.NAN, wide.INF,
        wide.NAN, wide.KEEP,
    )  # fmt: skip


@word("log")
@wide.by_table(_log_by_table)
def log(x: Value) -> Value:
    """The natural logarithm."""
    return special(x, join(*split(x)))


def _of_base(x: Value, unit: tuple[float, float], two: tuple[float, float]) -> Value:
    """The logarithm in which e has the logarithm `unit`, and 2 `two`."""
    form = _format(x)
    e, f = split(x)
    half = f * f * 0.5
    near = f - half
    if f.wide:
        s = f / (f + 2.0)
        z = s * s
        more = s * fma(z, polynomial(z, form.p), half)
    else:
        more = f * f * f * polynomial(f, form.p)
    more = ((f - near) - half) + more
    more = fma(near, unit[1], fma(e, two[1], more * unit[0]))
    return special(x, fma(e, two[0], fma(near, unit[0], more)))


@word("log2")
def log2(x: Value) -> Value:
    """The logarithm to base 2."""
    return _of_base(x, parts(x, 1.4426950408889634, 2.0355273740931033e-17), (1.0, 0.0))


@word("log10")
def log10(x: Value) -> Value:
    """The logarithm to base 10."""
    unit = parts(x, 0.4342944819032518, 1.098319650216765e-17)
    return _of_base(x, unit, parts(x, 0.3010299956639812, -2.8037281277851704e-18))


@word("log1p")
def log1p(x: Value) -> Value:
    """log(1 + x): 2**e * (1 + f) = 1 + x gives f = x * 2**-e + (2**-e - 1), rounded once."""
    form = _format(x)
    exponent = (x + 1.0).bits() - form.root >> form.fraction
    shift = exponent << form.fraction
    # 4 * 2**-e, as 2**-e may be no normal number
    power = (x.const(4.0).bits() - shift).as_float()
    f = (x.bits() - shift).as_float() + fma(power, 0.25, -1.0)
    result = join(exponent.cast(x.kind), f)
    result = select(x < float("inf"), result, x)
    edge = select(x.equals(-1.0), x.const(float("-inf")), float("nan"))
    return select(x > -1.0, result, edge).copysign(x)
