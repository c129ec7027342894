"""Arithmetic: add, sub, mul, neg, and what Python's operators + - * have in common.

Room: ops. Formulas of gradients are those of calculus; for complex numbers they are the conjugate
Wirtinger derivatives, as PyTorch's documentation "Autograd mechanics" defines them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, FLOAT, INT, of_python
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.api import check_tensor, method, public
from bital.ops.family import (
    UNSIGNED,
    binary_op,
    conj,
    elementwise_rule,
    number_maker,
    number_of,
    scalar_op,
    unary_op,
)
from bital.tensor.dispatch import assign, inplace
from bital.tensor.recorders import (
    binary,
    binary_with_scalar,
    unary,
    with_own_code,
    with_scalar,
    writing,
)
from bital.tensor.tensor import Tensor

_TWO_BOOLS = (
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
    "`logical_xor()` operator instead."
)
_ONE_BOOL = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
    "invert a mask, use the `~` or `logical_not()` operator instead."
)
_NEGATED_BOOL = (
    "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a "
    "mask, use the `~` or `logical_not()` operator instead."
)


def _no_bools(*operands: Meta | type) -> None:
    """PyTorch's error for subtracting bools."""
    kinds = [(o.dtype if isinstance(o, Meta) else of_python(o())).category for o in operands]
    if BOOL in kinds:
        raise RuntimeError(_ONE_BOOL if any(kinds) else _TWO_BOOLS)


_SUB_REFUSES = (_no_bools, UNSIGNED)

_add = binary(
    binary_op("add", "add", (lambda g: g, lambda g: g), refuse=(UNSIGNED,), kernel="add_stub")
)
_add_number = with_scalar(
    scalar_op(
        "add_scalar", "add", lambda g: g, grad_fn="AddBackward0", refuse=(UNSIGNED,),
        kernel="add_stub", empty_edges=1,
    )
)  # fmt: skip
_sub = binary(
    binary_op(
        "sub", "subtract", (lambda g: g, lambda g: -g), refuse=_SUB_REFUSES, kernel="add_stub"
    )
)
_sub_number = with_scalar(
    scalar_op(
        "sub_scalar", "subtract", lambda g: g, grad_fn="SubBackward0", refuse=_SUB_REFUSES,
        kernel="add_stub", empty_edges=1,
    )
)  # fmt: skip
_rsub_number = with_scalar(
    scalar_op(
        "rsub_scalar", "subtract", lambda g: -g, grad_fn="RsubBackward1", reverse=True,
        refuse=_SUB_REFUSES, kernel="add_stub",
    )
)  # fmt: skip
_mul = binary(
    binary_op("mul", "multiply", (lambda g, other: g * conj(other), lambda g, self: g * conj(self)))
)
_mul_number = with_scalar(
    scalar_op(
        "mul_scalar", "multiply", lambda g, scalar: g * conj(scalar), grad_fn="MulBackward0",
        empty_edges=1,
    )
)  # fmt: skip
_neg = unary(
    unary_op(
        "neg", "negative", lambda g: -g, kind="promote",
        refuse=((BOOL, RuntimeError, _NEGATED_BOOL), UNSIGNED),
    )
)  # fmt: skip


def _scaled(name: str, fn: str, sign: int, refuse: tuple, grad_fn: str, turned: bool) -> Op:
    """`self ± alpha * other` in one instruction (or `other ± alpha * self` where turned)."""
    plain = elementwise_rule("promote", refuse, "add_stub")

    def rule(x: Meta, y: Meta) -> tuple:
        out, _, compute = plain(x, y)
        return out, {"number": number_maker(compute)}, compute

    def impl(xp: Any, x: Any, y: Any, alpha: Any, *, number: Any, out: Any = None) -> Any:
        if turned:
            x, y = y, x
        scaled = xp.multiply(y, alpha if number is None else number(alpha))
        return getattr(xp, fn)(x, scaled, out=out)

    def native(xp: Any, x: Any, y: Any, alpha: Any, *, number: Any) -> Any:
        if turned:
            x, y = y, x
        return getattr(xp, fn)(x, y * (y.dtype.type(alpha) if number else alpha))

    def scale(g: Tensor, alpha: Any) -> Tensor:
        return g * (conj(alpha) * sign)

    vjp = (scale, lambda g: g) if turned else (lambda g: g, scale)
    return Op(
        name, rule, impl, inputs=("self", "other"), params=("alpha",), vjp=vjp, grad_fn=grad_fn,
        elementwise=True, out="any", native=native,
    )  # fmt: skip


add_scaled = binary_with_scalar(_scaled("add_scaled", "add", 1, (UNSIGNED,), "AddBackward0", False))
_sub_scaled = binary_with_scalar(
    _scaled("sub_scaled", "subtract", -1, _SUB_REFUSES, "SubBackward0", False)
)
_rsub_scaled = binary_with_scalar(
    _scaled("rsub_scaled", "subtract", -1, _SUB_REFUSES, "RsubBackward0", True)
)


def _check_alpha(alpha: Any, input: Tensor, other: Any) -> Any:
    """`alpha` as a Python number, or PyTorch's error where it does not fit the operands."""
    if alpha.__class__ is float and input._meta.dtype.category >= FLOAT:
        return alpha
    alpha = number_of(alpha, "add", "alpha", 3)
    kind = other._meta.dtype if isinstance(other, Tensor) else of_python(other)
    category = max(input._meta.dtype.category, kind.category)
    if isinstance(alpha, bool):
        if category != BOOL:
            raise RuntimeError("Boolean alpha only supported for Boolean results.")
    elif isinstance(alpha, float) and category <= INT:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    elif isinstance(alpha, complex) and category != COMPLEX:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    return alpha


@public(inplace=True, out=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input + alpha * other`, broadcast and promoted as `torch.add`."""
    if not isinstance(input, Tensor):
        input, other = _number_first(input, other, "add")
    if isinstance(other, Tensor):
        if alpha == 1 and alpha is not True:
            return _add(input, other)
        return add_scaled(input, other, _check_alpha(alpha, input, other))
    other = number_of(other, "add")
    if alpha != 1 or alpha is True:
        other = other * _check_alpha(alpha, input, other)
    return _add_number(input, other)


@public(inplace=True, out=True, aliases=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input - alpha * other`, as `torch.sub`."""
    if not isinstance(input, Tensor):
        return rsub(check_tensor(other, "sub", "other", 2), number_of(input, "sub", "input", 1))
    if isinstance(other, Tensor):
        if alpha == 1 and alpha is not True:
            return _sub(input, other)
        return _sub_scaled(input, other, _check_alpha(alpha, input, other))
    other = number_of(other, "sub")
    if alpha != 1 or alpha is True:
        other = other * _check_alpha(alpha, input, other)
    return _sub_number(input, other)


@public(method=False)
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`other - alpha * input`, as `torch.rsub`."""
    check_tensor(input, "rsub")
    if isinstance(other, Tensor):
        return _rsub_scaled(input, other, alpha)
    return _rsub_number(input if alpha == 1 else input * alpha, number_of(other, "rsub"))


@public(inplace=True, out=True, aliases=("multiply",))
def mul(input: Any, other: Any) -> Tensor:
    """`input * other`, as `torch.mul`."""
    if not isinstance(input, Tensor):
        input, other = _number_first(input, other, "mul")
    if isinstance(other, Tensor):
        return _mul(input, other)
    return _mul_number(input, number_of(other, "mul"))


def _number_first(input: Any, other: Any, fn: str) -> tuple[Tensor, Any]:
    """The operands of `fn(2, tensor)`, which PyTorch takes for what commutes, tensor first."""
    number = number_of(input, fn, "input", 1)
    return check_tensor(other, fn, "other", 2), number


@public(inplace=True, out=True, aliases=("negative",))
def neg(input: Tensor) -> Tensor:
    """`-input`, as `torch.neg`."""
    if not isinstance(input, Tensor):
        check_tensor(input, "neg")
    return _neg(input)


def operator(fn: Callable, on_tensor: Callable, on_number: Callable) -> Callable:
    """A Python operator's method: what is neither tensor nor number is left to the other side."""

    def method(self: Tensor, other: Any) -> Any:
        kind = other.__class__
        if kind is Tensor:
            return on_tensor(self, other)
        if kind is float or kind is int:
            return on_number(self, other)
        if isinstance(other, OPERANDS):
            return fn(self, other)
        return NotImplemented

    return with_own_code(method)


#: what an operator takes on its other side
OPERANDS = (Tensor, int, float, complex, np.number, np.bool_)


def in_place_operator(fn: Callable, plain: Callable, on_tensor: Any = None) -> Callable:
    """`a += b` and its like: the plain operator's result written into a's memory.

    `on_tensor` is what the plain operator does with two tensors.
    """

    def assigning(self: Tensor, other: Any) -> Any:
        trace = local.trace
        if not trace.grad:
            out = plain(self, other)
            return out if out is NotImplemented else assign(self, out, trace)
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return inplace(self, fn, other)

    return writing(on_tensor, with_own_code(assigning))


def install(
    name: str,
    fn: Callable,
    on_tensor: Callable,
    on_number: Callable,
    *,
    commutes: bool = False,
    of_number: Callable | None = None,
) -> None:
    """Give Tensor the operator `__name__`, its reflected form and `__iname__`.

    `of_number` takes a tensor and the number on its left.
    """
    plain = operator(fn, on_tensor, on_number)
    setattr(Tensor, f"__{name}__", plain)
    reflected = f"__r{name}__"
    turned = (
        _reflected(reflected, plain, on_number) if commutes else with_number_left(fn, of_number)
    )
    setattr(Tensor, reflected, turned)
    setattr(Tensor, f"__i{name}__", in_place_operator(fn, plain, on_tensor))


def _reflected(name: str, plain: Callable, on_number: Callable) -> Callable:
    """The reflected operator of one that commutes."""

    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(self, Tensor):
            raise TypeError(
                f"descriptor '{name}' for 'torch._C.TensorBase' objects doesn't apply to a "
                f"'{type(self).__name__}' object"
            )
        kind = other.__class__
        if kind is float or kind is int:
            return on_number(self, other)
        return plain(self, other)

    return with_own_code(method)


def with_number_left(fn: Callable, short: Callable | None = None) -> Callable:
    """A reflected operator: fn(number, self), or short(self, number) for Python's numbers."""

    def method(self: Tensor, other: Any) -> Any:
        kind = other.__class__
        if short is not None and (kind is int or kind is float) and isinstance(self, Tensor):
            return short(self, other)
        if isinstance(other, OPERANDS) and isinstance(self, Tensor):
            return fn(other, self)
        return NotImplemented

    return with_own_code(method)


def scale_each(tensors: list[Tensor], factor: Tensor) -> None:
    """`t.mul_(factor)` for each tensor, where the factor shares no memory with any. No gradient."""
    trace = local.trace
    for t in tensors:
        if t.__class__ is Tensor and not trace.grad:
            assign(t, _mul(t, factor), trace)
        else:
            t.mul_(factor)


install("add", add, _add, _add_number, commutes=True)
install("sub", sub, _sub, _sub_number, of_number=_rsub_number)
install("mul", mul, _mul, _mul_number, commutes=True)


@method
def __neg__(self: Tensor) -> Tensor:
    return _neg(self)


@method
def __hash__(self: Tensor) -> int:
    return id(self)
