"""hypot, logaddexp, logaddexp2.

Room: codegen.
"""

from __future__ import annotations

import math

from bital.codegen.math import exponential, logarithm
from bital.codegen.math.value import Value, fma, select, word


@word("hypot")
def hypot(x: Value, y: Value) -> Value:
    """sqrt(x**2 + y**2), scaled so that the squares do not leave the normal numbers."""
    a, c = abs(x), abs(y)
    large, small = select(a > c, a, c), select(a > c, c, a)
    few, grow, many, shrink = (-300, 600, 500, -600) if x.wide else (-40, 100, 60, -80)
    tiny, huge = large < 2.0**few, large > 2.0**many
    factor = select(tiny, x.const(2.0**grow), select(huge, x.const(2.0**shrink), 1.0))
    back = select(tiny, x.const(2.0**-grow), select(huge, x.const(2.0**-shrink), 1.0))
    large, small = large * factor, small * factor
    result = fma(large, large, small * small).sqrt() * back
    # an infinity counts for more than NaN
    return select(a.equals(math.inf) | c.equals(math.inf), math.inf, result)


def _largest(x: Value, y: Value) -> tuple[Value, Value]:
    """The larger one, and -|x - y|, 0 where they are alike, infinities also."""
    gap = select(x.equals(y), 0.0, -abs(x - y))
    return select(x > y, x, y), gap


@word("logaddexp")
def logaddexp(x: Value, y: Value) -> Value:
    """log(e**x + e**y)."""
    most, gap = _largest(x, y)
    return most + logarithm.log1p(exponential.exp(gap))


@word("logaddexp2")
def logaddexp2(x: Value, y: Value) -> Value:
    """log2(2**x + 2**y)."""
    most, gap = _largest(x, y)
    return most + logarithm.log1p(exponential.exp2(gap)) * math.log2(math.e)
