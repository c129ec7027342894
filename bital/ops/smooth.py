"""Smooth activations: elu and its kin, silu, mish, softplus, logsigmoid.

Room: ops. Sources of formulas: PyTorch's documentation of each function of torch.nn.functional.
First derivatives are single instructions; second ones are made of recorded operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.ir.meta import Meta
from bital.ir.op import Op, asking
from bital.ops.activation import functional
from bital.ops.api import check_tensor, public
from bital.ops.family import (
    ONLY_FLOATS,
    again,
    conj,
    masked_op,
    number_of,
    select,
    times,
    unary_op,
)
from bital.ops.unary import sigmoid, sigmoid_impl, tanh
from bital.tensor.dispatch import apply
from bital.tensor.recorders import unary
from bital.tensor.tensor import Tensor


def _like_g(g: Meta, *_: Any) -> tuple[Meta, dict]:
    return g, {}


def backward_op(name: str, impl: Callable, second: Callable, params: tuple[str, ...] = ()) -> Op:
    """g times a slope at x, as one instruction.

    `second(gg, g, x, *params)` is the gradient by x of a product with gg; that by g is the
    operator itself.
    """

    def again_by_g(gg: Tensor, x: Tensor, *values: Any) -> Tensor:
        return apply(op, (gg, x), (), values)

    op = Op(
        name,
        _like_g,
        impl,
        inputs=("g", "x"),
        params=params,
        vjp=(asking(again_by_g, "x", *params), second),
        elementwise=True,
    )
    return op


_ELU_PARAMS = ("alpha", "scale", "input_scale")


def _elu_impl(xp: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    below = xp.expm1(xp.minimum(x, 0) * input_scale)
    below *= alpha * scale
    return select(xp, xp.less(x, 0), below, times(xp, x, scale))


def _elu_backward(xp: Any, g: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    below = xp.exp(x * input_scale)
    below *= input_scale * alpha * scale
    below *= g
    return select(xp, xp.greater(x, 0), times(xp, g, scale), below)


def _elu_of_result(xp: Any, g: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    below = x + alpha * scale
    below *= input_scale
    below *= g
    return select(xp, xp.greater(x, 0), times(xp, g, scale), below)


_WHERE_NOT_POSITIVE = masked_op("elu_double_backward", lambda xp, x: xp.less_equal(x, 0))
_ELU_BACKWARD = backward_op(
    "elu_backward",
    _elu_backward,
    lambda gg, g, x, alpha, scale, input_scale: apply(
        _WHERE_NOT_POSITIVE,
        (gg * g * (x * input_scale).exp() * (alpha * scale * input_scale * input_scale), x),
    ),
    _ELU_PARAMS,
)
_ELU_OF_RESULT = backward_op(
    "elu_backward_of_result",
    _elu_of_result,
    lambda gg, g, x, input_scale: apply(_WHERE_NOT_POSITIVE, (gg * g * input_scale, x)),
    _ELU_PARAMS,
)


def _elu_ops(name: str, title: str) -> tuple[Op, Op]:
    """The operator, and the one that works in place, whose node keeps the result instead."""

    def of_input(g: Tensor, x: Tensor, alpha: Any, scale: Any, input_scale: Any) -> Tensor:
        return apply(_ELU_BACKWARD, (g, x), (), (alpha, scale, input_scale))

    def of_result(g: Tensor, out: Tensor, alpha: Any, scale: Any, input_scale: Any) -> Tensor:
        return apply(_ELU_OF_RESULT, (g, out), (), (alpha, scale, input_scale))

    common: dict = {"kind": "promote", "refuse": ONLY_FLOATS, "kernel": "elu_cpu"}
    common["params"] = _ELU_PARAMS
    return (
        unary_op(name, _elu_impl, of_input, grad_fn=f"{title}Backward0", **common),
        unary_op(f"{name}_", _elu_impl, of_result, grad_fn=f"{title}Backward1", **common),
    )


_ELU, _CELU = _elu_ops("elu", "Elu"), _elu_ops("celu", "Celu")


def _elu(ops: tuple[Op, Op], input: Tensor, params: tuple, inplace: bool) -> Tensor:
    check_tensor(input, ops[0].name)
    plain, writing = (lambda t, op=op: apply(op, (t,), (), params) for op in ops)
    return functional(writing, plain, input, inplace_=inplace)


@public("nn.functional", method=False)
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else `alpha * (exp(input) - 1)`."""
    return _elu(_ELU, input, (number_of(alpha, "elu", "alpha"), 1.0, 1.0), inplace)


@public("nn.functional", method=False)
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else `alpha * (exp(input / alpha) - 1)`."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(_CELU, input, (alpha, 1.0, 1.0 / alpha), inplace)


#: from "Self-Normalizing Neural Networks" (Klambauer et al., 2017)
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@public("nn.functional", method=False)
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The activation that keeps mean and variance: a scaled elu of fixed constants."""
    return _elu(_ELU, input, (_SELU_ALPHA, _SELU_SCALE, 1.0), inplace)


def _silu_impl(xp: Any, x: Any) -> Any:
    t = sigmoid_impl(xp, x)
    t *= x
    return t


def _silu_backward(xp: Any, g: Any, x: Any) -> Any:
    s = sigmoid_impl(xp, x)
    t = 1 - s
    t *= x
    t += 1
    t *= s
    t = xp.conjugate(t) if t.dtype.kind == "c" else t
    t *= g
    return t


def _silu_second(gg: Tensor, g: Tensor, x: Tensor) -> Tensor:
    s = sigmoid(x)
    return conj(gg) * g * conj(s * (1 - s) * (x * (1 - s * 2) + 2))


_SILU_BACKWARD = backward_op("silu_backward", _silu_backward, _silu_second)
_silu = unary(
    unary_op(
        "silu", _silu_impl, lambda g, x: apply(_SILU_BACKWARD, (g, x)), kind="promote",
        refuse=ONLY_FLOATS[:2],
    )
)  # fmt: skip


@public("nn.functional", method=False)
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * sigmoid(input)`."""
    check_tensor(input, "silu")
    return functional(_silu, _silu, input, inplace_=inplace)


def _softplus_tanh(xp: Any, x: Any) -> Any:
    """tanh(log(1 + exp(x)))"""
    t = xp.log1p(xp.exp(-xp.absolute(x)))
    t += xp.maximum(x, 0)
    return xp.tanh(t)


def _mish_impl(xp: Any, x: Any) -> Any:
    return x * _softplus_tanh(xp, x)


def _mish_backward(xp: Any, g: Any, x: Any) -> Any:
    t = _softplus_tanh(xp, x)
    return g * (t + x * sigmoid_impl(xp, x) * (1 - t * t))


def _mish_second(gg: Tensor, g: Tensor, x: Tensor) -> Tensor:
    t, s = tanh(softplus(x)), sigmoid(x)
    return gg * g * (s * (1 - t * t) * (x * (1 - s - t * s * 2) + 2))


_MISH_BACKWARD = backward_op("mish_backward", _mish_backward, _mish_second)
_mish = unary(
    unary_op(
        "mish", _mish_impl, lambda g, x: apply(_MISH_BACKWARD, (g, x)), kind="promote",
        refuse=ONLY_FLOATS,
    )
)  # fmt: skip


@public("nn.functional", method=False)
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * tanh(softplus(input))`."""
    check_tensor(input, "mish")
    return functional(_mish, _mish, input, inplace_=inplace)


def _softplus_impl(xp: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = times(xp, x, beta)
    soft = xp.log1p(xp.exp(scaled))
    if xp is not np or beta != 1:
        soft /= beta
    return select(xp, xp.greater(scaled, threshold), x, soft)


def _softplus_backward(xp: Any, g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = times(xp, x, beta)
    z = xp.exp(scaled)
    return select(xp, xp.greater(scaled, threshold), g, g * z / (z + 1))


_BELOW_THRESHOLD = masked_op(
    "softplus_double_backward",
    lambda xp, x, beta, threshold: xp.greater(x * beta, threshold),
    ("x",),
    ("beta", "threshold"),
    blocks=True,
)


def _softplus_second(gg: Tensor, g: Tensor, x: Tensor, beta: float, threshold: float) -> Tensor:
    s = sigmoid(x * beta)
    return apply(_BELOW_THRESHOLD, (gg * g * (s * (1 - s) * beta), x), (), (beta, threshold))


_SOFTPLUS_BACKWARD = backward_op(
    "softplus_backward", _softplus_backward, _softplus_second, ("beta", "threshold")
)
_SOFTPLUS = unary_op(
    "softplus",
    _softplus_impl,
    lambda g, x, beta, threshold: apply(_SOFTPLUS_BACKWARD, (g, x), (), (beta, threshold)),
    kind="promote",
    refuse=ONLY_FLOATS,
    params=("beta", "threshold"),
)


@public("nn.functional", method=False, out=True)
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`; `input` where `beta * input` is above `threshold`."""
    return apply(_SOFTPLUS, (check_tensor(input, "softplus"),), (), (beta, threshold))


def _logsigmoid_impl(xp: Any, x: Any) -> Any:
    t = xp.absolute(x)
    t = again(xp.negative, t)
    t = again(xp.exp, t)
    t = again(xp.log1p, t)
    return xp.subtract(xp.minimum(x, 0), t)


def _logsigmoid_backward(xp: Any, g: Any, x: Any) -> Any:
    t = xp.exp(-xp.absolute(x))
    share = t / (t + 1)
    return g * select(xp, xp.less(x, 0), 1 - share, share)


def _logsigmoid_second(gg: Tensor, g: Tensor, x: Tensor) -> Tensor:
    s = sigmoid(x)
    return gg * g * (s * (s - 1))


_LOGSIGMOID_BACKWARD = backward_op("log_sigmoid_backward", _logsigmoid_backward, _logsigmoid_second)
_logsigmoid = unary(
    unary_op(
        "log_sigmoid", _logsigmoid_impl, lambda g, x: apply(_LOGSIGMOID_BACKWARD, (g, x)),
        kind="promote", refuse=ONLY_FLOATS,
    )
)  # fmt: skip


@public("nn.functional", method=False, out=True)
def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(input))`, without overflow."""
    return _logsigmoid(check_tensor(input, "logsigmoid"))
