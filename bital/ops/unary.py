"""Functions of one tensor: exponentials, logarithms, trigonometry, hyperbolic functions, sigmoid.

Room: ops. Gradients are the derivatives of calculus, conjugated for complex numbers.
"""

from __future__ import annotations

import math
from typing import Any

from bital.base.dtype import COMPLEX
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import NAMESPACES, check_tensor, method, public
from bital.ops.family import (
    again,
    conj,
    elementwise_rule,
    masked_op,
    unary_function,
    unary_op,
    zeros_for,
)
from bital.tensor.dispatch import apply
from bital.tensor.mirror import mirrored
from bital.tensor.tensor import Tensor

_LN2, _LN10 = math.log(2), math.log(10)


def _declare(name: str, impl: Any, vjp: Any, doc: str, **spelling: Any) -> Any:
    """An operator of that name and its public function."""
    aliases = spelling.pop("aliases", ())
    op = unary_op(name, impl, vjp, **spelling)
    return unary_function(op, doc, aliases=aliases)


exp = _declare("exp", "exp", lambda g, out: g * conj(out), "e to the power of each element.")
exp2 = _declare(
    "exp2", "exp2", lambda g, out: g * conj(out) * _LN2, "2 to the power of each element."
)
expm1 = _declare(
    "expm1", "expm1", lambda g, out: g * (conj(out) + 1), "exp(x) - 1, exact also for small x."
)
log = _declare("log", "log", lambda g, x: g / conj(x), "The natural logarithm.")
log2 = _declare("log2", "log2", lambda g, x: g / (conj(x) * _LN2), "The logarithm to base 2.")
log10 = _declare("log10", "log10", lambda g, x: g / (conj(x) * _LN10), "The logarithm to base 10.")
log1p = _declare(
    "log1p", "log1p", lambda g, x: g / conj(x + 1), "log(1 + x), exact also for small x.",
    grad_fn="Log1PBackward0",
)  # fmt: skip
sin = _declare("sin", "sin", lambda g, x: g * conj(cos(x)), "The sine.")
cos = _declare("cos", "cos", lambda g, x: g * conj(-sin(x)), "The cosine.")
tan = _declare("tan", "tan", lambda g, out: g * conj(out * out + 1), "The tangent.")
asin = _declare(
    "asin", "arcsin", lambda g, x: g * conj((1 - x * x).rsqrt()), "The angle of a sine.",
    aliases=("arcsin",),
)  # fmt: skip
acos = _declare(
    "acos", "arccos", lambda g, x: g * conj(-(1 - x * x).rsqrt()), "The angle of a cosine.",
    aliases=("arccos",),
)  # fmt: skip
atan = _declare(
    "atan", "arctan", lambda g, x: g / conj(x * x + 1), "The angle of a tangent.",
    aliases=("arctan",),
)  # fmt: skip
sinh = _declare("sinh", "sinh", lambda g, x: g * conj(cosh(x)), "The hyperbolic sine.")
cosh = _declare("cosh", "cosh", lambda g, x: g * conj(sinh(x)), "The hyperbolic cosine.")
asinh = _declare(
    "asinh", "arcsinh", lambda g, x: g * conj((x * x + 1).rsqrt()),
    "The inverse of the hyperbolic sine.", aliases=("arcsinh",),
)  # fmt: skip


def _acosh_vjp(g: Tensor, x: Tensor) -> Tensor:
    if x._meta.dtype.category == COMPLEX:
        return g * conj((x + 1).rsqrt() * (x - 1).rsqrt())
    return g * (x * x - 1).rsqrt()


acosh = _declare(
    "acosh", "arccosh", _acosh_vjp, "The inverse of the hyperbolic cosine.", aliases=("arccosh",)
)
atanh = _declare(
    "atanh", "arctanh", lambda g, x: g / conj(1 - x * x), "The inverse of the hyperbolic tangent.",
    aliases=("arctanh",),
)  # fmt: skip


def _like_g(g: Meta, *_: Meta) -> tuple[Meta, dict]:
    return g, {}


def _tanh_backward(xp: Any, g: Any, result: Any) -> Any:
    t = xp.multiply(result, result)
    t = again(xp.negative, t)
    t += 1
    if t.dtype.kind == "c":
        t = xp.conjugate(t)
    t *= g
    return t


def _sigmoid_backward(xp: Any, g: Any, result: Any) -> Any:
    t = xp.subtract(1, result)
    t *= result
    if t.dtype.kind == "c":
        t = xp.conjugate(t)
    t *= g
    return t


#: g * (1 - result**2), and g * result * (1 - result), in one instruction each
_TANH_BACKWARD = Op(
    "tanh_backward",
    _like_g,
    _tanh_backward,
    inputs=("g", "result"),
    vjp=(
        lambda g, result: apply(_TANH_BACKWARD, (g, result)),
        lambda gg, g, result: conj(gg) * g * conj(result * -2),
    ),
    elementwise=True,
)
_SIGMOID_BACKWARD = Op(
    "sigmoid_backward",
    _like_g,
    _sigmoid_backward,
    inputs=("g", "result"),
    vjp=(
        lambda g, result: apply(_SIGMOID_BACKWARD, (g, result)),
        lambda gg, g, result: conj(gg) * g * conj(1 - result * 2),
    ),
    elementwise=True,
)


def sigmoid_impl(xp: Any, x: Any) -> Any:
    """1 / (1 + exp(-x))"""
    t = xp.negative(x)
    t = again(xp.exp, t)
    t += 1
    return again(xp.reciprocal, t)


def tanh_backward(g: Tensor, result: Tensor) -> Tensor:
    """g * (1 - result ** 2): the gradient of tanh, from its result."""
    return apply(_TANH_BACKWARD, (g, result))


def sigmoid_backward(g: Tensor, result: Tensor) -> Tensor:
    """g * result * (1 - result): the gradient of sigmoid, from its result."""
    return apply(_SIGMOID_BACKWARD, (g, result))


tanh = _declare(
    "tanh", "tanh", lambda g, out: apply(_TANH_BACKWARD, (g, out)), "The hyperbolic tangent."
)
sigmoid = _declare(
    "sigmoid", sigmoid_impl, lambda g, out: apply(_SIGMOID_BACKWARD, (g, out)), "1 / (1 + exp(-x))."
)
public("special", name="expit", method=False, out=True)(lambda input: sigmoid(input))


def _sinc_impl(xp: Any, x: Any) -> Any:
    angle = x * math.pi
    return xp.where(xp.equal(x, 0), x.dtype.type(1), xp.sin(angle) / angle)


_where_nonzero = masked_op("sinc_backward", lambda xp, x: xp.not_equal(x * math.pi * x, 0))


def _sinc_vjp(g: Tensor, x: Tensor) -> Tensor:
    angle = x * math.pi
    slope = (angle * cos(angle) - sin(angle)) / (angle * x)
    return apply(_where_nonzero, (g * conj(slope), x))


sinc = _declare("sinc", _sinc_impl, _sinc_vjp, "sin(pi x) / (pi x), 1 where x is 0.")


def _logit_rule(x: Meta, has_eps: bool) -> tuple:
    out, _, compute = elementwise_rule("float", (COMPLEX,), "logit_cpu")(x)
    return out, {"has_eps": has_eps}, compute


def _logit_impl(xp: Any, x: Any, eps: float, *, has_eps: bool) -> Any:
    if has_eps:
        x = xp.minimum(xp.maximum(x, x.dtype.type(eps)), x.dtype.type(1) - x.dtype.type(eps))
    return xp.log(x / (1 - x))


def _logit_backward(xp: Any, g: Any, x: Any, eps: float, *, has_eps: bool) -> Any:
    slope = g / (x * (1 - x))
    if not has_eps:
        return xp.where((x >= 0) & (x <= 1), slope, x.dtype.type(xp.nan))
    return xp.where((x >= eps) & (x <= 1 - eps), slope, x.dtype.type(0))


_LOGIT_BACKWARD = Op(
    "logit_backward",
    lambda g, x, has_eps: (g, {"has_eps": has_eps}),
    _logit_backward,
    inputs=("g", "x"),
    params=("eps",),
    vjp=(
        lambda g, x, has_eps, eps: apply(_LOGIT_BACKWARD, (g, x), (has_eps,), (eps,)),
        lambda gg, g, x, has_eps, eps: (
            apply(_LOGIT_BACKWARD, (gg * g, x), (has_eps,), (eps,)) * (x * 2 - 1) / (x * (1 - x))
        ),
    ),
    elementwise=True,
)
_LOGIT = Op(
    "logit",
    _logit_rule,
    _logit_impl,
    params=("eps",),
    vjp=(lambda g, x, has_eps, eps: apply(_LOGIT_BACKWARD, (g, x), (has_eps,), (eps,)),),
    elementwise=True,
)


@public("torch", inplace=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), x kept within [eps, 1 - eps] where `eps` is given."""
    return apply(_LOGIT, (check_tensor(input, "logit"),), (eps is not None,), (eps or 0.0,))


public("special", name="logit", method=False, out=True)(
    lambda input, eps=None: apply(_LOGIT, (input,), (eps is not None,), (eps or 0.0,))
)


def _no_complex(name: str) -> tuple:
    return (COMPLEX, RuntimeError, f"{name} is not supported for complex tensors.")


_DEGREE = math.pi / 180
deg2rad = _declare(
    "deg2rad", lambda xp, x: x * _DEGREE, lambda g: g * _DEGREE, "Degrees as radians.",
    grad_fn="Deg2RadBackward0", refuse=(_no_complex("deg2rad"),),
)  # fmt: skip
rad2deg = _declare(
    "rad2deg", lambda xp, x: x * (1 / _DEGREE), lambda g: g * (1 / _DEGREE), "Radians as degrees.",
    grad_fn="Rad2DegBackward0", refuse=(_no_complex("rad2deg"),),
)  # fmt: skip


_CONJ_OP = unary_op(
    "conj_physical", "conjugate", lambda g: conj(g), kind="promote", grad_fn="ConjPhysicalBackward0"
)


@public(name="conj")
def conj_lazily(input: Tensor) -> Tensor:
    """The complex conjugate, a view: conjugated when it is read, and when it is written to.

    A real tensor comes back as it is.
    """
    if not check_tensor(input, "conj")._meta.dtype.is_complex:
        return input
    return mirrored(input, lambda g: conj(g))


@public(inplace=True, out=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate, as a copy; a real tensor comes back as it is."""
    if not check_tensor(input, "conj_physical")._meta.dtype.is_complex:
        return input
    return apply(_CONJ_OP, (input,))


@public()
def is_conj(input: Tensor) -> bool:
    """Whether reading the tensor conjugates its memory."""
    return input._storage.mirrored


@public()
def resolve_conj(input: Tensor) -> Tensor:
    """A tensor of which `is_conj` is False."""
    return input.clone() if is_conj(input) else input


@public()
def is_neg(input: Tensor) -> bool:
    """Whether reading the tensor negates its memory: never here."""
    return False


@public()
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself, for it is never negated lazily."""
    return input


@public()
def positive(input: Tensor) -> Tensor:
    """The tensor itself, as unary plus gives it; bools are refused."""
    if check_tensor(input, "positive")._meta.dtype.category == 0:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@method
def __pos__(self: Tensor) -> Tensor:
    return positive(self)


def _angle_impl(xp: Any, x: Any) -> Any:
    if x.dtype.kind == "c":
        return xp.angle(x)
    turned = xp.where(xp.less(x, 0), x.dtype.type(math.pi), x.dtype.type(0))
    return xp.where(xp.isnan(x), x, turned)


_where_not_zero = masked_op("angle_backward", lambda xp, x: xp.not_equal(x, 0))


def _angle_vjp(g: Tensor, x: Tensor) -> Tensor:
    if x._meta.dtype.category != COMPLEX:
        return zeros_for(g)
    slope = x * 1j / (x * conj(x))
    return apply(_where_not_zero, (g * slope, x))


angle = unary_function(
    unary_op("angle", _angle_impl, _angle_vjp, kind="real"),
    "The angle in the complex plane; 0 or pi for real numbers.",
    inplace=False,
)


for _name in ("exp2", "expm1", "log1p", "sinc"):
    NAMESPACES.setdefault("special", {})[_name] = NAMESPACES["torch"][_name]
