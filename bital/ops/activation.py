"""Activations made of comparisons: relu and its kin, the shrinkages, the hard functions.

Room: ops. Sources of formulas: PyTorch's documentation of each function of torch.nn.functional.
The smooth ones are in `smooth`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import BOOL, COMPLEX, uint8
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import (
    ONLY_FLOATS,
    UNSIGNED,
    check_dtype,
    masked_op,
    number_of,
    select,
    unary_op,
    zeros_for,
)
from bital.ops.rounding import abs as abs_
from bital.ops.unary import sigmoid, tanh
from bital.tensor.dispatch import apply, inplace
from bital.tensor.recorders import binary, unary
from bital.tensor.tensor import Tensor

_NO_COMPLEX = (COMPLEX, NotImplementedError, "clamp is not supported for complex types")


def functional(fn: Callable, call: Callable, *arguments: Any, inplace_: bool = False) -> Tensor:
    """What an activation with `inplace=` returns."""
    return inplace(arguments[0], fn, *arguments[1:]) if inplace_ else call(*arguments)


def _relu_impl(xp: Any, x: Any, out: Any = None) -> Any:
    return xp.maximum(0, x, out=out)  # of two zeros the second: -0 stays


#: the gradient of relu: g but where the result is 0
_relu_backward = binary(
    masked_op(
        "relu_backward",
        lambda xp, result: xp.less_equal(result, 0),
        ("result",),
        blocks=True,
        second=True,
    )
)
_relu = unary(
    unary_op(
        "relu",
        _relu_impl,
        lambda g, out: _relu_backward(g, out),
        kind="promote",
        refuse=(
            (BOOL, RuntimeError, "Boolean inputs not supported for relu"), _NO_COMPLEX, UNSIGNED
        ),
        kernel="clamp_min_scalar_cpu",
    )
)  # fmt: skip


@public(inplace=True)
def relu(input: Tensor) -> Tensor:
    """`max(input, 0)` elementwise; NaN stays NaN."""
    return _relu(check_tensor(input, "relu"))


@public("nn.functional", method=False, name="relu")
def functional_relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(input, 0)` elementwise, written into `input` if `inplace`."""
    return input.relu_() if inplace else _relu(input)


_HARDTANH_BACKWARD = masked_op(
    "hardtanh_backward",
    lambda xp, x, min_val, max_val: (x > min_val) & (x < max_val),
    ("x",),
    ("min_val", "max_val"),
    second=True,
)
_HARDTANH = unary_op(
    "hardtanh",
    lambda xp, x, low, high: xp.minimum(x.dtype.type(high), xp.maximum(x.dtype.type(low), x)),
    lambda g, x, min_val, max_val: apply(_HARDTANH_BACKWARD, (g, x), (), (min_val, max_val)),
    kind="promote",
    refuse=(
        (BOOL, RuntimeError, "Bool inputs not supported for hardtanh"), _NO_COMPLEX, UNSIGNED
    ),
    kernel="clamp_scalar_cpu",
    params=("min_val", "max_val"),
)  # fmt: skip


def _hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if int(min_val) < 0 and input._meta.dtype is uint8:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return apply(_HARDTANH, (input,), (), (min_val, max_val))


@public("nn.functional", method=False)
def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """`input` kept within [min_val, max_val]."""
    check_tensor(input, "hardtanh")
    return functional(_hardtanh, _hardtanh, input, min_val, max_val, inplace_=inplace)


@public("nn.functional", method=False)
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` kept within [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


_THRESHOLD_BACKWARD = masked_op(
    "threshold_backward",
    lambda xp, x, threshold: xp.less_equal(x, threshold),
    ("x",),
    ("threshold",),
    blocks=True,
    second=True,
)


def _threshold_op(name: str, grad_fn: str) -> Op:
    return unary_op(
        name,
        lambda xp, x, threshold, value: xp.where(
            xp.less_equal(x, threshold), x.dtype.type(value), x
        ),
        lambda g, x, threshold: apply(_THRESHOLD_BACKWARD, (g, x), (), (threshold,)),
        kind="promote",
        refuse=(BOOL, COMPLEX, UNSIGNED),
        kernel="threshold_cpu",
        params=("threshold", "value"),
        grad_fn=grad_fn,
    )


_THRESHOLD = _threshold_op("threshold", "ThresholdBackward0")
_THRESHOLD_ = _threshold_op("threshold_", "ThresholdBackward1")


@public("nn.functional", method=False)
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where it is larger than `threshold`, else `value`."""
    check_tensor(input, "threshold")
    return functional(
        lambda t, *rest: apply(_THRESHOLD_, (t,), (), rest),
        lambda t, *rest: apply(_THRESHOLD, (t,), (), rest),
        input, number_of(threshold, "threshold", "threshold"),
        number_of(value, "threshold", "value", 3), inplace_=inplace,
    )  # fmt: skip


def _leaky_impl(xp: Any, x: Any, slope: float) -> Any:
    scaled = x * slope
    if 0 < slope <= 1:
        return xp.maximum(x, scaled)
    return select(xp, xp.greater(x, 0), x, scaled)


def _leaky_native(xp: Any, x: Any, slope: Any) -> Any:
    return xp.where(xp.greater(x, 0), x, x * slope)


def _leaky_backward(xp: Any, g: Any, x: Any, slope: float) -> Any:
    return select(xp, xp.greater(x, 0), g, g * slope)


_LEAKY_BACKWARD = Op(
    "leaky_relu_backward",
    lambda g, x: (g, {}),
    _leaky_backward,
    inputs=("g", "x"),
    params=("negative_slope",),
    vjp=(
        lambda g, x, negative_slope: apply(_LEAKY_BACKWARD, (g, x), (), (negative_slope,)),
        zeros_for,
    ),
    elementwise=True,
)


def _leaky_op(name: str, grad_fn: str, vjp: Callable) -> Op:
    return unary_op(
        name, _leaky_impl, vjp, kind="promote", refuse=ONLY_FLOATS, kernel="leaky_relu_cpu",
        params=("negative_slope",), grad_fn=grad_fn, native=_leaky_native,
    )  # fmt: skip


_LEAKY = _leaky_op(
    "leaky_relu",
    "LeakyReluBackward0",
    lambda g, x, negative_slope: apply(_LEAKY_BACKWARD, (g, x), (), (negative_slope,)),
)
#: in place, of which the result is kept: its sign is that of the input
_LEAKY_ = _leaky_op(
    "leaky_relu_",
    "LeakyReluBackward1",
    lambda g, out, negative_slope: apply(_LEAKY_BACKWARD, (g, out), (), (negative_slope,)),
)


@public("nn.functional", method=False)
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else `negative_slope * input`."""
    check_tensor(input, "leaky_relu")
    return functional(
        lambda t, slope: apply(_LEAKY_, (t,), (), (slope,)),
        lambda t, slope: apply(_LEAKY, (t,), (), (slope,)),
        input, number_of(negative_slope, "leaky_relu", "negative_slope"), inplace_=inplace,
    )  # fmt: skip


def _prelu_rule(x: Meta, weight: Meta) -> tuple[Meta, dict]:
    if x.dtype is not weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {x.dtype.legacy_name} and "
            f"{weight.dtype.legacy_name}"
        )
    check_dtype(x.dtype, ONLY_FLOATS, "prelu_cpu")
    return x, {}


_PRELU_WEIGHT = masked_op("prelu_backward", lambda xp, x: xp.greater(x, 0), blocks=True)
_PRELU_SLOPE = Op(
    "prelu_slope_backward",
    lambda g, x, weight: (g, {}),
    lambda xp, g, x, weight: xp.where(xp.greater(x, 0), g, g * weight),
    inputs=("g", "x", "weight"),
    vjp=(
        lambda g, x, weight: apply(_PRELU_SLOPE, (g, x, weight)),
        None,
        lambda gg, g, x: apply(_PRELU_WEIGHT, (gg * g, x)),
    ),
    elementwise=True,
)
_PRELU = Op(
    "prelu",
    _prelu_rule,
    lambda xp, x, weight: xp.where(xp.greater(x, 0), x, x * weight),
    inputs=("x", "weight"),
    vjp=(
        lambda g, x, weight: apply(_PRELU_SLOPE, (g, x, weight)),
        lambda g, x: apply(_PRELU_WEIGHT, (g * x, x)),
    ),
    grad_fn="PreluKernelBackward0",
    elementwise=True,
)


@public("torch")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where positive, else `weight * input`; one weight, or one per channel (axis 1)."""
    shape, given = check_tensor(input, "prelu")._meta.shape, check_tensor(weight, "prelu")._meta
    if given.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {given.ndim}"
        )
    if given.numel != 1:
        channels = shape[1] if len(shape) > 1 else 1
        if not shape:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != given.numel:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{given.numel} and channel size = {channels}."
            )
    aligned = [given.numel if k == 1 else 1 for k in range(len(shape))]
    if len(shape) != given.ndim:
        weight = weight.view(aligned) if len(shape) > 1 else weight.reshape((1,) * len(shape))
    return apply(_PRELU, (input, weight))


public("nn.functional", method=False)(prelu)
_OUTSIDE = masked_op(
    "hardshrink_backward", lambda xp, x, lambd: (x > lambd) | (x < -lambd), ("x",), ("lambd",),
    second=True,
)  # fmt: skip
_HARDSHRINK = unary_op(
    "hardshrink",
    lambda xp, x, lambd: xp.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x),
    lambda g, x, lambd: apply(_OUTSIDE, (g, x), (), (lambd,)),
    kind="promote",
    refuse=ONLY_FLOATS,
    params=("lambd",),
)
_SOFTSHRINK = unary_op(
    "softshrink",
    lambda xp, x, lambd: x - xp.minimum(xp.maximum(x, -lambd), lambd),
    lambda g, x, lambd: apply(_OUTSIDE, (g, x), (), (lambd,)),
    kind="promote",
    refuse=ONLY_FLOATS,
    kernel="softshrink_check",
    params=("lambd",),
)


@public("torch", "nn.functional", out=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` where its size is larger than `lambd`, else 0."""
    return apply(_HARDSHRINK, (check_tensor(input, "hardshrink"),), (), (lambd,))


@public("nn.functional", method=False, out=True)
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """`input` moved towards 0 by `lambd`, 0 where it would pass it."""
    out = apply(_SOFTSHRINK, (check_tensor(input, "softshrink"),), (), (lambd,))
    if lambd < 0:
        raise RuntimeError(
            "lambda must be in range [0, 3.40282e+38] for input dtype "
            f"{input._meta.dtype.legacy_name}, but found {lambd:g}"
        )
    return out


@public("nn.functional", method=False)
def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    return input - tanh(input)


@public("nn.functional", method=False)
def softsign(input: Tensor) -> Tensor:
    """`input / (1 + |input|)`."""
    return input / (abs_(input) + 1)


_HARDSIGMOID_BACKWARD = masked_op(
    "hardsigmoid_backward", lambda xp, x: (x > -3) & (x < 3), second=True
)
#: as PyTorch has it, in single precision also for doubles
_SIXTH = 0.1666666716337204
_HARDSIGMOID = unary_op(
    "hardsigmoid",
    lambda xp, x: xp.minimum(xp.maximum(x + 3, 0), 6) / 6,
    lambda g, x: apply(_HARDSIGMOID_BACKWARD, (g * _SIXTH, x)),
    kind="promote",
    refuse=ONLY_FLOATS,
)


def _hardswish_backward(xp: Any, g: Any, x: Any) -> Any:
    inside = g * (x / 3 + 0.5)
    return xp.where(x <= -3, g.dtype.type(0), xp.where(x >= 3, g, inside))


_HARDSWISH_BACKWARD = Op(
    "hardswish_backward",
    lambda g, x: (g, {}),
    _hardswish_backward,
    inputs=("g", "x"),
    vjp=(
        lambda g, x: apply(_HARDSWISH_BACKWARD, (g, x)),
        lambda gg, g, x: apply(_HARDSIGMOID_BACKWARD, (gg * g * (1 / 3), x)),
    ),
    elementwise=True,
)
_HARDSWISH = unary_op(
    "hardswish",
    lambda xp, x: x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6,
    lambda g, x: apply(_HARDSWISH_BACKWARD, (g, x)),
    kind="promote",
    refuse=ONLY_FLOATS,
)
_hardsigmoid, _hardswish = unary(_HARDSIGMOID), unary(_HARDSWISH)


@public("nn.functional", method=False)
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`input / 6 + 1 / 2` kept within [0, 1]."""
    return functional(_hardsigmoid, _hardsigmoid, input, inplace_=inplace)


@public("nn.functional", method=False)
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * hardsigmoid(input)`."""
    return functional(_hardswish, _hardswish, input, inplace_=inplace)


public("nn.functional", name="tanh", method=False)(lambda input: tanh(input))
public("nn.functional", name="sigmoid", method=False)(lambda input: sigmoid(input))
