"""sinh, cosh, arcsinh, arccosh, arctanh.

Room: codegen. Where exponentials or logarithms would cancel there are polynomials x + x**3 *
P(x**2), minimax in the relative error (Remez exchange): sinh 2**-27.5 (f32), 2**-56.3 (f64) on
[0, 1]; arctanh 2**-27.6, 2**-55.5 on [0, 1/2].
"""

from __future__ import annotations

import math

from bital.codegen.math import exponential, logarithm
from bital.codegen.math.value import Value, at_most, fma, polynomial, select, word

_SINH = {
    "f32": (0.16666667, 0.00833335, 0.0001983616, 2.8169513e-06),
    "f64": (0.16666666666666669, 0.008333333333333165, 0.00019841269841429815,
            2.7557319155513223e-06, 2.5052123642264758e-08, 1.6057205388145277e-10,
            7.760744000816569e-13),
}  # fmt: skip
_ARCTANH = {
    "f32": (0.33333302, 0.20002519, 0.14222762, 0.11823728, 0.0513583, 0.17669111),
    "f64": (0.33333333333333565, 0.19999999999894905, 0.14285714299936983, 0.11111110213783452,
            0.09090940938784073, 0.07691604287824556, 0.0667691067361446, 0.05780805914576751,
            0.05956773473508681, 0.015183503658266349, 0.1441880415271727, -0.15282546016455775,
            0.22528635724043417),
}  # fmt: skip


def _half_exp(a: Value) -> Value:
    """e**a / 2 of a >= 0."""
    high = exponential.limits(a)[1] + 2.0
    n, s = exponential.reduce(at_most(a, high))
    return exponential.scale_far(s + 1.0, n - 1)


def _odd(a: Value, coefficients: tuple[float, ...]) -> Value:
    """a + a**3 * P(a**2)."""
    z = a * a
    return fma(a * z, polynomial(z, coefficients), a)


@word("sinh")
def sinh(x: Value) -> Value:
    """(e**x - e**-x) / 2."""
    a = abs(x)
    half = _half_exp(a)
    return select(a < 1.0, _odd(a, _SINH[x.kind]), half - 0.25 / half).copysign(x)


@word("cosh")
def cosh(x: Value) -> Value:
    """(e**x + e**-x) / 2."""
    half = _half_exp(abs(x))
    return half + 0.25 / half


def _log1p_large(x: Value, u: Value, rest: Value) -> Value:
    """log(1 + u + rest) of a small rest; log(2 x) where x is so large that u need not be right."""
    large = x > 2.0**60
    result = logarithm.log1p(select(large, x, u))
    return result + select(large, x.const(math.log(2)), rest / (u + 1.0))


@word("arcsinh")
def arcsinh(x: Value) -> Value:
    """log(x + sqrt(x**2 + 1)), as log1p(x + x**2 / (1 + sqrt(x**2 + 1)))."""
    a = abs(x)
    square = a * a
    more = square / (fma(a, a, 1.0).sqrt() + 1.0)
    u = a + more
    return _log1p_large(a, u, (a - u) + more).copysign(x)


@word("arccosh")
def arccosh(x: Value) -> Value:
    """log(x + sqrt(x**2 - 1)), as log1p(t + sqrt(2 t + t**2)) of t = x - 1."""
    t = x - 1.0
    square = fma(t, t, t + t)
    lost = fma(t, t, t + t - square)
    root = square.sqrt()
    root_rest = (fma(-root, root, square) + lost) / (root + root)
    u = root + t
    apart = select(root > t, (root - u) + t, (t - u) + root)
    result = _log1p_large(x, u, apart + root_rest)
    return select(x > 1.0, result, select(x.equals(1.0), x.const(0.0), math.nan))


@word("arctanh")
def arctanh(x: Value) -> Value:
    """log((1 + x) / (1 - x)) / 2, as log1p(2 x / (1 - x)) / 2."""
    a = abs(x)
    far = logarithm.log1p((a + a) / (1.0 - a)) * 0.5
    return select(a < 0.5, _odd(a, _ARCTANH[x.kind]), far).copysign(x)
