"""How gamma and Dirichlet numbers move with their parameters: derivatives at a fixed quantile.

Room: ops. A number drawn as x = F^-1(u; a) has the derivative -(dF/da) / (dF/dx). Where no series
converges fast these are the approximations that PyTorch uses (M. Jankowiak and F. Obermeyer,
Pathwise derivatives beyond the reparameterization trick, 2018): Rice's saddle point expansion, and
rational functions of logarithms fitted to the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.family import not_implemented
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: numerator and denominator by powers of log(x / a) (rows) and log(a) (columns)
_GAMMA_FIT = np.array(
    [
        [0.16009398, -0.094634809, 0.025146376, -0.0030648343,
         1.0, 0.32668115, 0.10406089, 0.0014179084],
        [0.53487893, 0.1298071, 0.065735949, -0.0015649758,
         0.16639465, 0.020070113, -0.0035938915, -0.00058392623],
        [0.040121004, -0.0065914022, -0.0026286047, -0.0013441777,
         0.017050642, -0.0021309326, 0.00085092367, -1.5247877e-07],
    ]
)  # fmt: skip
#: numerator and denominator by powers of log(x), log(a) - log(x) and log(total) - that
_BETA_FIT = np.array(
    [
        [
            [[1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
             [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
             [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013]],
            [[0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
             [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
             [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-05]],
            [[-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
             [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
             [0.005900514878, -0.001936558688, -9.495446725e-06, 5.385558597e-05]],
        ],
        [
            [[1, -0.02924021934, -0.04438342661, 0.007285809825],
             [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
             [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149]],
            [[0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
             [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
             [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-05]],
            [[0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-05],
             [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-05],
             [-0.0003477407336, 6.959756487e-05, 1.097287507e-05, -1.650964693e-06]],
        ],
    ]
)  # fmt: skip


def _choose(cases: list[tuple[np.ndarray, Callable]], *args: np.ndarray) -> np.ndarray:
    """Per element what the first case says whose condition holds there."""
    out = np.zeros_like(args[0])
    left = np.ones(out.shape, bool)
    for condition, formula in cases:
        here = left & condition
        if here.any():
            out[here] = formula(*[a[here] for a in args])
        left &= ~here
    return out


def _digamma(x: np.ndarray) -> np.ndarray:
    from scipy import special

    return special.psi(x)


def _gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The power series of the incomplete gamma function, differentiated by a; for small x."""
    term = np.ones_like(x)
    first, second = 1 / a, 1 / (a * a)
    for k in range(1, 6):
        term = term * -x / k
        first = first + term / (a + k)
        second = second + term / ((a + k) * (a + k))
    power = x**a
    cdf_by_a = (np.log(x) - _digamma(a)) * power * first - power * second
    return np.nan_to_num(-cdf_by_a / (x ** (a - 1) * np.exp(-x)), nan=0.0, posinf=None, neginf=None)


def _gamma_near_mode(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The saddle point expansion where x is near a, by its power series there."""
    first = 1 + 24 * a * (1 + 12 * a)
    second = 1440 * a * a + 6 * x * (53 - 120 * x) - 65 * x * x / a + a * (107 + 3600 * x)
    return first * second / (1244160 * a * a * a * a)


def _gamma_saddle(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rice's saddle point expansion of the incomplete gamma function; for a > 8."""
    root = np.sqrt(8 * a)
    simple = root / (a - x)
    rest = (x - a - a * np.log(x / a)) ** -1.5
    both = np.where(x < a, simple - rest, simple + rest)
    slope = np.log(x / a) * both - np.sqrt(2 / a) * (a + x) / ((a - x) * (a - x))
    stirling = 1 + 1 / (12 * a) * (1 + 1 / (24 * a))
    return -stirling * x * slope / root


def _gamma_fit(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """exp of a rational function of log(x / a) and log(a)."""
    u, v = np.log(x / a), np.log(a)
    c = [row[0] + u * (row[1] + u * row[2]) for row in _GAMMA_FIT.T]
    over = c[0] + v * (c[1] + v * (c[2] + v * c[3]))
    under = c[4] + v * (c[5] + v * (c[6] + v * c[7]))
    return np.exp(over / under)


def gamma_slope(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The derivative of gamma numbers x by their shape parameters a; float64 arrays."""
    near = (0.9 * a <= x) & (x <= 1.1 * a)
    return _choose(
        [
            (x < 0.8, _gamma_series),
            ((a > 8) & near, _gamma_near_mode),
            (a > 8, _gamma_saddle),
            (np.ones(a.shape, bool), _gamma_fit),
        ],
        a,
        x,
    )


def _beta_by_a_small(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The power series in x; for x at most one half."""
    factor = _digamma(a) - _digamma(a + b) - np.log(x)
    term = np.ones_like(x)
    series = (factor + 1 / a) / a
    for k in range(1, 11):
        term = term * (k - b) * x / k
        series = series + term / (a + k) * (factor + 1 / (a + k))
    return np.nan_to_num(x * (1 - x) ** -b * series, nan=0.0, posinf=None, neginf=None)


def _beta_by_b_small(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The derivative by the other parameter, by the same series."""
    factor = _digamma(a + b) - _digamma(b)
    term, product, by_b = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    series = factor / a
    for k in range(1, 9):
        term = term * -x / k
        by_b = by_b * (b - k) + product
        product = product * (b - k)
        series = series + term / (a + k) * (by_b + factor * product)
    return np.nan_to_num(-((1 - x) ** (1 - b)) * series, nan=0.0, posinf=None, neginf=None)


def _beta_near_mean(x: np.ndarray, a: np.ndarray, b: np.ndarray, total: np.ndarray) -> np.ndarray:
    poly = 47 * x * b**4 + a * (
        (43 + 20 * (16 + 27 * b) * x) * b**3
        + a
        * (
            3 * (59 + 180 * b - 90 * x) * b**2
            + a
            * (
                (453 + 1620 * b * (1 - x) - 455 * x) * b
                + a * (8 * (1 - x) * (135 * b - 11))
            )
        )
    )  # fmt: skip
    over = (1 + 12 * a) * (1 + 12 * b) / (total * total)
    under = 12960 * a**3 * b**2 * (1 + 12 * total)
    return over / (1 - x) * poly / under


def _beta_saddle(x: np.ndarray, a: np.ndarray, b: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Rice's saddle point expansion of the incomplete beta function."""

    def stirling(n: np.ndarray) -> np.ndarray:
        return 1 + 1 / (12 * n) + 1 / (288 * n * n)

    apart = a * (x - 1) + b * x
    first = 2 * a * a * (x - 1) + a * b * (x - 1) - x * b * b
    first = first / (np.sqrt(2 * a / b) * total**1.5 * apart * apart)
    half_log = 0.5 * np.log(a / (total * x))
    third = np.sqrt(8 * a * b / total) / apart
    rest = (b * np.log(b / (total * (1 - x))) + a * np.log(a / (total * x))) ** -1.5
    bracket = first + half_log * (third + np.where(x < a / total, rest, -rest))
    scale = stirling(a) * stirling(b) / stirling(total)
    return scale * -x / np.sqrt(2 * a * b / total) * bracket


def _beta_large(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = a + b
    deviation = np.sqrt(a * b / (total + 1)) / total
    near = abs(x - a / total) <= 0.1 * deviation
    everywhere = np.ones(x.shape, bool)
    return _choose([(near, _beta_near_mean), (everywhere, _beta_saddle)], x, a, b, total)


def _beta_fit(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A rational correction of a simple approximation."""
    total = a + b
    u = np.log(x)
    v = np.log(a) - u
    w = np.log(total) - v
    powers = [np.stack([np.ones_like(t), t, t * t]) for t in (u, v)]
    fourth = np.stack([np.ones_like(w), w, w * w, w * w * w])
    over, under = np.einsum("cijk,in,jn,kn->cn", _BETA_FIT, *powers, fourth)
    return over / under * x * (_digamma(total) - _digamma(a)) / b


def dirichlet_slope(x: np.ndarray, a: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The derivative of a part x of Dirichlet numbers by its own parameter a; float64 arrays.

    The parts' parameters add up to `total`; all others keep their relations.
    """
    b = total - a
    boundary = total * x * (1 - x)
    return _choose(
        [
            ((x <= 0.5) & (boundary < 2.5), _beta_by_a_small),
            ((x >= 0.5) & (boundary < 0.75), lambda x, a, b: -_beta_by_b_small(1 - x, b, a)),
            ((a > 6) & (b > 6), _beta_large),
            (np.ones(x.shape, bool), _beta_fit),
        ],
        x, a, b,
    )  # fmt: skip


def _in_doubles(slope: Callable) -> Callable:
    """An implementation that computes in float64."""

    def impl(xp: Any, *args: Any) -> Any:
        wide = [xp.asarray(each, xp.float64) for each in args]
        with xp.errstate(all="ignore"):
            return slope(*xp.broadcast_arrays(*wide)).astype(args[0].dtype)

    return impl


def _like_first(first: Meta, *rest: Meta) -> tuple[Meta, dict]:
    return first, {}


_GAMMA_GRAD = Op(
    "_standard_gamma_grad", _like_first, _in_doubles(gamma_slope), inputs=("self", "output"),
    vjp=(not_implemented("_standard_gamma_grad"),) * 2,
)  # fmt: skip
_DIRICHLET_GRAD = Op(
    "_dirichlet_grad", _like_first, _in_doubles(dirichlet_slope), inputs=("x", "alpha", "total"),
    vjp=(not_implemented("_dirichlet_grad"),) * 3,
)  # fmt: skip


def standard_gamma_grad(alpha: Tensor, output: Tensor) -> Tensor:
    """The derivative of gamma numbers `output` by their shape parameters."""
    return apply(_GAMMA_GRAD, (alpha, output))


def dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """The derivative of Dirichlet numbers by their own parameters, which add up to `total`."""
    return apply(_DIRICHLET_GRAD, (x, alpha, total))
