"""arcsin, arccos, arctan, arctan2.

Room: codegen. Arguments are brought near 0: arcsin(x) = pi/2 - 2 arcsin(sqrt((1 - x)/2)) from 1/2
on; arctan(x) = pi/4 + arctan((x - 1)/(x + 1)) = pi/2 - arctan(1/x). There x + x**3 * P(x**2), P
minimax in the relative error (Remez exchange): arcsin 2**-26.3 (f32), 2**-55.7 (f64) on [0, 1/2];
arctan 2**-29, 2**-57.5 on [0, tan(pi/8)].
"""

from __future__ import annotations

import math

from bital.codegen.math.value import Value, fma, parts, polynomial, select, word

_ARCSIN = {
    "f32": (0.16666737, 0.07495694, 0.045459233, 0.024074867, 0.0425548),
    "f64": (0.16666666666665408, 0.07500000000337013, 0.044642856828329996, 0.030381959136864402,
            0.022371758053451894, 0.01735970471095425, 0.013885236046835928,
            0.012169207439475973, 0.00652799484441406, 0.019528208711023506,
            -0.01622416084337918, 0.03191220521054226),
}  # fmt: skip
_ARCTAN = {
    "f32": (-0.33333316, 0.19998485, -0.1424216, 0.10574367, -0.06012047),
    "f64": (-0.3333333333333326, 0.19999999999966497, -0.14285714281024336, 0.11111110805392123,
            -0.09090897932637851, 0.07692056706638442, -0.0666300249937416, 0.05846781129478938,
            -0.050329370530809714, 0.0378738407700888, -0.017672020667639524),
}  # fmt: skip


def _half_pi(x: Value) -> tuple[float, float]:
    return parts(x, 1.5707963267948966, 6.123233995736766e-17)


def _near_zero(x: Value) -> tuple[Value, Value, Value]:
    """s and t with arcsin(s) = s + t, and whether s is not |x| but sqrt((1 - |x|)/2)."""
    a = abs(x)
    far = a > 0.5
    z = select(far, fma(a, -0.5, 0.5), x * x)
    s = select(far, z.sqrt(), a)
    return s, s * z * polynomial(z, _ARCSIN[x.kind]), far


@word("arcsin")
def arcsin(x: Value) -> Value:
    """The angle of a sine."""
    high, low = _half_pi(x)
    s, t, far = _near_zero(x)
    most = fma(s, -2.0, high)
    rest = fma(s, -2.0, high - most)
    return select(far, most + (rest - fma(t, 2.0, -low)), s + t).copysign(x)


@word("arccos")
def arccos(x: Value) -> Value:
    """The angle of a cosine."""
    high, low = _half_pi(x)
    s, t, far = _near_zero(x)
    signed_s, signed_t = s.copysign(x), t.copysign(x)
    near = high - (signed_s + (signed_t - low))
    double = select(x > 0.0, (s + t) * 2.0, 2.0 * (high - (s + (t - low))))
    return select(far, double, near)


def _angle(y: Value, x: Value) -> tuple[Value, Value, Value, Value]:
    """The angle of (x, y), both >= 0, as the sum of two constants, a number and a small one."""
    high, low = _half_pi(x)
    diagonal, steep = y > x * (math.sqrt(2) - 1), y > x * (math.sqrt(2) + 1)
    top = select(steep, -x, select(diagonal, y - x, y))
    under = select(steep, y, select(diagonal, y + x, x))
    w = top / under
    z = w * w
    first, second = (
        select(steep, x.const(c), select(diagonal, x.const(c / 2), 0.0)) for c in (high, low)
    )
    return first, second, w, w * z * polynomial(z, _ARCTAN[x.kind])


def _sum(first: Value, second: Value, w: Value, small: Value) -> Value:
    """What `_angle` gives as one number."""
    most = first + w
    return most + (((first - most) + w) + (small + second))


@word("arctan")
def arctan(x: Value) -> Value:
    """The angle of a tangent."""
    return _sum(*_angle(abs(x), x.const(1.0))).copysign(x)


@word("arctan2")
def arctan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y), from -pi to pi."""
    a, c = abs(y), abs(x)
    # infinities alike are as numbers alike, and (0, 0) as (1, 0)
    both = a.equals(math.inf) & c.equals(math.inf)
    a, c = select(both, 1.0, a), select(both, 1.0, c)
    c = select(a.equals(0.0) & c.equals(0.0), 1.0, c)
    # a sum that would overflow
    big, least = 2.0**100, 2.0**-30
    shrink = select((a > big) | (c > big), x.const(least), 1.0)
    first, second, w, small = _angle(a * shrink, c * shrink)
    high, low = _half_pi(x)
    left = x.bits() < 0
    first, second = select(left, 2 * high - first, first), select(left, 2 * low - second, second)
    w, small = select(left, -w, w), select(left, -small, small)
    return _sum(first, second, w, small).copysign(y)
