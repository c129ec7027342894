"""Other functions of two tensors: hypot, atan2, copysign, ldexp, logaddexp, xlogy, gcd and so on.

Room: ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bital.base.dtype import COMPLEX, LOW_PRECISION, int32
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import (
    ONLY_FLOATS,
    ONLY_INTEGERS,
    UNSIGNED,
    binary_op,
    common_dtype,
    conj,
    elementwise_rule,
    masked_op,
    not_implemented,
    number_of,
    scalar_op,
    to_float,
    zeros_for,
)
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.recorders import binary, with_scalar
from bital.tensor.tensor import Tensor


def of_two_tensors(
    op: Op, doc: str, *places: str, second: str = "other", **spelling: Any
) -> Callable:
    """The public function of an operator of two tensors."""
    call = binary(op)
    name = spelling.pop("name", op.name)

    def fn(input: Tensor, other: Tensor) -> Tensor:
        if not isinstance(input, Tensor) or not isinstance(other, Tensor):
            check_tensor(input, name)
            check_tensor(other, name, second, 2)
        return call(input, other)

    fn.__doc__ = doc
    return public(*places, name=name, **({"inplace": True, "out": True} | spelling))(fn)


_where_not_origin = masked_op(
    "atan2_backward", lambda xp, y, x: xp.not_equal(y * y + x * x, 0), ("self", "other")
)


def _inverse_square(self: Tensor, other: Tensor) -> Tensor:
    """Of the distance from the origin; 0 there."""
    inverse = (self * self + other * other).reciprocal()
    return apply(_where_not_origin, (inverse, self, other))


def _atan2_vjp_self(g: Tensor, self: Tensor, other: Tensor) -> Tensor:
    return g * other * _inverse_square(self, other)


def _atan2_vjp_other(g: Tensor, self: Tensor, other: Tensor) -> Tensor:
    return g * -self * _inverse_square(self, other)


hypot = of_two_tensors(
    binary_op(
        "hypot",
        "hypot",
        (lambda g, self, out: g * (self / out), lambda g, other, out: g * (other / out)),
        refuse=ONLY_FLOATS,
    ),
    "The square root of the sum of two squares.",
)
atan2 = of_two_tensors(
    binary_op(
        "atan2", "arctan2", (_atan2_vjp_self, _atan2_vjp_other), kind="float", refuse=(COMPLEX,)
    ),
    "The angle of the point (other, input), from -pi to pi.",
    aliases=("arctan2",),
)


def _unless_equal(g: Tensor, self: Tensor, other: Tensor) -> Tensor:
    return g.where(self != other, 0)


nextafter = of_two_tensors(
    binary_op(
        "nextafter", "nextafter", (_unless_equal, lambda g, other: zeros_for(g)),
        refuse=ONLY_FLOATS,
    ),
    "The next number of the type after `input`, towards `other`.",
)  # fmt: skip
gcd = of_two_tensors(
    binary_op("gcd", "gcd", None, refuse=(*ONLY_INTEGERS, UNSIGNED)),
    "The greatest common divisor of two integers.",
)
lcm = of_two_tensors(
    binary_op("lcm", "lcm", None, refuse=(*ONLY_INTEGERS, UNSIGNED)),
    "The least common multiple of two integers.",
)


def _heaviside_check(x: Meta, values: Meta) -> None:
    if x.dtype.is_complex or values.dtype.is_complex:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if x.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


def _heaviside_impl(xp: Any, x: Any, values: Any) -> Any:
    return xp.where(xp.equal(x, 0), values, xp.greater(x, 0).astype(values.dtype))


heaviside = of_two_tensors(
    binary_op(
        "heaviside", _heaviside_impl, (not_implemented("heaviside"), not_implemented("heaviside")),
        refuse=(_heaviside_check, UNSIGNED), grad_fn="NotImplemented",
    ),
    "0 where `input` is negative, 1 where it is positive, `values` where it is 0.",
    second="values",
)  # fmt: skip

_where_nonzero = masked_op("copysign_backward", lambda xp, x: xp.not_equal(x, 0))


def _copysign_vjp(g: Tensor, self: Tensor, out: Tensor) -> Tensor:
    return g * apply(_where_nonzero, (out / self, self))


_copysign = binary(
    binary_op(
        "copysign",
        "copysign",
        (_copysign_vjp, lambda g: zeros_for(g)),
        kind="float",
        refuse=(COMPLEX,),
    )
)
_copysign_number = with_scalar(
    scalar_op(
        "copysign_scalar", "copysign", _copysign_vjp, kind="float", refuse=(COMPLEX,),
        kernel="copysign_cpu", grad_fn="CopysignBackward1",
    )
)  # fmt: skip


@public(inplace=True, out=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of `input` with the sign of `other`, also that of zeros (`torch.copysign`)."""
    check_tensor(input, "copysign")
    if isinstance(other, Tensor):
        return _copysign(input, other)
    return _copysign_number(input, number_of(other, "copysign"))


def _ldexp_rule(x: Meta, exponent: Meta) -> tuple:
    out = elementwise_rule("promote")(x, exponent)[0]
    kind = common_dtype(x, meta_of(exponent.shape, to_float(exponent.dtype), exponent.device))
    return meta_of(out.shape, kind, x.device), {}, kind


_LN2 = math.log(2)
ldexp = of_two_tensors(
    Op(
        "ldexp",
        _ldexp_rule,
        lambda xp, x, other: xp.multiply(x, xp.power(other.dtype.type(2), other)),
        inputs=("self", "other"),
        vjp=(
            lambda g, other: g * conj(_two_to(other)),
            lambda g, self, other: g * conj(self) * conj(_two_to(other) * _LN2),
        ),
        elementwise=True,
    ),
    "`input * 2 ** other`.",
)


def _two_to(exponent: Tensor) -> Tensor:
    return 2.0**exponent


def _logaddexp_impl(xp: Any, x: Any, y: Any) -> Any:
    if x.dtype.kind != "c":
        return xp.logaddexp(x, y)
    swap = xp.real(x) < xp.real(y)
    large, small = xp.where(swap, y, x), xp.where(swap, x, y)
    return large + xp.log1p(xp.exp(small - large))


logaddexp = of_two_tensors(
    binary_op(
        "logaddexp",
        _logaddexp_impl,
        (
            lambda g, self, other: g / conj(1 + (other - self).exp()),
            lambda g, self, other: g / conj(1 + (self - other).exp()),
        ),
        refuse=ONLY_FLOATS[:2],
    ),
    "`log(exp(input) + exp(other))`, without overflow.",
    inplace=False,
)
logaddexp2 = of_two_tensors(
    binary_op(
        "logaddexp2",
        "logaddexp2",
        (
            lambda g, self, other: g / (1 + (other - self).exp2()),
            lambda g, self, other: g / (1 + (self - other).exp2()),
        ),
        refuse=ONLY_FLOATS,
    ),
    "`log2(2 ** input + 2 ** other)`, without overflow.",
    inplace=False,
)


def of_either(
    name: str, impl: Callable, vjp: tuple | None, by_number: Callable | None, grad_fn: str,
    options: dict,
) -> Callable:  # fmt: skip
    """A function of two arguments, either a number; `by_number` is the rule where the second is."""
    by_second = None if vjp is None else vjp[1]
    both = binary(binary_op(name, impl, vjp, grad_fn=f"{grad_fn}0", **options))
    from_number = with_scalar(
        scalar_op(
            f"{name}_from_scalar", impl, by_second, reverse=True, inputs=("other",),
            scalar="self", grad_fn=f"{grad_fn}1", **options,
        )
    )  # fmt: skip
    of_number = with_scalar(
        scalar_op(
            f"{name}_scalar", impl, by_number, scalar="other", grad_fn=f"{grad_fn}2", **options
        )
    )

    def fn(input: Any, other: Any) -> Tensor:
        if not isinstance(input, Tensor):
            number = number_of(input, name, "input", 1)
            return from_number(check_tensor(other, name, "other", 2), number)
        if isinstance(other, Tensor):
            return both(input, other)
        return of_number(input, number_of(other, name))

    return fn


def _x_times_log(name: str, log: str, grad_fn: str, shift: int) -> Callable:
    """x * log(y + shift), 0 where x is 0 unless y is NaN: either may be a number."""

    def counts(xp: Any, x: Any, y: Any) -> Any:
        return (x != 0) | (y > -shift) | (y != y)

    gate = masked_op(f"{name}_backward", counts, ("self", "other"))
    gate_number = masked_op(f"{name}_scalar_backward", counts, ("self",), ("other",))

    def impl(xp: Any, x: Any, y: Any) -> Any:
        y = y if hasattr(y, "dtype") else x.dtype.type(y)
        product = x * getattr(xp, log)(y)
        return xp.where(xp.equal(x, 0) & ~xp.isnan(y), product.dtype.type(0), product)

    kernel = f"{name.removeprefix('special_')}_cpu"
    options: dict = {"kind": "float", "refuse": (COMPLEX,), "kernel": kernel}

    def by_x(g: Tensor, self: Tensor, other: Tensor) -> Tensor:
        return apply(gate, (g * getattr(other, log)(), self, other))

    def by_x_number(g: Tensor, self: Tensor, other: float) -> Tensor:
        near = other + shift
        slope = math.log(near) if near > 0 else -math.inf if near == 0 else math.nan
        return apply(gate_number, (g * slope, self), (), (other,))

    def by_y(g: Tensor, self: Any, other: Tensor) -> Tensor:
        return g * self / (other + shift if shift else other)

    return of_either(name, impl, (by_x, by_y), by_x_number, grad_fn, options)


_xlogy = _x_times_log("xlogy", "log", "XlogyBackward", 0)
_xlogy.__doc__ = "`input * log(other)`, 0 where `input` is 0; either may be a number."
xlogy = public(name="xlogy", inplace=True, out=True)(_xlogy)
public("special", name="xlogy", method=False, out=True)(_xlogy)
_xlog1py = _x_times_log("special_xlog1py", "log1p", "SpecialXlog1PyBackward", 1)
_xlog1py.__doc__ = "`input * log1p(other)`, 0 where `input` is 0; either may be a number."
xlog1py = public("special", name="xlog1py", method=False, out=True)(_xlog1py)


def _frexp_rule(x: Meta) -> tuple:
    if not x.dtype.is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return (x, meta_of(x.shape, int32, x.device)), {"wide": x.dtype in LOW_PRECISION}


def _frexp_impl(xp: Any, x: Any, *, wide: bool) -> tuple:
    if not wide:
        return xp.frexp(x)
    mantissa, exponent = xp.frexp(x.astype(xp.float32))
    return mantissa.astype(x.dtype), exponent


_FREXP = Op(
    "frexp",
    _frexp_rule,
    _frexp_impl,
    vjp=(lambda g, out1: None if g[0] is None else g[0] / _two_to(out1),),
)
_Frexp = named("frexp", "mantissa", "exponent")


@public(out=True)
def frexp(input: Tensor) -> Any:
    """`mantissa` in [0.5, 1) and int32 `exponent` with `input = mantissa * 2 ** exponent`."""
    return _Frexp(apply(_FREXP, (check_tensor(input, "frexp"),)))
