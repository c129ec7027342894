"""sin, cos, tan.

Room: codegen. x = q * pi/2 + r with |r| <= pi/4; q's last two bits choose between sin(r), cos(r)
and their negatives. Where |x| is below a bound pi/2 is taken in three parts (Cody and Waite, 1980);
beyond, which hardly happens, x * 2/pi is formed from the bits of 2/pi that matter (Payne and Hanek,
1983). The polynomials are minimax in the relative error (Remez exchange): 2**-27 (f32), 2**-56.7.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from bital.codegen.math.value import Value, fma, polynomial, select, word
from bital.codegen.reg import Reg, literal
from bital.codegen.scalar import Builder


class _Format(NamedTuple):
    """What the algorithm must know of a format of floating-point numbers."""

    magic: float  # 1.5 * 2**fraction: a sum with it is rounded to an integer
    bound: float  # below it three parts of pi/2 are enough
    half_pi: tuple[float, float, float]
    sin: tuple[float, ...]  # (sin(r) - r) / r**3 in r**2
    cos: tuple[float, ...]  # (cos(r) - 1 + r**2/2) / r**4 in r**2


_F32 = _Format(
    1.5 * 2.0**23, 2.0**16, (1.5707963705062866, -4.371138828673793e-08, -1.7151245100059e-15),
    (-0.16666655, 0.008332108, -0.00019502763),
    (0.041666646, -0.001388731, 2.4432413e-05),
)  # fmt: skip
_F64 = _Format(
    1.5 * 2.0**52, 2.0**30,
    (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33),
    (-0.16666666666666632, 0.008333333333322314, -0.00019841269829725172, 2.755731366204734e-06,
     -2.5050753263109303e-08, 1.5896504872757977e-10),
    (0.041666666666666595, -0.0013888888888872895, 2.480158728874821e-05,
     -2.755731414863001e-07, 2.087569657345405e-09, -1.1358310533842208e-11),
)  # fmt: skip


def _format(x: Value) -> _Format:
    return _F64 if x.wide else _F32


# beyond the bound

_STEP = 32  # exponents that share a row of bits
_WORDS = 4  # numbers of 53 bits in a row


@functools.cache
def _two_over_pi() -> str:
    """A table as text: row k is 2/pi * 2**(32 k) less multiples of 2**54, as a sum of 4 numbers."""
    scale = 1 << 1300
    # Machin: pi = 16 arctan(1/5) - 4 arctan(1/239)
    pi = 0
    for factor, inverse in ((16, 5), (-4, 239)):
        power, k = scale // inverse, 0
        while power:
            pi += factor * (-1) ** k * (power // (2 * k + 1))
            power, k = power // inverse**2, k + 1
    bits = (scale << 1301) // pi  # 2/pi * 2**1300
    numbers = []
    for row in range(1024 // _STEP):
        rest = (bits << _STEP * row) % (1 << 1354)
        for k in range(_WORDS):
            unit = 1301 - 53 * k
            numbers.append(math.ldexp(rest >> unit, unit - 1300))
            rest %= 1 << unit
    words = ", ".join(f"double {literal('f64', x)}" for x in numbers)
    return f"@two_over_pi = internal constant [{len(numbers)} x double] [{words}]"


def _add(x: Value, y: Value) -> tuple[Value, Value]:
    """x + y, and what rounding leaves out (Knuth's TwoSum)."""
    total = x + y
    other = total - x
    return total, (x - (total - other)) + (y - other)


def _close(x: Value, y: Value) -> tuple[Value, Value]:
    """x + y for |x| >= |y|, and what rounding leaves out (Dekker's FastTwoSum)."""
    total = x + y
    return total, (x - total) + y


def _far(b: Builder, operand: Reg) -> Sequence[Reg]:
    """r, what rounding it leaves out, and q, as f64, for |x| >= 1; NaN of infinity and NaN."""
    b.declared.add(_two_over_pi())
    finite = abs(Value(b, operand)) < math.inf
    # the table has rows for these alone; what else is in the vector has its own r already
    x = select(finite & (abs(Value(b, operand)) >= 1.0), Value(b, operand), 1.0)
    row = ((x.bits() >> 52) & 0x7FF) - 1023 >> 5
    table, places = Reg("@two_over_pi", "ptr"), row << 2
    m = x * (1023 - (row << 5) << 52).as_float()
    exact = []  # the product is the sum of these
    for k in range(_WORDS):
        bits = Value(b, b.gather(table, "f64", (places + k).reg))
        product = m * bits
        exact += [product, fma(m, bits, -product)]
    # whole turns drop out of what may exceed them
    exact[:3] = [v - 4.0 * (v * 0.25).rint() for v in exact[:3]]
    # twice summed from the right, the first holds the sum and the second what it lacks
    for _ in range(2):
        for k in range(len(exact) - 2, -1, -1):
            exact[k], exact[k + 1] = _add(exact[k], exact[k + 1])
    q = exact[0].rint()
    high, low = _add(exact[0] - q, exact[1])
    low = low + exact[2]
    half_pi = _F64.half_pi
    r = high * half_pi[0]
    rest = fma(high, half_pi[1], fma(low, half_pi[0], fma(high, half_pi[0], -r)))
    return [select(finite, r, math.nan).reg, rest.reg, q.reg]


def _reduce(x: Value) -> tuple[Value, Value, Value]:
    """r, what rounding it leaves out, and an integer with q's last two bits."""
    form = _format(x)
    shifted = fma(x, 2 / math.pi, form.magic)
    n = shifted - form.magic
    first, second, third = form.half_pi
    exact, less = fma(n, -first, x), n * second
    r = exact - less
    rest = fma(n, -third, ((exact - r) - less) - fma(n, second, -less))
    b, far = x.b, ~(abs(x) < form.bound)
    rare = b.when(far.any().reg)
    results = b.outlined(f"turns_beyond_{x.reg.lanes}", _far, x.cast("f64").reg)
    wide_r, wide_rest, far_q = (Value(b, reg) for reg in results)
    far_r = wide_r.cast(x.kind)
    far_rest = wide_rest if x.wide else (wide_r - far_r.cast("f64")).cast(x.kind)
    taken = [
        select(far, far_r, r).reg,
        select(far, far_rest, rest).reg,
        select(far, far_q.cast(x.kind) + form.magic, shifted).reg,
    ]
    r, rest, shifted = (Value(b, v) for v in rare.end(taken, (r.reg, rest.reg, shifted.reg)))
    return r, rest, shifted.bits()


def _sine_rest(r: Value, rest: Value, z: Value) -> Value:
    """sin(r + rest) - r."""
    return fma(r * z, polynomial(z, _format(r).sin), rest)


def _cosine_parts(r: Value, rest: Value, z: Value) -> tuple[Value, Value]:
    """cos(r + rest) as a number and a small one."""
    half = z * 0.5
    near = 1.0 - half
    lost = (1.0 - near) - half
    return near, fma(z * z, polynomial(z, _format(z).cos), fma(r, -rest, lost))


def _circular(r: Value, rest: Value, q: Value) -> Value:
    """sin(q * pi/2 + r)."""
    z = r * r
    near, small = _cosine_parts(r, rest, z)
    size = select((q & 1).equals(0), r + _sine_rest(r, rest, z), near + small)
    sign = (q & 2) << (62 if r.wide else 30)
    return (size.bits() ^ sign).as_float()


@word("sin")
def sin(x: Value) -> Value:
    """The sine."""
    return select(x.equals(0.0), x, _circular(*_reduce(x)))


@word("cos")
def cos(x: Value) -> Value:
    """The cosine."""
    r, rest, q = _reduce(x)
    return _circular(r, rest, q + 1)


@word("tan")
def tan(x: Value) -> Value:
    """The tangent: sine and cosine with what rounding leaves out, and so their quotient."""
    r, rest, q = _reduce(x)
    z, even = r * r, (q & 1).equals(0)
    s, s_rest = _close(r, _sine_rest(r, rest, z))
    c, c_rest = _close(*_cosine_parts(r, rest, z))
    top, top_rest = select(even, s, -c), select(even, s_rest, -c_rest)
    under, under_rest = select(even, c, s), select(even, c_rest, s_rest)
    inverse = 1.0 / under
    t = top * inverse
    t = fma(fma(-t, under_rest, fma(-t, under, top) + top_rest), inverse, t)
    return select(x.equals(0.0), x, t)
