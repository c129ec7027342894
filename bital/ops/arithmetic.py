"""Arithmetic: add, sub, mul, div, neg, pow and their kin.

Room: ops. Formulas of gradients are those of calculus; for complex numbers they are the conjugate
Wirtinger derivatives, as PyTorch's documentation "Autograd mechanics" defines them.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.trace import local
from bital.ops.api import method, public, type_error
from bital.ops.family import binary_op, conj, scalar_op, unary_op
from bital.tensor.dispatch import assign, binary, check_writable, inplace, unary, with_scalar
from bital.tensor.tensor import Tensor

_Number = (int, float, complex)

_add = binary(binary_op("add", "add", (lambda g: g, lambda g: g)))
_add_number = with_scalar(scalar_op("add_scalar", "add", lambda g: g, grad_fn="AddBackward0"))
_sub = binary(
    binary_op("sub", "subtract", (lambda g: g, lambda g: -g), refuse=(BOOL,), kernel="sub")
)
_sub_number = with_scalar(
    scalar_op("sub_scalar", "subtract", lambda g: g, grad_fn="SubBackward0", refuse=(BOOL,))
)
_rsub_number = with_scalar(
    scalar_op(
        "rsub_scalar", "subtract", lambda g: -g, grad_fn="RsubBackward1", reverse=True,
        refuse=(BOOL,),
    )
)  # fmt: skip
_mul = binary(
    binary_op(
        "mul",
        "multiply",
        (lambda g, other: g * conj(other), lambda g, self: g * conj(self)),
    )
)
_mul_number = with_scalar(
    scalar_op(
        "mul_scalar", "multiply", lambda g, scalar: g * conj(scalar), grad_fn="MulBackward0"
    )
)
_div = binary(
    binary_op(
        "div",
        "true_divide",
        (
            lambda g, other: g / conj(other),
            lambda g, self, other: -g * conj((self / other) / other),
        ),
        kind="float",
    )
)
_div_number = with_scalar(
    scalar_op(
        "div_scalar", "true_divide", lambda g, scalar: g / conj(scalar), kind="float",
        grad_fn="DivBackward0",
    )
)  # fmt: skip
_neg = unary(unary_op("neg", "negative", lambda g: -g, kind="promote", refuse=(BOOL,)))


@public(inplace=True, out=True)
def add(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input + alpha * other`, broadcast and promoted as `torch.add`."""
    if isinstance(other, Tensor):
        if alpha != 1:
            other = _mul_number(other, alpha)
        return _add(input, other)
    if isinstance(other, _Number):
        return _add_number(input, other if alpha == 1 else other * alpha)
    raise type_error("add", "other", 2, other)


@public(inplace=True, out=True, aliases=("subtract",))
def sub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input - alpha * other`, as `torch.sub`."""
    if isinstance(other, Tensor):
        if alpha != 1:
            other = _mul_number(other, alpha)
        return _sub(input, other)
    if isinstance(other, _Number):
        return _sub_number(input, other if alpha == 1 else other * alpha)
    raise type_error("sub", "other", 2, other)


@public(inplace=True, out=True, aliases=("multiply",))
def mul(input: Tensor, other: Any) -> Tensor:
    """`input * other`, as `torch.mul`."""
    if isinstance(other, Tensor):
        return _mul(input, other)
    if isinstance(other, _Number):
        return _mul_number(input, other)
    raise type_error("mul", "other", 2, other)


@public(inplace=True, out=True, aliases=("negative",))
def neg(input: Tensor) -> Tensor:
    """`-input`, as `torch.neg`."""
    return _neg(input)


@public(inplace=True, out=True, aliases=("divide",))
def div(input: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`; `rounding_mode` "trunc" or "floor" rounds the quotient (`torch.div`)."""
    if isinstance(other, Tensor):
        return _div(input, other)
    if isinstance(other, _Number):
        return _div_number(input, other)
    raise type_error("div", "other", 2, other)


def _operator(fn: Any, on_tensor: Any, on_number: Any) -> Any:
    """A Python operator's method: what is neither tensor nor number is left to the other side."""

    def operator(self: Tensor, other: Any) -> Any:
        kind = other.__class__
        if kind is Tensor:
            return on_tensor(self, other)
        if kind is float or kind is int:
            return on_number(self, other)
        if isinstance(other, (Tensor, *_Number)):
            return fn(self, other)
        return NotImplemented

    return operator


Tensor.__add__ = Tensor.__radd__ = _operator(add, _add, _add_number)  # type: ignore[attr-defined]
Tensor.__sub__ = _operator(sub, _sub, _sub_number)  # type: ignore[attr-defined]
Tensor.__mul__ = Tensor.__rmul__ = _operator(mul, _mul, _mul_number)  # type: ignore[attr-defined]
Tensor.__truediv__ = _operator(div, _div, _div_number)  # type: ignore[attr-defined]
Tensor.__neg__ = neg  # type: ignore[attr-defined]


@method
def __rsub__(self: Tensor, other: Any) -> Any:
    return _rsub_number(self, other) if isinstance(other, _Number) else NotImplemented


def in_place_operator(fn: Any, operator: Any) -> Any:
    """`a += b` and its like: the plain operator's result written into a's memory."""

    def writing(self: Tensor, other: Any) -> Any:
        trace = local.trace
        if not trace.grad:
            out = operator(self, other)
            return out if out is NotImplemented else assign(self, out, trace)
        return inplace(self, fn, other)

    return writing


Tensor.__iadd__ = in_place_operator(add, Tensor.__add__)  # type: ignore[attr-defined]
Tensor.__isub__ = in_place_operator(sub, Tensor.__sub__)  # type: ignore[attr-defined]
Tensor.__imul__ = in_place_operator(mul, Tensor.__mul__)  # type: ignore[attr-defined]
Tensor.__itruediv__ = in_place_operator(div, Tensor.__truediv__)  # type: ignore[attr-defined]

#: exponents that PyTorch computes without a general power
_SPECIAL_POWERS = {
    2: lambda xp, x: xp.multiply(x, x),
    3: lambda xp, x: x * x * x,
    0.5: lambda xp, x: xp.sqrt(x),
    -0.5: lambda xp, x: 1 / xp.sqrt(x),
    -1: lambda xp, x: 1 / x,
    -2: lambda xp, x: 1 / (x * x),
}


def _pow_number_vjp(g: Tensor, self: Tensor, scalar: Any) -> Tensor:
    if scalar == 0:
        return g.new_zeros(g._meta.shape)  # type: ignore[attr-defined]
    if scalar == 2:
        return g * (conj(self) * 2 if self._meta.dtype.category == COMPLEX else self * 2)
    return g * conj(scalar * self ** (scalar - 1))  # type: ignore[operator]


_square = unary(
    unary_op("pow_2", lambda xp, x: xp.multiply(x, x), lambda g, x: _pow_number_vjp(g, x, 2),
             kind="promote", grad_fn="PowBackward0")
)  # fmt: skip

_ = (INT, check_writable, _SPECIAL_POWERS)


@public(inplace=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:  # noqa: A001
    """`input ** exponent`, as `torch.pow`."""
    if exponent == 2:
        return _square(input)
    raise NotImplementedError


Tensor.__pow__ = pow  # type: ignore[attr-defined]
