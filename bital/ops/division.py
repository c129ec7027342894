"""Division: div with its rounding modes, floor_divide, remainder, fmod and their operators.

Room: ops. Integers divided by zero raise RuntimeError: at once where the divisor is a number or has
been computed, else when it is, with the line that asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.arithmetic import install
from bital.ops.family import (
    UNSIGNED,
    binary_op,
    common_dtype,
    conj,
    not_implemented,
    number_of,
    scalar_op,
    zeros_for,
)
from bital.tensor.recorders import binary, with_scalar
from bital.tensor.tensor import Tensor, known_array


def _of_integers(x: Any, y: Any) -> bool:
    """Whether operands, one of which may be a Python float, are integers; then y has no zero."""
    if isinstance(x, float) or isinstance(y, float) or y.dtype.kind not in "iu":
        return False
    if not y.all():
        raise RuntimeError("ZeroDivisionError")
    return True


def _floor_divide(xp: Any, x: Any, y: Any) -> Any:
    if _of_integers(x, y):
        return xp.floor_divide(x, y)
    # the quotient of what fmod leaves is whole but for rounding; where y is 0 it is x / y
    rest = xp.fmod(x, y)
    whole = xp.divide(xp.subtract(x, rest), y)
    whole = whole - ((rest != 0) & ((y < 0) != (rest < 0)))
    floor = xp.floor(whole)
    floor = floor + (whole - floor > 0.5)
    ratio = xp.divide(x, y)
    floor = xp.where(whole != 0, floor, xp.copysign(floor.dtype.type(0), ratio))
    return xp.where(xp.equal(y, 0), ratio, floor)


def _trunc_divide(xp: Any, x: Any, y: Any) -> Any:
    if _of_integers(x, y):
        return xp.floor_divide(xp.subtract(x, xp.fmod(x, y)), y)
    return xp.trunc(xp.divide(x, y))


def _remainder(xp: Any, x: Any, y: Any) -> Any:
    if _of_integers(x, y):
        return xp.remainder(x, y)
    rest = xp.fmod(x, y)
    return xp.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


def _fmod(xp: Any, x: Any, y: Any) -> Any:
    _of_integers(x, y)
    return xp.fmod(x, y)


def _native_parts(xp: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Of integers: the quotient truncated, what is left, and whether that has the wrong sign."""
    kind = _kind_of(x, y)
    wide = xp.int16 if kind.kind == "u" else kind
    x, y = xp.asarray(x, wide), xp.asarray(y, wide)
    xp.require(y != 0)
    # nothing is divided by 0, nor the least integer by -1
    whole = xp.where(y == -1, -x, xp.truncated(x, xp.where((y == 0) | (y == -1), 1, y)))
    rest = x - whole * y
    return whole, rest, (rest != 0) & ((y < 0) != (rest < 0))


def _native(impl: Callable, of_integers: Callable) -> Callable:
    """An implementation for floats, in array words too, and another for integers."""

    def native(xp: Any, x: Any, y: Any) -> Any:
        if _kind_of(x, y).kind in "iu":
            return of_integers(xp, x, y).astype(_kind_of(x, y))
        return impl(xp, x, y)

    return native


def _floor_native(xp: Any, x: Any, y: Any) -> Any:
    whole, _, below = _native_parts(xp, x, y)
    return whole - below.astype(whole.dtype)


def _remainder_native(xp: Any, x: Any, y: Any) -> Any:
    _, rest, below = _native_parts(xp, x, y)
    return rest + xp.where(below, y, 0)


def _kind_of(x: Any, y: Any) -> Any:
    """The dtype of the operand that is an array."""
    return x.dtype if x.ndim >= y.ndim else y.dtype


_NATIVE = {
    impl: _native(impl, of_integers)
    for impl, of_integers in (
        (_floor_divide, _floor_native),
        (_trunc_divide, lambda xp, x, y: _native_parts(xp, x, y)[0]),
        (_remainder, _remainder_native),
        (_fmod, lambda xp, x, y: _native_parts(xp, x, y)[1]),
    )
}


def _times_minus_quotient(mode: str) -> Callable:
    """The gradient of a remainder by its divisor: minus the whole quotient."""
    return lambda g, self, other: -g * div(self, other, rounding_mode=mode)


_DIV_VJP = (
    lambda g, other: g / conj(other),
    lambda g, self, other: -g * conj((self / other) / other),
)
_div = binary(binary_op("div", "true_divide", _DIV_VJP, kind="float"))
_div_number = with_scalar(
    scalar_op(
        "div_scalar", "true_divide", lambda g, scalar: g / conj(scalar), kind="float",
        grad_fn="DivBackward0", empty_edges=1,
    )
)  # fmt: skip


def _whole(
    name: str,
    impl: Callable,
    kernel: str,
    vjp: tuple[Callable, Callable],
    grad_fns: tuple[str, str],
    scalar_vjp: Callable,
) -> tuple[Callable, Callable]:
    """The operator on two tensors and on a tensor and a number, for one kind of whole division."""
    refuse = (BOOL, COMPLEX, UNSIGNED)
    both = binary_op(
        name, impl, vjp, refuse=refuse, kernel=kernel, grad_fn=grad_fns[0], fallible=True,
        native=_NATIVE[impl],
    )  # fmt: skip
    number = scalar_op(
        f"{name}_scalar", impl, scalar_vjp, refuse=refuse, kernel=kernel, grad_fn=grad_fns[1],
        fallible=True, empty_edges=int(grad_fns[0] == "DivBackward2"), native=_NATIVE[impl],
    )  # fmt: skip
    by_number = with_scalar(number)

    def divided(x: Tensor, divisor: Any) -> Tensor:
        if divisor == 0 and common_dtype(x._meta, divisor.__class__).category == INT:
            raise RuntimeError("ZeroDivisionError")
        return by_number(x, divisor)

    by_tensor = binary(both)

    def divided_by_tensor(x: Tensor, divisor: Tensor) -> Tensor:
        kind = divisor._meta.dtype.category
        if kind == INT >= x._meta.dtype.category and divisor._storage.value.buf is not None:
            _of_integers(0, known_array(divisor))
        return by_tensor(x, divisor)

    return divided_by_tensor, divided


def _from_number(name: str, impl: Callable, kernel: str) -> Callable:
    """The same with the number first, of which PyTorch has no derivative."""
    op: Op = scalar_op(
        f"{name}_from_scalar", impl, not_implemented(name), refuse=(BOOL, COMPLEX, UNSIGNED),
        kernel=kernel, grad_fn="NotImplemented", reverse=True, fallible=True, native=_NATIVE[impl],
    )  # fmt: skip
    return with_scalar(op)


#: `rounding_mode=None` given: true division, of which the node has another name
_div_unrounded = binary(
    binary_op("div_unrounded", "true_divide", _DIV_VJP, kind="float", grad_fn="DivBackward2")
)
_NOT_GIVEN: Any = object()
_STEPS = (zeros_for, zeros_for)
_ROUNDED = {
    mode: _whole(
        f"div_{mode}", impl, f"div_{mode}_cpu", _STEPS, ("DivBackward2", "DivBackward2"), zeros_for
    )
    for mode, impl in (("trunc", _trunc_divide), ("floor", _floor_divide))
}
_unknown = not_implemented("floor_divide")
_floor, _floor_number = _whole(
    "floor_divide", _floor_divide, "div_floor_cpu", (_unknown, _unknown),
    ("NotImplemented", "NotImplemented"), _unknown,
)  # fmt: skip
_remainder_of, _remainder_number = _whole(
    "remainder", _remainder, "remainder_cpu", (lambda g: g, _times_minus_quotient("floor")),
    ("RemainderBackward1", "RemainderBackward0"), lambda g: g,
)  # fmt: skip
_fmod_of, _fmod_number = _whole(
    "fmod", _fmod, "fmod_cpu", (lambda g: g, _times_minus_quotient("trunc")),
    ("FmodBackward1", "FmodBackward0"), lambda g: g,
)  # fmt: skip
_floor_from = _from_number("floor_divide", _floor_divide, "div_floor_cpu")
_remainder_from = _from_number("remainder", _remainder, "remainder_cpu")


@public(inplace=True, out=True, aliases=("divide",))
def div(input: Any, other: Any, *, rounding_mode: str | None = _NOT_GIVEN) -> Tensor:
    """`input / other`; `rounding_mode` "trunc" or "floor" rounds the quotient (`torch.div`)."""
    if not isinstance(input, Tensor):
        return _number_divided(number_of(input, "div", "input", 1), other)
    if rounding_mode is _NOT_GIVEN or rounding_mode is None:
        if isinstance(other, Tensor):
            return (_div if rounding_mode is _NOT_GIVEN else _div_unrounded)(input, other)
        return _div_number(input, number_of(other, "div"))
    if rounding_mode not in _ROUNDED:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    on_tensor, on_number = _ROUNDED[rounding_mode]
    if isinstance(other, Tensor):
        return on_tensor(input, other)
    return on_number(input, number_of(other, "div"))


@public(inplace=True, out=True)
def true_divide(input: Any, other: Any) -> Tensor:
    """`input / other`, as `torch.true_divide`."""
    return div(input, other)


def _number_divided(number: Any, other: Tensor) -> Tensor:
    """`number / tensor`, by way of the reciprocal as PyTorch computes it."""
    return check_tensor(other, "div", "other", 2).reciprocal() * number


@public(inplace=True, out=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """`floor(input / other)`, as `torch.floor_divide`."""
    if not isinstance(input, Tensor):
        return _floor_from(other, number_of(input, "floor_divide", "input", 1))
    if isinstance(other, Tensor):
        return _floor(input, other)
    return _floor_number(input, number_of(other, "floor_divide"))


@public(inplace=True, out=True)
def remainder(input: Any, other: Any) -> Tensor:
    """Python's `input % other`: the result has the sign of `other` (`torch.remainder`)."""
    if not isinstance(input, Tensor):
        check_tensor(other, "remainder", "other", 2)
        return _remainder_from(other, number_of(input, "remainder", "input", 1))
    if isinstance(other, Tensor):
        return _remainder_of(input, other)
    return _remainder_number(input, number_of(other, "remainder"))


@public(inplace=True, out=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """C's remainder: the result has the sign of `input` (`torch.fmod`)."""
    if not isinstance(input, Tensor):
        check_tensor(input, "fmod")
    if isinstance(other, Tensor):
        return _fmod_of(input, other)
    return _fmod_number(input, number_of(other, "fmod"))


install("truediv", div, _div, _div_number)
install("floordiv", floor_divide, _floor, _floor_number)
install("mod", remainder, _remainder_of, _remainder_number)


def _reciprocal_times(self: Tensor, other: Any) -> Tensor:
    return self.reciprocal() * other


Tensor.__rdiv__ = _reciprocal_times  # type: ignore[attr-defined]
Tensor.__div__ = Tensor.__truediv__  # type: ignore[attr-defined]
Tensor.__idiv__ = Tensor.__itruediv__  # type: ignore[attr-defined]
