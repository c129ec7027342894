"""Powers and roots: pow in all its forms, float_power, square, sqrt, rsqrt, reciprocal.

Room: ops. As in PyTorch, the exponents 2, 3, 1/2, -1/2, -1 and -2 are computed without a general
power, and 0 and 1 not at all; each is a program of its own. Any other exponent is a run-time
scalar.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, FLOAT, INT, complex128, dtype, float64, of_python
from bital.ir.op import Op
from bital.ops.api import check_tensor, method, public
from bital.ops.arithmetic import OPERANDS, in_place_operator, with_number_left
from bital.ops.family import (
    UNSIGNED,
    again,
    common_dtype,
    conj,
    elementwise_rule,
    masked_op,
    number_of,
    scalar_op,
    unary_function,
    unary_op,
    zeros_for,
)
from bital.tensor.dispatch import apply, cast, inplace
from bital.tensor.recorders import binary, unary, with_scalar
from bital.tensor.tensor import Tensor

_REFUSES = (BOOL, UNSIGNED)

sqrt = unary_function(
    unary_op("sqrt", "sqrt", lambda g, out: g / conj(out * 2)), "The square root of each element."
)


def _rsqrt_impl(xp: Any, x: Any) -> Any:
    root = xp.sqrt(x)
    return again(xp.reciprocal, root)


rsqrt = unary_function(
    unary_op("rsqrt", _rsqrt_impl, lambda g, out: g * -0.5 * conj(out**3)),
    "1 over the square root of each element.",
)
reciprocal = unary_function(
    unary_op("reciprocal", "reciprocal", lambda g, out: -g * conj(out * out)),
    "1 over each element.",
)


def _twice_impl(xp: Any, g: Any, x: Any) -> Any:
    out = xp.multiply(x, 2)
    return xp.multiply(g, out, out=out) if out.ndim else g * out


#: g times 2 x, the gradient of a square, in one instruction
_twice = binary(
    Op(
        "square_backward",
        elementwise_rule("promote"),
        _twice_impl,
        inputs=("g", "x"),
        vjp=(lambda h, x: _twice(h, x), lambda h, g: _twice(h, g)),
        grad_fn="MulBackward0",
        elementwise=True,
    )
)


def _pow_vjp(g: Tensor, x: Tensor, exponent: Any) -> Tensor:
    """The gradient of x ** exponent by x, for a number: 0 for exponent 0, also where x is 0."""
    if exponent == 0:
        return zeros_for(g)
    if exponent == 2 and x._meta.dtype.category == FLOAT:
        return _twice(g, x)
    slope = x if exponent == 2 else pow(x, exponent - 1)
    return g * conj(slope if exponent == 1 else slope * exponent)


def _special(name: str, exponent: float, impl: str | Callable) -> Callable:
    """x ** exponent for an exponent with an implementation of its own."""
    refuse = () if exponent in (0, 1) else _REFUSES
    op = unary_op(
        f"pow_{name}", impl, lambda g, x: _pow_vjp(g, x, exponent), kind="promote", refuse=refuse,
        grad_fn="PowBackward0", kernel="pow",
    )  # fmt: skip
    return unary(op)


def _cube(xp: Any, x: Any) -> Any:
    t = xp.multiply(x, x)
    t *= x
    return t


def _inverse_square(xp: Any, x: Any) -> Any:
    return again(xp.reciprocal, xp.multiply(x, x))


_SPECIAL = {
    0: _special("0", 0, lambda xp, x: xp.ones_like(x)),
    1: _special("1", 1, lambda xp, x: x.copy()),
    2: _special("2", 2, "square"),
    3: _special("3", 3, _cube),
    0.5: _special("half", 0.5, "sqrt"),
    -0.5: _special("minus_half", -0.5, _rsqrt_impl),
    -1: _special("minus_1", -1, "reciprocal"),
    -2: _special("minus_2", -2, _inverse_square),
}
_square = _SPECIAL[2]


def _power(xp: Any, x: Any, y: Any) -> Any:
    """x ** y; integers to negative powers are 1, -1 or 0, as the quotient truncated would be."""
    whole = x if hasattr(x, "dtype") else y
    if whole.dtype.kind not in "iu":
        return xp.power(x, y)
    if whole.dtype.kind == "u" or not xp.any(xp.less(y, 0)):
        return xp.power(x, y)
    positive = xp.power(x, xp.maximum(y, 0))
    odd = xp.bitwise_and(y, 1) != 0
    inverse = xp.where(xp.equal(x, 1), 1, xp.where(xp.equal(x, -1), xp.where(odd, -1, 1), 0))
    return xp.where(xp.less(y, 0), inverse, positive).astype(whole.dtype)


_pow_number = with_scalar(
    scalar_op(
        "pow_scalar", _power, lambda g, x, exponent: _pow_vjp(g, x, exponent), refuse=_REFUSES,
        kernel="pow", grad_fn="PowBackward0", inputs=("x",), scalar="exponent",
    )
)  # fmt: skip

#: g where the exponent is not 0: the gradient by the base is 0 there, whatever the base
_where_exponent = masked_op("pow_backward_self", lambda xp, e: xp.not_equal(e, 0), ("exponent",))
#: g but where 0 is raised to 0 or more: the gradient by the exponent is 0 there
_where_base = masked_op(
    "pow_backward_exponent",
    lambda xp, x, e: xp.logical_not((x == 0) & (xp.real(e) >= 0)),
    ("self", "exponent"),
)


def _by_base(g: Tensor, self: Tensor, exponent: Tensor) -> Tensor:
    slope = conj(exponent * self ** (exponent - 1))
    return apply(_where_exponent, (g * slope, exponent))


def _by_exponent(g: Tensor, self: Tensor, exponent: Tensor, out: Tensor) -> Tensor:
    slope = conj(out * cast(self, out._meta.dtype).log())
    return apply(_where_base, (g * slope, self, exponent))


_pow = binary(
    Op(
        "pow",
        elementwise_rule("promote", _REFUSES, "pow"),
        _power,
        inputs=("self", "exponent"),
        vjp=(_by_base, _by_exponent),
        grad_fn="PowBackward1",
        elementwise=True,
    )
)


def _pow_from_vjp(g: Tensor, exponent: Tensor, base: Any, out: Tensor) -> Tensor:
    if base == 0:
        return apply(_where_negative, (zeros_for(g) + g * float("-inf") * out, exponent))
    if isinstance(base, complex) or out._meta.dtype.is_complex:
        return g * conj(out * cmath.log(base))
    return g * (out * (math.log(base) if base > 0 else math.nan))


_pow_from = with_scalar(
    scalar_op(
        "pow_from_scalar", _power, _pow_from_vjp, refuse=_REFUSES, kernel="pow", reverse=True,
        grad_fn="PowBackward2", inputs=("exponent",), scalar="base",
    )
)  # fmt: skip
_where_negative = masked_op("pow_from_0_backward", lambda xp, e: xp.real(e) < 0, ("exponent",))


def _pow_tensor_number(input: Tensor, exponent: Any) -> Tensor:
    """input ** exponent for a Python number."""
    kind = exponent.__class__
    special = _SPECIAL.get(exponent) if kind is not complex else None
    of = input._meta.dtype
    compute = of if of.category >= FLOAT else common_dtype(input._meta, kind)
    if compute.category == INT and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if special is None:
        return _pow_number(input, exponent)
    return special(input if compute is of else cast(input, compute))


@public(inplace=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent`, as `torch.pow`; either of them may be a number."""
    if exponent.__class__ is int and exponent == 2 and isinstance(input, Tensor):
        if input._meta.dtype.category >= FLOAT:  # the usual call, by the short way
            return _square(input)
    if not isinstance(input, Tensor):
        base = number_of(input, "pow", "input", 1)
        return _pow_from(check_tensor(exponent, "pow", "exponent", 2), base)
    if isinstance(exponent, Tensor):
        return _pow(input, exponent)
    return _pow_tensor_number(input, number_of(exponent, "pow", "exponent"))


@public(inplace=True, out=True)
def square(input: Tensor) -> Tensor:
    """Each element times itself, as `torch.square`."""
    return _pow_tensor_number(check_tensor(input, "square"), 2)


def _float_power_dtype(*operands: Any) -> dtype:
    kinds = [o._meta.dtype if isinstance(o, Tensor) else of_python(o) for o in operands]
    return complex128 if any(k.is_complex for k in kinds) else float64


@public(out=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent` in double precision, as `torch.float_power`."""
    wide = _float_power_dtype(input, exponent)
    as_number = complex if wide is complex128 else float
    base = cast(input, wide) if isinstance(input, Tensor) else as_number(input)
    power = cast(exponent, wide) if isinstance(exponent, Tensor) else as_number(exponent)
    return pow(base, power)


@method
def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """`float_power` in place, for tensors that hold its result."""
    wide = _float_power_dtype(self, exponent)
    if self._meta.dtype is not wide:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self._meta.dtype.legacy_name} but the "
            f"operation's result requires dtype {wide.legacy_name}"
        )
    return inplace(self, float_power, exponent)


@method
def __pow__(self: Tensor, exponent: Any) -> Any:
    return pow(self, exponent) if isinstance(exponent, OPERANDS) else NotImplemented


Tensor.__rpow__ = with_number_left(pow)
Tensor.__ipow__ = in_place_operator(pow, __pow__)  # type: ignore[attr-defined]
