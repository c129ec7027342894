"""Special functions: error functions, gamma functions, Bessel functions, orthogonal polynomials.

Room: ops. Values come from SciPy, which is imported when the first of them is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, finfo
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import NAMESPACES, check_tensor, public
from bital.ops.family import (
    HALF,
    elementwise_rule,
    unary_function,
    unary_op,
)
from bital.ops.mask import where
from bital.ops.rounding import sgn
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _scipy(name: str) -> Callable:
    """An implementation by scipy.special, in the operand's own precision."""

    def impl(xp: Any, *args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)

    return impl


def _everywhere(name: str, fn: Any) -> None:
    """Spell torch.`fn` also torch.special.`name`."""
    NAMESPACES.setdefault("special", {})[name] = NAMESPACES["torch"][fn]


def _of_torch(name: str, impl: Callable, vjp: Callable, doc: str, **options: Any) -> Any:
    """A function of torch, which torch.special has too."""
    fn = unary_function(unary_op(name, impl, vjp, refuse=(COMPLEX,), **options), doc)
    _everywhere(name, name)
    return fn


def _of_special(
    name: str, impl: Callable, vjp: Callable | None, doc: str, *, half: bool = False, **options: Any
) -> Any:
    """A function of torch.special only."""
    refuse = (COMPLEX,) if half else (COMPLEX, HALF)
    op = unary_op(
        f"special_{name}", impl, vjp, refuse=refuse, kernel=options.pop("kernel", f"{name}_cpu"),
        **options,
    )  # fmt: skip
    return unary_function(op, doc, "special", name=name, method=False, inplace=False)


_ERF_SLOPE = 2 / math.sqrt(math.pi)
erf = _of_torch(
    "erf", _scipy("erf"), lambda g, x: (-(x * x)).exp() * _ERF_SLOPE * g, "The error function.",
    kernel="erf_vml_cpu",
)  # fmt: skip
erfc = _of_torch(
    "erfc", _scipy("erfc"), lambda g, x: (-(x * x)).exp() * -_ERF_SLOPE * g, "1 - erf(x).",
    kernel="erfc_vml_cpu",
)  # fmt: skip
erfinv = _of_torch(
    "erfinv",
    _scipy("erfinv"),
    lambda g, x: (erfinv(x) ** 2).exp() * (1 / _ERF_SLOPE) * g,
    "The inverse of erf.",
    kernel="erfinv_vml_cpu",
)


def _lgamma_impl(xp: Any, x: Any) -> Any:
    from scipy import special

    size = xp.abs(x)
    near = -xp.log(size)  # what SciPy has no digits of, or takes for a pole
    found = xp.where(size < 1e-300, near, special.gammaln(x))
    return xp.where(xp.isinf(x), x.dtype.type(xp.inf), found)


def _digamma_impl(xp: Any, x: Any) -> Any:
    """psi; at 0 an infinity of the other sign."""
    from scipy import special

    return xp.where(xp.equal(x, 0), xp.copysign(x.dtype.type(xp.inf), -x), special.psi(x))


lgamma = unary_function(
    unary_op(
        "lgamma", _lgamma_impl, lambda g, x: g * digamma(x), refuse=(COMPLEX,),
        kernel="lgamma_vml_cpu",
    ),
    "The logarithm of the size of the gamma function.",
)  # fmt: skip
_everywhere("gammaln", "lgamma")
digamma = _of_torch(
    "digamma", _digamma_impl, lambda g, x: g * polygamma(1, x),
    "The derivative of lgamma.", kernel="digamma",
)  # fmt: skip
_everywhere("psi", "digamma")


def _polygamma_rule(x: Meta, n: int) -> tuple:
    kernel = "digamma" if n == 0 else "trigamma" if n == 1 else "polygamma"
    out, _, compute = elementwise_rule("float", (COMPLEX,), kernel)(x)
    return out, {"n": n}, compute


def _polygamma_impl(xp: Any, x: Any, *, n: int) -> Any:
    from scipy import special

    if n == 0:
        return _digamma_impl(xp, x)
    if n == 1:
        return _trigamma(xp, x)
    factor = float((-1) ** (n + 1) * math.factorial(n))
    return (special.zeta(n + 1.0, x.astype(xp.float64)) * factor).astype(x.dtype)


def _trigamma(xp: Any, x: Any) -> Any:
    """Reflection, six steps of the recurrence and the asymptotic series, as PyTorch sums them."""
    low = x < 0.5
    y = xp.where(low, 1 - x, x)
    total = xp.zeros_like(y)
    for _ in range(6):
        total += 1 / (y * y)
        y = y + 1
    square = 1 / (y * y)
    total += (1 + 1 / (2 * y) + square * (1 / 6 - square * (1 / 30 - square * (1 / 42)))) / y
    sine = xp.sin(x.dtype.type(math.pi) * x)
    return xp.where(low, x.dtype.type(math.pi**2) / (sine * sine) - total, total)


_POLYGAMMA = Op(
    "polygamma",
    _polygamma_rule,
    _polygamma_impl,
    vjp=(lambda g, x, n: g * polygamma(n + 1, x),),
    elementwise=True,
)


@public("torch", "special", method=False, out=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return apply(_POLYGAMMA, (check_tensor(input, "polygamma", "input", 2),), (n,))


@public("Tensor", name="polygamma", inplace=True)
def tensor_polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of digamma."""
    return polygamma(n, self)


def _mvlgamma_rule(x: Meta, p: int) -> tuple:
    if x.dtype.category == BOOL:
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    out, _, compute = elementwise_rule("float", (COMPLEX,), "arange_cpu")(x)
    return out, {"p": p}, compute


def _mvlgamma_impl(xp: Any, x: Any, *, p: int) -> Any:
    from scipy import special

    total = x * 0 + x.dtype.type(p * (p - 1) / 4 * math.log(math.pi))
    for j in range(p):
        total = total + special.gammaln(x - x.dtype.type(j / 2))
    return total


def _mvlgamma_vjp(g: Tensor, x: Tensor, p: int) -> Tensor:
    slope = digamma(x)
    for j in range(1, p):
        slope = slope + digamma(x - j / 2)
    return g * slope


_MVLGAMMA = Op("mvlgamma", _mvlgamma_rule, _mvlgamma_impl, vjp=(_mvlgamma_vjp,), elementwise=True)


@public(inplace=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the gamma function of `p` dimensions."""
    check_tensor(input, "mvlgamma")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return apply(_MVLGAMMA, (input,), (p,))


public("special", name="multigammaln", method=False, out=True)(lambda a, p: mvlgamma(a, p))


def _away_from_zero(x: Tensor) -> tuple[Tensor, Tensor]:
    """Where x is not 0 to its precision, and x with a tiny number in the other places."""
    tiny = finfo(x._meta.dtype).eps
    away: Any = x.abs() > tiny  # type: ignore[attr-defined]
    return away, where(away, x, tiny)


def _i1_vjp(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """i0(x) - i1(x) / x, which is 1/2 at 0."""
    away, x = _away_from_zero(x)
    return g * where(away, i0(x) - out / x, 0.5)


def _i1e_vjp(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """i0e(x) - i1e(x) (sign(x) + 1 / x), which is 1/2 at 0."""
    away, x = _away_from_zero(x)
    return g * where(away, i0e(x) - out * (sgn(x) + 1 / x), 0.5)


i0 = _of_torch(
    "i0", _scipy("i0"), lambda g, x: g * i1(x), "The modified Bessel function of order 0.",
    kernel="i0_vml_cpu",
)  # fmt: skip
i1 = _of_special(
    "i1", _scipy("i1"), _i1_vjp, "The modified Bessel function of order 1.", half=True,
    grad_fn="SpecialI1Backward0",
)  # fmt: skip
i0e = _of_special(
    "i0e", _scipy("i0e"), lambda g, x, out: g * (i1e(x) - sgn(x) * out), "exp(-|x|) i0(x).",
    half=True, grad_fn="SpecialI0EBackward0",
)  # fmt: skip
i1e = _of_special(
    "i1e", _scipy("i1e"), _i1e_vjp, "exp(-|x|) i1(x).", half=True, grad_fn="SpecialI1EBackward0"
)


def _entr_impl(xp: Any, x: Any) -> Any:
    if xp is not np:
        edge = xp.where(xp.isnan(x), x, xp.where(xp.equal(x, 0), x.dtype.type(0), -xp.inf))
        return xp.where(xp.greater(x, 0), -x * xp.log(x), edge)
    from scipy import special

    return special.entr(x)


entr = _of_special(
    "entr", _entr_impl, lambda g, x: g * (-x.log() - 1), "-x log(x), -inf below 0.", half=True,
    grad_fn="SpecialEntrBackward0",
)  # fmt: skip


def _ndtr_impl(xp: Any, x: Any) -> Any:
    return _scipy("ndtr")(xp, x) if xp is np else xp.erfc(x * -math.sqrt(0.5)) * 0.5


_NORMAL = 1 / math.sqrt(2 * math.pi)
ndtr = _of_special(
    "ndtr", _ndtr_impl, lambda g, x: g * ((x * x * -0.5).exp() * _NORMAL),
    "The area below the normal density left of x.", half=True, grad_fn="MulBackward1",
    kernel="erf_vml_cpu",
)  # fmt: skip
ndtri = _of_special(
    "ndtri", _scipy("ndtri"), lambda g, out: g * ((out * out * 0.5).exp() * (1 / _NORMAL)),
    "The inverse of ndtr.", grad_fn="SpecialNdtriBackward0",
)  # fmt: skip
log_ndtr = _of_special(
    "log_ndtr", _scipy("log_ndtr"),
    lambda g, x: g / (erfcx(x * -math.sqrt(0.5)) * (math.sqrt(math.pi) / math.sqrt(2))),
    "The logarithm of ndtr.", grad_fn="SpecialLogNdtrBackward0",
)  # fmt: skip
erfcx = _of_special(
    "erfcx", _scipy("erfcx"), lambda g, x, out: (x * out * 2 - _ERF_SLOPE) * g,
    "exp(x * x) erfc(x).", grad_fn="SpecialErfcxBackward0",
)  # fmt: skip


def _airy_impl(xp: Any, x: Any) -> Any:
    from scipy import special

    return special.airy(x)[0]


def _spherical_impl(xp: Any, x: Any) -> Any:
    return xp.where(xp.equal(x, 0), x.dtype.type(1), xp.sin(x) / x)


_BESSEL: dict[str, tuple[Callable, str]] = {
    "airy_ai": (_airy_impl, "The Airy function Ai."),
    "bessel_j0": (_scipy("j0"), "The Bessel function of the first kind of order 0."),
    "bessel_j1": (_scipy("j1"), "The Bessel function of the first kind of order 1."),
    "bessel_y0": (_scipy("y0"), "The Bessel function of the second kind of order 0."),
    "bessel_y1": (_scipy("y1"), "The Bessel function of the second kind of order 1."),
    "modified_bessel_i0": (_scipy("i0"), "The modified Bessel function I of order 0."),
    "modified_bessel_i1": (_scipy("i1"), "The modified Bessel function I of order 1."),
    "modified_bessel_k0": (_scipy("k0"), "The modified Bessel function K of order 0."),
    "modified_bessel_k1": (_scipy("k1"), "The modified Bessel function K of order 1."),
    "scaled_modified_bessel_k0": (_scipy("k0e"), "exp(x) modified_bessel_k0(x)."),
    "scaled_modified_bessel_k1": (_scipy("k1e"), "exp(x) modified_bessel_k1(x)."),
    "spherical_bessel_j0": (_spherical_impl, "sin(x) / x."),
}
for _name, (_impl, _doc) in _BESSEL.items():
    _of_special(_name, _impl, None, _doc)
