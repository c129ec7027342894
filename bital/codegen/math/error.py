"""erf, erfc.

Room: codegen. Below 1, erf(x) = x + x * P(x**2); above, 1 - e**L(x), with L the polynomial whose
exponential is erfc (Juffa's arrangement). erfc(x) = e**-x**2 * G(q) / (1 + 2 x), q = (x - k) /
(x + k) (Shepherd and Laframboise, 1981). All are minimax in the relative error (Remez exchange on
mpmath's erf): 2**-27.7, 2**-26.8 and 2**-27.1 (f32), 2**-56.3, 2**-56.7 and 2**-55.4 (f64).
"""

from __future__ import annotations

import math

import numpy as np

from bital.codegen.math import wide
from bital.codegen.math.exponential import reduce, scale, scale_far
from bital.codegen.math.power import add_ordered, multiply
from bital.codegen.math.value import Value, at_most, fma, polynomial, select, word

#: (erf(x) - x) / x in x**2, on [0, 1]
_NEAR = {
    "f32": (0.12837917, -0.37612626, 0.112835854, -0.026853811, 0.0051883277, -0.00080101937,
            7.853861e-05),
    "f64": (0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072896,
            0.0052239776247808714, -0.0008548326978742333, 0.0001205533103689949,
            -1.4925593506785727e-05, 1.646097281395217e-06, -1.6350025177572493e-07,
            1.4657879468739191e-08, -1.1365664293049705e-09, 5.945258612266519e-11),
}  # fmt: skip
#: log(erfc(x)), on [1, 3.93] and [1, 5.95], after which erf rounds to 1
_FAR = {
    "f32": (-0.00034152673, -1.1270891, -0.63814485, -0.10310673, 0.021838052, -0.0029476555,
            0.0001863789),
    "f64": (-5.027869262986066e-07, -1.1283740900713874, -0.6366436254733574,
            -0.10270344658886545, 0.01899019202426212, 0.00041061000510547594,
            -0.0019159250046430158, 0.0007706287671845367, -0.00013504150924354425,
            -2.027092525251043e-05, 2.282411655176822e-05, -8.66764189990158e-06,
            2.135786501405847e-06, -3.7332162287578343e-07, 4.6425227513534003e-08,
            -3.934460688160319e-09, 2.0450690960224145e-10, -4.928884413487814e-12),
}  # fmt: skip
#: (1 + 2 x) * e**x**2 * erfc(x) - 1 in q, for x in [0.45, 10.3] and [0.45, 27.6]
_G = {
    "f32": (0.27697837, -0.09276381, -0.16603036, 0.16405053, -0.05422069,
            -0.008023897, 0.00872752, 0.0012144863, -0.0014696629, -0.00030953062,
            0.0002152362),
    "f64": (0.2329951186255525, -0.1396211168405625, 0.01537965210261972,
            0.06809705425468861, -0.10103906603630142, 0.0937328349985257,
            -0.06633036581232639, 0.03716751553398657, -0.01619773405596492,
            0.005031970016317476, -0.0007577733056158083, -0.00019925695018868523,
            0.00015062177252948071, -2.4398121587483485e-05, -1.1222383332807607e-05,
            5.706661521012933e-06, 2.9464351978744646e-07, -8.197701760865223e-07,
            7.342001392739713e-08, 1.0348369087600468e-07, -1.693483025180222e-08,
            -9.735791831072102e-09, 1.5004972754159346e-09),
}  # fmt: skip
_CENTRE = {"f32": 2.0, "f64": 4.0}
#: erfc is 0 above
_VANISHED = {"f32": 11.0, "f64": 28.0}
_SETTLED = {"f32": 3.93, "f64": 5.95}


def _around(centre: float, reach: float, degree: int) -> tuple[float, ...]:
    """Coefficients of erf(centre + r), |r| <= reach, in r: interpolated at Chebyshev's points."""
    points = reach * np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    values = [math.erf(centre + p) for p in points]
    found = np.linalg.solve(np.vander(points / reach, increasing=True), values)
    if centre == 0:  # erf is odd; x itself is added to what is left
        found[::2] = 0
        found[1] -= reach
    return tuple(float(c) for c in found / reach ** np.arange(degree + 1))


#: erf near k/8 as a polynomial in x - k/8; the last one ends in 1
_AROUND = (*(_around(k / 8, 1 / 16, 5) for k in range(31)), (1.0, *_around(31 / 8, 1 / 16, 5)[1:]))


def _erf_by_table(x: Value) -> Value:
    a = at_most(abs(x), _SETTLED["f32"])
    place = (a + 1.5 * 2.0**20).bits()
    r = wide.beyond(a, 3)
    centre, *slope = (wide.lookup(c, place) for c in zip(*_AROUND))
    total = slope.pop()
    for coefficient in reversed(slope):
        total = fma(total, r, coefficient)
    return fma(total, r, select(a <= 1 / 16, a, centre)).copysign(x)


def _near(a: Value) -> Value:
    """erf of |a| < 1."""
    return fma(a, polynomial(a * a, _NEAR[a.kind]), a)


@word("erf")
@wide.by_table(_erf_by_table)
def erf(x: Value) -> Value:
    """2 / sqrt(pi) times the integral of e**-t**2 from 0 to x."""
    a = at_most(abs(x), _SETTLED[x.kind])
    n, s = reduce(polynomial(a, _FAR[x.kind]))
    far = 1.0 - scale(s + 1.0, n)
    return select(a < 1.0, _near(a), far).copysign(x)


@word("erfc")
def erfc(x: Value) -> Value:
    """1 - erf(x). The product and the quotient keep what rounding leaves out."""
    a = at_most(abs(x), _VANISHED[x.kind])
    square = a * a
    n, s = reduce(-square, -fma(a, a, -square))
    q = (a - _CENTRE[x.kind]) / (a + _CENTRE[x.kind])
    power, g = add_ordered(a.const(1.0), s), add_ordered(a.const(1.0), polynomial(q, _G[x.kind]))
    top = multiply(power, g)
    twice = a + a
    under = twice + 1.0
    t = top.high / under
    rest = fma(-t, under, top.high) + fma(-t, 1.0 - (under - twice), top.low)
    far = scale_far(t + rest / under, n)
    return select(a < 0.47, 1.0 - _near(a).copysign(x), select(x < 0.0, 2.0 - far, far))
