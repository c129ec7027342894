"""Comparisons, logic and bits.

Room: ops. Operands promote as for arithmetic and are compared in the common dtype; the result is
bool, and has no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, FLOAT, INT, bool_
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.api import check_tensor, in_place_of, method, public
from bital.ops.arithmetic import install, operator
from bital.ops.family import (
    ONLY_INTEGERS,
    UNSIGNED,
    Refusals,
    binary_op,
    elementwise_rule,
    number_of,
    scalar_op,
    unary_function,
    unary_op,
    zeros_for,
)
from bital.tensor.convert import from_numpy_array
from bital.tensor.dispatch import apply, inplace
from bital.tensor.recorders import binary, with_scalar
from bital.tensor.tensor import Tensor, array_of, edge_of

_ORDERED: Refusals = (COMPLEX, UNSIGNED)


def _comparison(name: str, ufunc: str, symbol: str, refuse: Refusals, alias: str | None) -> None:
    """torch.name, Tensor.name, name_, and Python's operator."""
    kernel = f"{name}_cpu"
    call = binary(binary_op(name, ufunc, None, kind="bool", refuse=refuse, kernel=kernel))
    of_number = with_scalar(
        scalar_op(f"{name}_scalar", ufunc, None, kind="bool", refuse=refuse, kernel=kernel)
    )

    def fn(input: Tensor, other: Any) -> Tensor:
        check_tensor(input, name)
        if isinstance(other, Tensor):
            return call(input, other)
        return of_number(input, number_of(other, name))

    fn.__doc__ = f"Whether `input {symbol} other`, for a tensor or a number."
    aliases = (alias,) if alias else ()
    public(name=name, out=True, aliases=aliases)(fn)
    _install_writing(fn, name, ufunc, aliases)
    written = operator(fn, call, of_number)
    setattr(Tensor, f"__{name}__", _with_arrays(written) if name == "eq" else written)


def _with_arrays(method: Callable) -> Callable:
    """== that also takes a NumPy array, as PyTorch's does (and no other comparison)."""

    def equals(self: Tensor, other: Any) -> Any:
        got = method(self, other)
        if got is NotImplemented and isinstance(other, np.ndarray):
            return method(self, from_numpy_array(other))
        return got

    return equals


def _install_writing(fn: Callable, name: str, ufunc: str, aliases: tuple[str, ...]) -> None:
    """`name_`, whose node cuts the gradient off: it passes zeros on."""
    plain = elementwise_rule("promote")

    def rule(x: Meta, *other: Any) -> tuple:
        _, _, compute = plain(x, *other)
        return x, {}, compute

    def impl(xp: Any, x: Any, y: Any) -> Any:
        return getattr(xp, ufunc)(x, y).astype(x.dtype)

    zeros = (lambda g: zeros_for(g), lambda g: zeros_for(g))
    title = name.title()
    of_tensors = Op(
        f"{name}_", rule, impl, inputs=("self", "other"), vjp=zeros, grad_fn=f"{title}Backward1"
    )
    of_number = Op(
        f"{name}_scalar_", rule, impl, inputs=("self",), params=("other",), vjp=zeros[:1],
        grad_fn=f"{title}Backward0",
    )  # fmt: skip

    def compared(self: Tensor, other: Any) -> Tensor:
        if not local.trace.grad or edge_of(self) is None:
            return fn(self, other)
        if isinstance(other, Tensor):
            return apply(of_tensors, (self, other))
        other = number_of(other, name)
        return apply(of_number, (self,), (other.__class__,), (other,))

    for each in (name, *aliases):
        setattr(Tensor, f"{each}_", in_place_of(compared, each))


for _args in (
    ("eq", "equal", "==", (), None),
    ("ne", "not_equal", "!=", (), "not_equal"),
    ("lt", "less", "<", _ORDERED, "less"),
    ("le", "less_equal", "<=", _ORDERED, "less_equal"),
    ("gt", "greater", ">", _ORDERED, "greater"),
    ("ge", "greater_equal", ">=", _ORDERED, "greater_equal"),
):
    _comparison(*_args)


@public()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements: a Python bool (`torch.equal`)."""
    check_tensor(input, "equal")
    check_tensor(other, "equal", "other", 2)
    if input._meta.shape != other._meta.shape:
        return False
    return bool(np.equal(array_of(input), array_of(other)).all())


def _close(xp: Any, x: Any, y: Any, rtol: float, atol: float, *, equal_nan: bool, wide: Any) -> Any:
    """|x - y| <= atol + rtol |y|; equal infinities are close."""
    if x.dtype.kind == "b":
        x, y = x.astype(xp.int8), y.astype(xp.int8)
    same = xp.equal(x, y)
    if equal_nan:
        same = same | (xp.isnan(x) & xp.isnan(y))
    if xp is np and rtol == 0 and atol == 0:
        return same
    if wide is not None:
        x, y = x.astype(wide), y.astype(wide)
    allowed = atol + xp.abs(rtol * y)
    return same | (xp.isfinite(y) & (xp.abs(x - y) <= allowed))


def _close_rule(x: Meta, y: Meta, equal_nan: bool) -> tuple:
    if x.dtype is not y.dtype:
        raise RuntimeError(f"{x.dtype.legacy_name} did not match {y.dtype.legacy_name}")
    out = elementwise_rule("bool")(x, y)[0]
    wide: type | None = None if x.dtype.category >= FLOAT and x.dtype.itemsize > 2 else np.float32
    if x.dtype.category == INT:
        wide = np.float64
    return out, {"equal_nan": equal_nan, "wide": wide}


_CLOSE = Op(
    "isclose", _close_rule, _close, inputs=("self", "other"), params=("rtol", "atol"),
    elementwise=True,
)  # fmt: skip


@public()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether `|input - other| <= atol + rtol * |other|`, elementwise."""
    check_tensor(input, "isclose")
    check_tensor(other, "isclose", "other", 2)
    for word, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(
                f"{word} must be greater than or equal to zero, but got {tolerance:g}"
            )
    return apply(_CLOSE, (input, other), (equal_nan,), (rtol, atol))


@public()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close: a Python bool."""
    return bool(array_of(isclose(input, other, rtol, atol, equal_nan)).all())


#: so many numbers are compared with every element where code is compiled
_FEW_TESTS = 32


def _isin_impl(xp: Any, x: Any, tests: Any, *, invert: bool) -> Any:
    return xp.isin(x, tests, invert=invert)


def _isin_native(xp: Any, x: Any, tests: Any, *, invert: bool) -> Any:
    if tests.size > _FEW_TESTS:
        raise NotImplementedError("so many to look for")
    found = xp.any(xp.equal(x[..., None], tests.reshape(-1)), -1)
    return ~found if invert else found


_ISIN = Op(
    "isin",
    lambda x, tests, invert: (
        meta_of(x.shape, bool_, x.device),
        {"invert": invert},
    ),
    _isin_impl,
    native=_isin_native,
    inputs=("elements", "test_elements"),
)


@public(method=False, out=True)
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each of `elements` is one of `test_elements`; either may be a number."""
    if not isinstance(elements, Tensor):
        if not isinstance(test_elements, Tensor):
            check_tensor(elements, "isin", "elements", 1)
        elements = test_elements.new_tensor(number_of(elements, "isin", "elements", 1))
    elif not isinstance(test_elements, Tensor):
        test_elements = elements.new_tensor(number_of(test_elements, "isin", "test_elements"))
    return apply(_ISIN, (elements, test_elements), (invert,))


def _keeps_history(name: str, fn: Callable) -> None:
    """`name_` of a logical function: the result is written and the history left as it was."""

    def writing(self: Tensor, *other: Any) -> Tensor:
        trace = local.trace
        edge = edge_of(self)
        mode, trace.grad = trace.grad, False
        try:
            inplace(self, fn, *other)
        finally:
            trace.grad = mode
        self._edge = edge
        return self

    writing.__name__ = f"{name}_"
    setattr(Tensor, f"{name}_", writing)


def _logical(name: str) -> None:
    kernel = f"{name}_cpu"
    call = binary(binary_op(name, name, None, kind="bool", refuse=(UNSIGNED,), kernel=kernel))

    def fn(input: Tensor, other: Tensor) -> Tensor:
        check_tensor(input, name)
        return call(input, check_tensor(other, name, "other", 2))

    fn.__doc__ = f"`{name.removeprefix('logical_')}` of truth values; only 0 is false."
    _keeps_history(name, public(name=name, out=True)(fn))


for _name in ("logical_and", "logical_or", "logical_xor"):
    _logical(_name)
logical_not = unary_function(
    unary_op("logical_not", "logical_not", None, kind="bool", refuse=(UNSIGNED,)),
    "True where elements are 0.",
    inplace=False,
)
_keeps_history("logical_not", logical_not)

_BITS: Refusals = (FLOAT, COMPLEX)


def _bitwise(
    name: str,
    impl: str | Callable,
    kernel: str,
    refuse: Refusals,
    python: str,
    doc: str,
) -> None:
    """torch.name of tensors and numbers in either place, and Python's operator with its forms."""
    call = binary(binary_op(name, impl, None, refuse=refuse, kernel=kernel))
    of_number = with_scalar(scalar_op(f"{name}_scalar", impl, None, refuse=refuse, kernel=kernel))
    from_number = with_scalar(
        scalar_op(f"{name}_from_scalar", impl, None, refuse=refuse, kernel=kernel, reverse=True)
    )

    def fn(input: Any, other: Any) -> Tensor:
        if not isinstance(input, Tensor):
            number = number_of(input, name, "input", 1)
            return from_number(check_tensor(other, name, "other", 2), number)
        if isinstance(other, Tensor):
            return call(input, other)
        return of_number(input, number_of(other, name))

    fn.__doc__ = doc
    public(name=name, out=True, inplace=True)(fn)
    install(python, fn, call, of_number, commutes=not python.endswith("shift"))


def _shifted(left: bool) -> Callable:
    """Shifts that give what is left after all bits went: PyTorch's for counts out of range too."""

    def impl(xp: Any, x: Any, y: Any) -> Any:
        whole = x if getattr(x, "ndim", 0) or not hasattr(y, "dtype") else y
        bits = whole.dtype.itemsize * 8
        signed = whole.dtype.kind == "i"
        limit = bits if left or not signed else bits - 1
        outside = xp.greater_equal(y, limit) | (xp.less(y, 0) if signed else False)
        count = xp.where(outside, 0 if left else limit - (not signed), y).astype(whole.dtype)
        moved = (xp.left_shift if left else xp.right_shift)(x, count)
        if left or not signed:
            return xp.where(outside, whole.dtype.type(0), moved)
        return moved

    return impl


for _bits in (
    ("bitwise_and", "bitwise_and", "bitwise_and_cpu", _BITS, "and", "The bits set in both."),
    ("bitwise_or", "bitwise_or", "bitwise_or_cpu", _BITS, "or", "The bits set in either."),
    ("bitwise_xor", "bitwise_xor", "bitwise_xor_cpu", _BITS, "xor", "The bits set in one only."),
    (
        "bitwise_left_shift", _shifted(True), "lshift_cpu", (*ONLY_INTEGERS, UNSIGNED), "lshift",
        "The bits of `input` moved up by `other`.",
    ),
    (
        "bitwise_right_shift", _shifted(False), "rshift_cpu", (*ONLY_INTEGERS, UNSIGNED), "rshift",
        "The bits of `input` moved down by `other`; the sign stays.",
    ),
):  # fmt: skip
    _bitwise(*_bits)
bitwise_not = unary_function(
    unary_op("bitwise_not", "invert", None, kind="promote", refuse=(FLOAT, COMPLEX, UNSIGNED)),
    "Every bit turned over; `not` for bools.",
)


@method
def __invert__(self: Tensor) -> Tensor:
    if self._meta.dtype.category > INT:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return bitwise_not(self)
