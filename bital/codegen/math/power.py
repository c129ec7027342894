"""power: x ** y in twice the working precision where it counts.

Room: codegen. |x| = 2**e * (1 + f), s = f / (2 + f), z = s**2, log(1 + f) = 2 s + s z (2/3 +
z U(z)); all but U as unevaluated sums of two numbers (Dekker 1971; the products by fma), so that
y * log|x| is good to a small part of a unit even where it is large. U is minimax (Remez exchange)
in the relative error of the logarithm: 2**-35 at degree 2 (f32), 2**-66 at degree 7 (f64).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bital.codegen.math import exponential, logarithm
from bital.codegen.math.value import Value, fma, polynomial, select, word


class Pair(NamedTuple):
    """A number and a small one: their sum is meant."""

    high: Value
    low: Value


_U = {
    "f32": (0.40000084, 0.28551975, 0.2333461),
    "f64": (0.3999999999999998, 0.2857142857144522, 0.22222222217510515, 0.1818181887350155,
            0.15384556653335082, 0.13336325803638163, 0.11674648076457636, 0.11990434540461908),
}  # fmt: skip
#: what 2/3 is more than the format's 2/3
_TWO_THIRDS = {"f32": -1.9868215e-08, "f64": 3.700743415417188e-17}


def add_ordered(x: Value, y: Value) -> Pair:
    """x + y for |x| >= |y| (Dekker's FastTwoSum)."""
    total = x + y
    return Pair(total, (x - total) + y)


def multiply(x: Pair, y: Pair) -> Pair:
    """x * y."""
    product = x.high * y.high
    low = fma(x.high, y.high, -product)
    return Pair(product, fma(x.high, y.low, fma(x.low, y.high, low)))


def log_pair(x: Value) -> Pair:
    """log(x) of a positive, finite x."""
    e, f = logarithm.split(x)
    under = f + 2.0
    inverse = 1.0 / under
    s_high = f * inverse
    # f - s * (2 + f), with what rounding 2 + f left out
    s = Pair(s_high, fma(-s_high, f - (under - 2.0), fma(-s_high, under, f)) * inverse)
    z = multiply(s, s)
    u = z.high * polynomial(z.high, _U[x.kind])
    factor = add_ordered(x.const(2 / 3), u)
    factor = Pair(factor.high, factor.low + _TWO_THIRDS[x.kind])
    more = multiply(multiply(s, z), factor)
    near = add_ordered(s.high * 2.0, more.high)
    low = fma(s.low, 2.0, near.low + more.low)
    first, second = logarithm.ln2(x)
    total = add_ordered(e * first, near.high)
    # where e is 0 the sum is exact in either order
    return add_ordered(total.high, total.low + fma(e, second, low))


def _exp(x: Pair) -> Value:
    """e ** x."""
    low, high = exponential.limits(x.high)
    inside = (x.high > low) & (x.high < high)
    y = select(inside, x.high, select(x.high > 0.0, x.high.const(high), low))
    n, s = exponential.reduce(y, select(inside, x.low, 0.0))
    return exponential.scale_far(s + 1.0, n)


@word("power")
def power(x: Value, y: Value) -> Value:
    """x ** y, with C's special values."""
    a, inf = abs(x), math.inf
    log = log_pair(a)
    product = multiply(log, Pair(y, y.const(0.0)))
    size = _exp(product)
    # 0 and infinity
    zero = a.equals(0.0)
    size = select(zero | a.equals(inf), select(zero ^ (y < 0.0), 0.0, x.const(inf)), size)
    size = select(a.equals(1.0), 1.0, size)
    whole, halved = y.rint().equals(y), y * 0.5
    odd = whole & ~halved.rint().equals(halved)
    size = select((x < 0.0) & (a < inf) & ~whole, x.const(math.nan), size)
    size = select(odd, size.copysign(x), size)
    size = select(x.isnan() | y.isnan(), x.const(math.nan), size)
    return select(x.equals(1.0) | y.equals(0.0), 1.0, size)
