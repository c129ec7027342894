"""Signs, sizes, rounding, and what NaN and infinity are told by.

Room: ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.meta import Meta
from bital.ir.op import Op, same_as
from bital.ops.api import check_tensor, in_place_of, method, public
from bital.ops.family import (
    ONLY_FLOATS,
    UNSIGNED,
    conj,
    elementwise_rule,
    masked_op,
    unary_function,
    unary_op,
    zeros_for,
)
from bital.tensor.dispatch import apply
from bital.tensor.recorders import unary
from bital.tensor.tensor import Tensor


def _abs_vjp(g: Tensor, x: Tensor) -> Tensor:
    return g * sgn(x)


_abs = unary(unary_op("abs", "absolute", _abs_vjp, kind="size", refuse=(BOOL, UNSIGNED)))


@public(out=True, aliases=("absolute",))
def abs(input: Tensor) -> Tensor:
    """The absolute value; the size of complex numbers, which is real."""
    return _abs(check_tensor(input, "abs"))


def _abs_in_place(self: Tensor) -> Tensor:
    if self._meta.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs(self)


for _name in ("abs", "absolute"):
    public(name=f"{_name}_", method=True)(in_place_of(_abs_in_place, _name))


@method
def __abs__(self: Tensor) -> Tensor:
    return _abs(self)


def _sign_impl(xp: Any, x: Any) -> Any:
    kind = x.dtype.kind
    if kind in "bu":
        return xp.not_equal(x, 0).astype(x.dtype)
    if kind == "c":
        size = xp.absolute(x)
        return xp.where(xp.equal(size, 0), x.dtype.type(0), x / size)
    return xp.subtract(xp.greater(x, 0), xp.less(x, 0), dtype=xp.int8).astype(x.dtype)


_NO_COMPLEX_SIGN = (
    COMPLEX,
    NotImplementedError,
    "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn "
    "instead.",
)
sign = unary_function(
    unary_op(
        "sign", _sign_impl, lambda g: zeros_for(g), kind="promote",
        refuse=(_NO_COMPLEX_SIGN, UNSIGNED),
    ),
    "-1, 0 or 1 as elements are negative, zero or positive.",
)  # fmt: skip
_where_nonzero = masked_op("sgn_backward", lambda xp, x: xp.not_equal(x, 0))


def _sgn_vjp(g: Tensor, x: Tensor, out: Tensor) -> Tensor:
    if x._meta.dtype.category != COMPLEX:
        return zeros_for(g)
    along = (conj(out) * g).real
    return apply(_where_nonzero, ((g - along * out) / x.abs(), x))


sgn = unary_function(
    unary_op("sgn", _sign_impl, _sgn_vjp, kind="promote", refuse=(UNSIGNED,), kernel="sign_cpu"),
    "The sign; for complex numbers the number of size 1 at the same angle.",
)


def _whole(fn: str) -> Callable:
    """A rounding function; integers are copied."""

    def impl(xp: Any, x: Any) -> Any:
        return xp.positive(x) if x.dtype.kind in "iu" else getattr(xp, fn)(x)

    return impl


def _rounding(name: str, fn: str, doc: str, aliases: tuple[str, ...] = ()) -> Any:
    complexes = (COMPLEX, NotImplementedError, f"{name} is not supported for complex inputs")
    op = unary_op(
        name, _whole(fn), lambda g: zeros_for(g), kind="promote", refuse=(BOOL, complexes),
        kernel=f"{name}_vml_cpu",
    )  # fmt: skip
    return unary_function(op, doc, aliases=aliases)


floor = _rounding("floor", "floor", "The largest integer that is not larger.")
ceil = _rounding("ceil", "ceil", "The smallest integer that is not smaller.")
trunc = _rounding("trunc", "trunc", "The integer part, towards zero.", ("fix",))
_round = unary(
    unary_op(
        "round", _whole("rint"), lambda g: zeros_for(g), kind="promote", refuse=(BOOL, COMPLEX),
        kernel="round_vml_cpu",
    )
)  # fmt: skip


def _round_decimals_rule(x: Meta, decimals: int) -> tuple:
    out, _, compute = elementwise_rule("promote", ONLY_FLOATS, "round_cpu")(x)
    return out, {"decimals": decimals}, compute


def _round_decimals(xp: Any, x: Any, *, decimals: int) -> Any:
    ten = x.dtype.type(10.0 ** (decimals if decimals >= 0 else -decimals))
    return xp.rint(x * ten) / ten if decimals >= 0 else xp.rint(x / ten) * ten


_ROUND_DECIMALS = Op(
    "round_decimals",
    _round_decimals_rule,
    _round_decimals,
    vjp=(lambda g: zeros_for(g),),
    grad_fn="RoundBackward1",
    elementwise=True,
)


@public(inplace=True, out=True)
def round(input: Tensor, *, decimals: int | None = None) -> Tensor:
    """The nearest integer, or number of so many decimals; halves go to even."""
    check_tensor(input, "round")
    return _round(input) if decimals is None else apply(_ROUND_DECIMALS, (input,), (decimals,))


@public("special", name="round", method=False, out=True)
def special_round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """`torch.round`."""
    return apply(_ROUND_DECIMALS, (input,), (decimals,))


frac = unary_function(
    unary_op(
        "frac", lambda xp, x: x - xp.trunc(x), lambda g: g, kind="promote", refuse=ONLY_FLOATS
    ),
    "What is left of the integer part.",
)


def _test(name: str, impl: Callable, doc: str, refuse: tuple = (), **spelling: Any) -> Any:
    """A function with bool results."""
    op = unary_op(name, impl, None, kind="bool", refuse=refuse)
    return unary_function(op, doc, **({"inplace": False, "out": False} | spelling))


def _never(xp: Any, x: Any) -> Any:
    return xp.zeros(x.shape, bool)


def _for_floats(fn: str, otherwise: bool = False) -> Callable:
    """A test of floats; other numbers all give the same answer."""

    def impl(xp: Any, x: Any) -> Any:
        if x.dtype.kind in "biu":
            return xp.full(x.shape, otherwise)
        return getattr(xp, fn)(x)

    return impl


def _equals(value: float) -> Callable:
    return lambda xp, x: xp.equal(x, value) if x.dtype.kind not in "biu" else _never(xp, x)


isnan = _test("isnan", _for_floats("isnan"), "Whether elements are NaN.")
isinf = _test("isinf", _for_floats("isinf"), "Whether elements are infinite.")
isfinite = _test(
    "isfinite", _for_floats("isfinite", True), "Whether elements are neither infinite nor NaN."
)
for _name, _value in (("isposinf", float("inf")), ("isneginf", -float("inf"))):
    _refusal = (COMPLEX, RuntimeError, f"{_name} does not support complex inputs.")
    _test(_name, _equals(_value), f"Whether elements are {_value}.", (_refusal,), out=True)
isreal = _test(
    "isreal",
    lambda xp, x: xp.equal(x.imag, 0) if x.dtype.kind == "c" else xp.ones(x.shape, bool),
    "Whether elements have no imaginary part.",
)
signbit = _test(
    "signbit",
    lambda xp, x: xp.less(x, 0) if x.dtype.kind in "biu" else xp.signbit(x),
    "Whether the sign bit is set, as it is of -0.",
    ((COMPLEX, NotImplementedError, "signbit is not implemented for complex tensors."),),
    out=True,
)


def _limits(d: Any) -> tuple[float, float]:
    info = ml_dtypes.finfo(d)
    return float(info.min), float(info.max)


def _nan_to_num_impl(xp: Any, x: Any, nan: float, posinf: float, neginf: float) -> Any:
    if x.dtype.kind in "biu":
        return xp.positive(x) if x.dtype.kind != "b" else xp.array(x)
    if x.dtype.kind == "c":
        parts = [_nan_to_num_impl(xp, p, nan, posinf, neginf) for p in (x.real, x.imag)]
        return (parts[0] + 1j * parts[1]).astype(x.dtype)
    number = x.dtype.type
    out = xp.where(xp.isnan(x), number(nan), x)
    out = xp.where(xp.equal(x, xp.inf), number(posinf), out)
    return xp.where(xp.equal(x, -xp.inf), number(neginf), out)


_where_finite = masked_op("nan_to_num_backward", lambda xp, x: xp.isfinite(x))
_NAN_TO_NUM = Op(
    "nan_to_num",
    same_as,
    _nan_to_num_impl,
    params=("nan", "posinf", "neginf"),
    vjp=(lambda g, x: apply(_where_finite, (g, x)),),
    elementwise=True,
)


@public(inplace=True, out=True)
def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """NaN replaced by `nan` (0), infinities by `posinf`, `neginf` (the dtype's limits)."""
    d = check_tensor(input, "nan_to_num")._meta.dtype
    lowest, largest = _limits(d.to_real().np) if d.category > INT else (0, 0)
    values = (
        0 if nan is None else nan,
        largest if posinf is None else posinf,
        lowest if neginf is None else neginf,
    )
    return apply(_NAN_TO_NUM, (input,), (), values)
