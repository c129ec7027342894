"""The error function.

Room: codegen. Below 1, erf(x) = x + x * P(x**2); above, 1 - e**L(x), with L the polynomial whose
exponential is erfc (Juffa's arrangement). Both are minimax in the relative error of erf (Remez
exchange on mpmath's erf): 2**-27.7 and 2**-26.8 (f32), 2**-56.3 and 2**-56.7 (f64).
"""

from __future__ import annotations

from bital.codegen.math.exponential import reduce, scale
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
_SETTLED = {"f32": 3.93, "f64": 5.95}


@word("erf")
def erf(x: Value) -> Value:
    """2 / sqrt(pi) times the integral of e**-t**2 from 0 to x."""
    a = at_most(abs(x), _SETTLED[x.kind])
    n, s = reduce(polynomial(a, _FAR[x.kind]))
    far = 1.0 - scale(s + 1.0, n)
    near = fma(a, polynomial(a * a, _NEAR[x.kind]), a)
    return select(a < 1.0, near, far).copysign(x)
