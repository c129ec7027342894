"""exp and what is made of it: exp2, expm1, sigmoid, tanh.

Room: codegen. x = n * ln 2 + r with |r| <= ln(2)/2 (Cody and Waite, 1980: ln 2 in two parts, n
times the first cancels exactly); e**x = 2**n * (1 + r + r**2 * q(r)). n is read from the low bits
of x / ln 2 + 1.5 * 2**23, which has no room for a fraction. The polynomials are minimax in the
relative error of e**r, 2**r and tanh (Remez exchange): below 2**-27.7 (f32), 2**-56.5 (f64).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from bital.codegen.math import wide
from bital.codegen.math.value import Value, at_least, at_most, fma, polynomial, select, word


class _Format(NamedTuple):
    """What the algorithm must know of a format of floating-point numbers."""

    magic: float  # 1.5 * 2**fraction: a sum with it is rounded to an integer
    fraction: int  # bits of the fraction
    one: int  # the bits of 1.0
    ln2: tuple[float, float]  # ln 2 as a sum of two numbers
    low: float  # exp is 0 below
    high: float  # and infinite above
    settled: float  # expm1 is -1 below its negative, tanh 1 above
    q: tuple[float, ...]  # (e**r - 1 - r) / r**2
    q2: tuple[float, ...]  # (2**r - 1 - r * ln 2) / r**2, on |r| <= 1/2
    tanh: tuple[float, ...]  # (tanh(x) - x) / x**3 in x**2, on |x| <= 0.55


_F32 = _Format(
    1.5 * 2.0**23, 23, 127 << 23, (0.693145751953125, 1.42860682e-6),
    -104.0, 89.0, 18.0,
    (0.5, 0.16666518, 0.041666206, 0.008368918, 0.001395054),
    (0.24022648, 0.05550362, 0.009618526, 0.0013390161, 0.00015321153),
    (-0.3333332, 0.13332628, -0.05385252, 0.021058505, -0.006240592),
)  # fmt: skip
_F64 = _Format(
    1.5 * 2.0**52, 52, 1023 << 52, (0.6931471805599453, 2.3190468138462996e-17),
    -746.0, 710.0, 38.0,
    (0.5000000000000013, 0.166666666666667, 0.04166666666651493, 0.008333333333307134,
     0.0013888888947156265, 0.00019841269917537913, 2.4801489785695097e-05,
     2.7557216161905233e-06, 2.763133975000852e-07, 2.5117905502862152e-08),
    (0.24022650695910122, 0.05550410866482074, 0.00961812910759699, 0.0013333558146686043,
     0.00015403530454057265, 1.5252733546928714e-05, 1.3215436613959376e-06,
     1.0178184637587648e-07, 7.073578462415906e-09, 4.436304638824755e-10),
    (-0.33333333333333315, 0.1333333333332911, -0.053968253964845135, 0.021869488408485502,
     -0.008863232860927404, 0.003592093735075154, -0.0014555489583428444,
     0.0005884529655968398, -0.00023336745117426676, 8.32527770808767e-05,
     -1.9432415013998932e-05),
)  # fmt: skip


def _format(x: Value) -> _Format:
    return _F64 if x.wide else _F32


def limits(x: Value) -> tuple[float, float]:
    """Below the first e**x is 0, above the second infinite."""
    form = _format(x)
    return form.low, form.high


def reduce(x: Value, more: Value | None = None) -> tuple[Value, Value]:
    """n as the low bits of an integer, and s = e**r - 1, for x within exp's range.

    With `more`, a small part of x, nothing that rounding r leaves out is lost.
    """
    form = _format(x)
    shifted = fma(x, math.log2(math.e), form.magic)
    n = shifted - form.magic
    near = fma(n, -form.ln2[0], x)
    if more is None:
        r = fma(n, -form.ln2[1], near)
        return shifted.bits(), fma(r * r, polynomial(r, form.q), r)
    more = fma(n, -form.ln2[1], more)
    r = near + more
    return shifted.bits(), fma(r * r, polynomial(r, form.q), (near - r) + more) + r


def power_of_two(n: Value, form: _Format, less: int = 0) -> Value:
    """2**(n - less), n in the low bits of an integer."""
    return ((n << form.fraction) + (form.one - (less << form.fraction))).as_float()


def scale(p: Value, n: Value) -> Value:
    """p * 2**n, where 2**n is a normal number."""
    return p * power_of_two(n, _format(p))


def scale_far(p: Value, n: Value) -> Value:
    """p * 2**n for p near 1, in two steps: only the last may leave the normal numbers."""
    half = n >> 1
    return scale(scale(p, half), n - half)


#: 2**(k/16), and (e**r - 1 - r) / r**2 on |r| <= ln(2)/32: 2**-29.2 in the relative error of e**r
_ROOTS = tuple(2.0 ** (k / 16) for k in range(16))
_NEAR = (0.5000162124633789, 0.16667057573795319)


def power_by_table(x: Value) -> tuple[Value, Value]:
    """p and n with e**x = p * 2**floor(n), for x within exp's range: n is rounded to sixteenths."""
    magic = _F32.magic / 16
    shifted = fma(x, math.log2(math.e), magic)
    n = shifted - magic
    r = fma(n, -_F32.ln2[1], fma(n, -_F32.ln2[0], x))
    root = wide.lookup(_ROOTS, shifted.bits())
    return fma(root * r, fma(polynomial(r, _NEAR), r, 1.0), root), n


def _exp_by_table(x: Value) -> Value:
    p, n = power_by_table(at_most(x, _F32.high))
    # what is 0 is left out, as below
    return select(~(x < _F32.low), wide.times_power(p, n), 0.0)


@word("exp")
@wide.by_table(_exp_by_table)
def exp(x: Value) -> Value:
    """e**x.

    What is 0 (where softmax is masked, half of all) is left out: on its way it would meet denormal
    numbers, which take x86 a hundred cycles each.
    """
    form = _format(x)
    gone = x < form.low
    n, s = reduce(at_most(select(gone, x.const(0.0), x), form.high))
    return select(gone, x.const(0.0), scale_far(s + 1.0, n))


@word("exp2")
def exp2(x: Value) -> Value:
    """2**x: r = x - n is exact."""
    form = _format(x)
    x = at_most(at_least(x, form.low * 1.5), form.high * 1.5)
    shifted = x + form.magic
    r = x - (shifted - form.magic)
    s = fma(r * r, polynomial(r, form.q2), r * math.log(2))
    return scale_far(s + 1.0, shifted.bits())


@word("expm1")
def expm1(x: Value) -> Value:
    """e**x - 1 = 2**n * s + (2**n - 1): nothing cancels where n = 0."""
    form = _format(x)
    n, s = reduce(at_most(at_least(x, -form.settled), form.high), x.const(0.0))
    half = power_of_two(n, form, 1)
    return (fma(s, half, half - 0.5) * 2.0).copysign(x)


@word("sigmoid")
def sigmoid(x: Value) -> Value:
    """1 / (1 + e**-x)."""
    return 1.0 / (exp(-x) + 1.0)


def _tanh(x: Value, power: Callable[[Value], Value]) -> Value:
    form = _format(x)
    a = at_most(abs(x), form.settled)
    far = 1.0 - 2.0 / (power(a + a) + 1.0)
    z = x * x
    near = fma(a * z, polynomial(z, form.tanh), a)
    return select(a < 0.55, near, far).copysign(x)


def _tanh_by_table(x: Value) -> Value:
    return _tanh(x, lambda a: wide.times_power(*power_by_table(a)))


@word("tanh")
@wide.by_table(_tanh_by_table)
def tanh(x: Value) -> Value:
    """1 - 2 / (e**2x + 1) of |x|; below 0.55 a polynomial."""

    def power(a: Value) -> Value:
        n, s = reduce(a)
        return scale(s + 1.0, n)

    return _tanh(x, power)
