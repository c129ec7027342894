"""Special functions of two arguments: incomplete gamma, zeta, and the orthogonal polynomials.

Room: ops. Values come from SciPy, which is imported when the first of them is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import COMPLEX
from bital.ops.api import NAMESPACES, public
from bital.ops.binary import of_either, of_two_tensors
from bital.ops.family import (
    HALF,
    ONLY_FLOATS,
    binary_op,
    not_implemented,
)
from bital.ops.special import lgamma
from bital.tensor.tensor import Tensor


def _scipy(name: str) -> Callable:
    """An implementation by scipy.special."""

    def impl(xp: Any, a: Any, b: Any) -> Any:
        from scipy import special

        return getattr(special, name)(a, b)

    return impl


def _gamma_density(g: Tensor, self: Tensor, other: Tensor) -> Tensor:
    """The derivative of the incomplete gamma function by its bound."""
    return g * ((self - 1) * other.log() - other - lgamma(self)).exp()


for _name, _fn, _sign in (("igamma", "gammainc", 1), ("igammac", "gammaincc", -1)):
    _op = binary_op(
        _name,
        _scipy(_fn),
        (
            not_implemented(f"{_name}: input"),
            (lambda g, self, other: _gamma_density(g, self, other))
            if _sign > 0
            else (lambda g, self, other: -_gamma_density(g, self, other)),
        ),
        refuse=ONLY_FLOATS,
    )
    of_two_tensors(_op, f"SciPy's {_fn}: the incomplete gamma function.")
    of_two_tensors(
        _op, f"SciPy's {_fn}: the incomplete gamma function.", "special", name=_fn, method=False,
        inplace=False,
    )  # fmt: skip


def _of_two(name: str, impl: Callable, doc: str, vjp: tuple | None, grad_fn: str) -> None:
    """torch.special.name(input, other), of which one may be a number."""
    options: dict = {"kind": "float", "refuse": (COMPLEX, HALF), "kernel": f"{name}_cpu"}
    by_first = None if vjp is None else vjp[0]
    fn = of_either(name, impl, vjp, by_first, grad_fn, options)
    fn.__doc__ = doc
    public("special", name=name, method=False, out=True)(fn)


def _zeta_by_second(g: Tensor, self: Any, other: Tensor) -> Tensor:
    return g * -self * NAMESPACES["special"]["zeta"](self + 1, other)


_of_two(
    "zeta",
    _scipy("zeta"),
    "The Hurwitz zeta function.",
    (not_implemented("zeta"), _zeta_by_second),
    "SpecialZetaBackward",
)


def _polynomial(evaluate: Callable) -> Callable:
    """An implementation on (x, n): degrees are whole, 0 where they are negative."""

    def impl(xp: Any, x: Any, n: Any) -> Any:
        from scipy import special

        degree = xp.asarray(n).astype(xp.int64)
        value = evaluate(special, xp, xp.maximum(degree, 0), xp.asarray(x, xp.float64))
        value = xp.where(degree < 0, 0.0, value)
        return value.astype(x.dtype if hasattr(x, "dtype") else n.dtype)

    return impl


def _third_kind(sign: int) -> Callable:
    """V_n = U_n - U_(n-1), and W_n = U_n + U_(n-1), as shifted (2x - 1) or not."""

    def evaluate(special: Any, xp: Any, n: Any, x: Any) -> Any:
        before = xp.where(n == 0, 0.0, special.eval_chebyu(xp.maximum(n - 1, 0), x))
        return special.eval_chebyu(n, x) + sign * before

    return evaluate


def _plain(name: str) -> Callable:
    return lambda special, xp, n, x: getattr(special, name)(n, x)


def _shifted(evaluate: Callable) -> Callable:
    return lambda special, xp, n, x: evaluate(special, xp, n, 2 * x - 1)


_CHEBYSHEV = {
    "t": _plain("eval_chebyt"),
    "u": _plain("eval_chebyu"),
    "v": _third_kind(-1),
    "w": _third_kind(1),
}
_POLYNOMIALS = {
    **{f"chebyshev_polynomial_{k}": f for k, f in _CHEBYSHEV.items()},
    **{f"shifted_chebyshev_polynomial_{k}": _shifted(f) for k, f in _CHEBYSHEV.items()},
    "hermite_polynomial_h": _plain("eval_hermite"),
    "hermite_polynomial_he": _plain("eval_hermitenorm"),
    "laguerre_polynomial_l": _plain("eval_laguerre"),
    "legendre_polynomial_p": _plain("eval_legendre"),
}
for _name, _evaluate in _POLYNOMIALS.items():
    _title = "Special" + _name.title().replace("_", "") + "Backward"
    _none = not_implemented(f"special_{_name}")
    _words = _name.replace("_", " ")
    _of_two(
        _name, _polynomial(_evaluate), f"The {_words} of `input`, of degree `other`.",
        (_none, _none), _title,
    )  # fmt: skip
