"""The larger and the smaller: maximum, minimum, fmax, fmin of two tensors, and clamp.

Room: ops. Where two tensors are equal, maximum and minimum share the gradient between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, COMPLEX, FLOAT
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import (
    UNSIGNED,
    Refusals,
    binary_op,
    elementwise_rule,
    masked_op,
    number_maker,
    number_of,
)
from bital.tensor.dispatch import apply
from bital.tensor.recorders import binary
from bital.tensor.tensor import Tensor


def _shared(name: str, loses: str) -> Callable:
    """g where self does not lose against other, half of it where they are equal."""

    def impl(xp: Any, g: Any, self: Any, other: Any) -> Any:
        share = xp.where(xp.equal(self, other), g * g.dtype.type(0.5), g)
        return xp.where(getattr(xp, loses)(self, other), g.dtype.type(0), share)

    op = Op(
        name,
        lambda g, self, other: (g, {}),
        impl,
        inputs=("g", "self", "other"),
        vjp=(lambda g, self, other: apply(op, (g, self, other)), None, None),
        elementwise=True,
    )
    return lambda g, self, other: apply(op, (g, self, other))


_where_not_less = _shared("maximum_backward", "less")
_where_not_greater = _shared("minimum_backward", "greater")


def _takes_nan_of_first(xp: Any, self: Any, other: Any, wins: str) -> Any:
    return getattr(xp, wins)(self, other) | xp.isnan(other)


_KEEPS = {
    (fn, side): masked_op(
        f"{fn}_backward_{side}",
        (lambda xp, a, b, w=wins: _takes_nan_of_first(xp, a, b, w))
        if side == "self"
        else (lambda xp, a, b, w=wins: ~_takes_nan_of_first(xp, a, b, w)),
        ("self", "other"),
    )
    for fn, wins in (("fmax", "greater_equal"), ("fmin", "less_equal"))
    for side in ("self", "other")
}


def _extreme(name: str, vjp: tuple[Callable, Callable], kernel: str) -> Callable:
    """The public function of one of the four."""
    complexes = (COMPLEX, RuntimeError, f"{name} not implemented for complex tensors.")
    call = binary(binary_op(name, name, vjp, refuse=(complexes, UNSIGNED), kernel=f"{kernel}_cpu"))

    def fn(input: Tensor, other: Tensor) -> Tensor:
        if not isinstance(input, Tensor) or not isinstance(other, Tensor):
            check_tensor(input, name)
            check_tensor(other, name, "other", 2)
        return call(input, other)

    return fn


def _kept(fn: str) -> tuple[Callable, Callable]:
    return (
        lambda g, self, other: apply(_KEEPS[fn, "self"], (g, self, other)),
        lambda g, self, other: apply(_KEEPS[fn, "other"], (g, self, other)),
    )


maximum = _extreme(
    "maximum",
    (
        lambda g, self, other: _where_not_less(g, self, other),
        lambda g, self, other: _where_not_less(g, other, self),
    ),
    "maximum",
)
maximum.__doc__ = "The larger of two elements; NaN where one of them is NaN."
minimum = _extreme(
    "minimum",
    (
        lambda g, self, other: _where_not_greater(g, self, other),
        lambda g, self, other: _where_not_greater(g, other, self),
    ),
    "minimum",
)
minimum.__doc__ = "The smaller of two elements; NaN where one of them is NaN."
fmax = _extreme("fmax", _kept("fmax"), "maximum")
fmax.__doc__ = "The larger of two elements; a number where only one of them is NaN."
fmin = _extreme("fmin", _kept("fmin"), "minimum")
fmin.__doc__ = "The smaller of two elements; a number where only one of them is NaN."
for _name, _fn in (("maximum", maximum), ("minimum", minimum), ("fmax", fmax), ("fmin", fmin)):
    public(name=_name, out=True)(_fn)


_CLAMPED_COMPLEX = (COMPLEX, NotImplementedError, "clamp is not supported for complex types")


def _clamp_rule(x: Meta, low: type | None, high: type | None) -> tuple:
    kernel = "clamp_scalar_cpu" if low and high else f"clamp_{'min' if low else 'max'}_scalar_cpu"
    rule = elementwise_rule("promote", (_CLAMPED_COMPLEX, BOOL, UNSIGNED), kernel)
    out, _, compute = rule(x, *[t for t in (low, high) if t is not None])
    attrs = {"number": number_maker(compute), "low": low is not None, "high": high is not None}
    return out, attrs, compute


def _clamp_impl(
    xp: Any, x: Any, min: Any, max: Any, *, number: Callable | None, low: bool, high: bool,
    out: Any = None,
) -> Any:  # fmt: skip
    if low:  # of two zeros the second is taken, as in PyTorch: -0 stays
        x = xp.maximum(min if number is None else number(min), x, out=out)
    return xp.minimum(max if number is None else number(max), x, out=out) if high else x


def _clamp_native(
    xp: Any, x: Any, min: Any, max: Any, *, number: Any, low: bool, high: bool
) -> Any:
    if low:
        x = xp.maximum(x.dtype.type(min), x)
    return xp.minimum(x.dtype.type(max), x) if high else x


_WITHIN = masked_op(
    "clamp_backward", lambda xp, x, min, max: (x >= min) & (x <= max), ("x",), ("min", "max")
)


def _clamp_op(name: str, grad_fn: str) -> Op:
    return Op(
        name,
        _clamp_rule,
        _clamp_impl,
        params=("min", "max"),
        vjp=(lambda g, x, min, max: apply(_WITHIN, (g, x), (), (min, max)),),
        grad_fn=grad_fn,
        elementwise=True,
        out="any",
        native=_clamp_native,
    )


_CLAMP = _clamp_op("clamp", "ClampBackward1")
_CLAMP_MIN = _clamp_op("clamp_min", "ClampMinBackward0")
_CLAMP_MAX = _clamp_op("clamp_max", "ClampMaxBackward0")


def _by_numbers(op: Op, input: Tensor, low: Any, high: Any) -> Tensor:
    kinds = (None if low is None else low.__class__, None if high is None else high.__class__)
    # a bound that is absent is none of x's gradient either
    none = math.inf if input._meta.dtype.category == FLOAT else 0
    low = -none if low is None else low
    return apply(op, (input,), kinds, (low, none if high is None else high))


def _clamp_op_of_tensors(
    name: str, grad_fn: str, inputs: tuple[str, ...], impl: Callable, passes: tuple[Callable, ...]
) -> Op:
    """A clamp whose bounds are tensors; `passes` say where each operand's gradient flows."""
    gates = [masked_op(f"{name}_backward_{i}", c, inputs) for i, c in zip(inputs, passes)]
    if len(inputs) == 3:
        vjp: tuple = (
            lambda g, x, min, max: apply(gates[0], (g, x, min, max)),
            lambda g, x, min, max: apply(gates[1], (g, x, min, max)),
            lambda g, x, min, max: apply(gates[2], (g, x, min, max)),
        )
    elif inputs[1] == "min":
        vjp = (
            lambda g, x, min: apply(gates[0], (g, x, min)),
            lambda g, x, min: apply(gates[1], (g, x, min)),
        )
    else:
        vjp = (
            lambda g, x, max: apply(gates[0], (g, x, max)),
            lambda g, x, max: apply(gates[1], (g, x, max)),
        )
    kernel = "minimum_cpu" if inputs[1] == "max" else "maximum_cpu"
    refuse: Refusals = (UNSIGNED, _CLAMPED_COMPLEX)
    if name.startswith("clamp_m"):
        refuse = (UNSIGNED, COMPLEX)
    elif len(inputs) == 3:
        kernel, refuse = "clamp_cpu", (BOOL, UNSIGNED, _CLAMPED_COMPLEX)
    return Op(
        name, elementwise_rule("promote", refuse, kernel), impl, inputs=inputs, vjp=vjp,
        grad_fn=grad_fn, elementwise=True,
    )  # fmt: skip


_FROM_BELOW = (lambda xp, x, lo: xp.greater_equal(x, lo), lambda xp, x, lo: xp.less(x, lo))
_FROM_ABOVE = (lambda xp, x, hi: xp.less_equal(x, hi), lambda xp, x, hi: xp.greater(x, hi))
_CLAMP_BETWEEN = _clamp_op_of_tensors(
    "clamp_tensors", "ClampBackward0", ("x", "min", "max"),
    lambda xp, x, lo, hi: xp.minimum(xp.maximum(x, lo), hi),
    (
        lambda xp, x, lo, hi: (x >= lo) & (x <= hi),
        lambda xp, x, lo, hi: (lo < hi) & (x < lo),
        lambda xp, x, lo, hi: (x > hi) | (hi < lo),
    ),
)  # fmt: skip


def _at_least(xp: Any, x: Any, low: Any) -> Any:
    return xp.maximum(x, low)


def _at_most(xp: Any, x: Any, high: Any) -> Any:
    return xp.minimum(x, high)


_ONE_SIDED = {
    (fn, bound): _clamp_op_of_tensors(
        f"{fn}_tensor_{bound}",
        grad_fn,
        ("x", bound),
        _at_least if bound == "min" else _at_most,
        _FROM_BELOW if bound == "min" else _FROM_ABOVE,
    )
    for fn, bound, grad_fn in (
        ("clamp", "min", "ClampBackward0"),
        ("clamp", "max", "ClampBackward0"),
        ("clamp_min", "min", "ClampMinBackward1"),
        ("clamp_max", "max", "ClampMaxBackward1"),
    )
}


@public(inplace=True, out=True, aliases=("clip",))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Each element, but not less than `min` nor more than `max`: two numbers or two tensors."""
    check_tensor(input, "clamp")
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    given = [b for b in (min, max) if b is not None]
    if not any(isinstance(b, Tensor) for b in given):
        low = None if min is None else number_of(min, "clamp", "min", 2)
        high = None if max is None else number_of(max, "clamp", "max", 3)
        return _by_numbers(_CLAMP, input, low, high)
    if not all(isinstance(b, Tensor) for b in given):
        raise TypeError(
            "clamp() received an invalid combination of arguments - got (Tensor, "
            f"{type(min).__name__}, {type(max).__name__}), but expected min and max to be both "
            "Tensors or both Numbers"
        )
    if len(given) == 2:
        return apply(_CLAMP_BETWEEN, (input, min, max))
    return apply(_ONE_SIDED["clamp", "min" if max is None else "max"], (input, given[0]))


@public(inplace=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Each element, but not less than `min`, as `torch.clamp_min`."""
    if isinstance(min, Tensor):
        return apply(_ONE_SIDED["clamp_min", "min"], (check_tensor(input, "clamp_min"), min))
    return _by_numbers(
        _CLAMP_MIN, check_tensor(input, "clamp_min"), number_of(min, "clamp_min", "min"), None
    )


@public(inplace=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Each element, but not more than `max`, as `torch.clamp_max`."""
    if isinstance(max, Tensor):
        return apply(_ONE_SIDED["clamp_max", "max"], (check_tensor(input, "clamp_max"), max))
    return _by_numbers(
        _CLAMP_MAX, check_tensor(input, "clamp_max"), None, number_of(max, "clamp_max", "max")
    )
