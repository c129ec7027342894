"""gelu, glu, and rrelu, which is random.

Room: ops. Sources of formulas: PyTorch's documentation of each function of torch.nn.functional.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.size import normalize_dim
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.activation import (
    functional,
    functional_relu,
    hardtanh,
    leaky_relu,
    threshold,
)
from bital.ops.api import NAMESPACES, check_tensor, public
from bital.ops.family import ONLY_FLOATS, check_dtype, elementwise_rule
from bital.ops.random import stream_of
from bital.ops.smooth import celu, elu, selu
from bital.ops.unary import exp, sigmoid, sigmoid_impl, tanh
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, array_of, from_array

_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
#: of the approximation by tanh
_INNER, _CUBIC = math.sqrt(2 / math.pi), 0.044715


def _gelu_rule(x: Meta, approximate: str) -> tuple:
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    out, _, compute = elementwise_rule("promote", ONLY_FLOATS, "GeluKernelImpl")(x)
    return out, {"approximate": approximate}, compute


#: q with share(x) = (1 + tanh(x q(x^2))) / 2 of the normal distribution below x; least largest
#: error of x share(x) for |x| < 5, 6.5e-8, found by weighted least squares (Lawson's iteration);
#: beyond, q grows, and the share is 0 or 1 in float32
_SHARE = [
    np.float32(c) for c in (
        1.8266538642758169e-09, -1.3434170793402992e-07, 3.983224581153135e-06,
        -5.53444018742866e-05, -3.275454635612963e-05, 0.03633366597152605, 0.7978845752189669,
    )
]  # fmt: skip
#: numbers that are worked on at a time, so that they stay in the cache
_BLOCK = 32768


def _share32(x: Any, out: Any, square: Any) -> None:
    """The normal distribution's share below x, in float32, into out, and x * x into square."""
    np.multiply(x, x, out=square)
    np.multiply(square, _SHARE[0], out=out)
    out += _SHARE[1]
    for c in _SHARE[2:]:
        out *= square
        out += c
    out *= x
    np.tanh(out, out=out)
    out += np.float32(1)
    out *= np.float32(0.5)


def _in_blocks(fn: Callable, like: Any, *arrays: Any) -> Any:
    """fn(*arrays, out, work) for pieces of contiguous arrays, which `out` and `work` are like."""
    flat = [a.reshape(-1) for a in arrays]
    out = np.empty(like.size, like.dtype)
    work = np.empty(min(like.size, _BLOCK), like.dtype)
    for start in range(0, like.size, _BLOCK):
        piece = slice(start, start + _BLOCK)
        part = out[piece]
        fn(*[a[piece] for a in flat], part, work[: len(part)])
    return out.reshape(like.shape)


def _gelu32(x: Any, out: Any, work: Any) -> None:
    _share32(x, out, work)
    out *= x


def _gelu32_backward(g: Any, x: Any, out: Any, work: Any) -> None:
    _share32(x, out, work)
    work *= np.float32(-0.5)
    np.exp(work, out=work)
    work *= x
    work *= np.float32(_DENSITY)
    out += work
    out *= g


def _cdf(xp: Any, x: Any) -> Any:
    """The normal distribution's share below x."""
    if xp is np:
        from scipy import special

        t = special.erf(x * _SQRT_HALF)
    else:
        t = xp.erf(x * _SQRT_HALF)
    t += 1
    t *= 0.5
    return t


def _inner_tanh(xp: Any, x: Any) -> Any:
    t = x * x
    t *= _INNER * _CUBIC
    t += _INNER
    t *= x
    return xp.tanh(t)


def _gelu_impl(xp: Any, x: Any, *, approximate: str) -> Any:
    if xp is np and approximate == "none" and x.dtype == np.float32:
        return _in_blocks(_gelu32, x, x)
    if approximate == "none":
        t = _cdf(xp, x)
    else:
        t = _inner_tanh(xp, x)
        t += 1
        t *= 0.5
    t *= x
    return t


def _gelu_backward(xp: Any, g: Any, x: Any, *, approximate: str) -> Any:
    if xp is np and approximate == "none" and x.dtype == np.float32 == g.dtype:
        if x.shape == g.shape:
            return _in_blocks(_gelu32_backward, x, g, x)
    if approximate == "none":
        t = x * x
        t *= -0.5
        t = xp.exp(t) * x
        t *= _DENSITY
        t += _cdf(xp, x)
    else:
        inner = _inner_tanh(xp, x)
        t = x * x
        t *= 3 * _INNER * _CUBIC
        t += _INNER
        t *= x * (1 - inner * inner)
        t += inner
        t += 1
        t *= 0.5
    t *= g
    return t


def _gelu_second(gg: Tensor, g: Tensor, x: Tensor, approximate: str) -> Tensor:
    square = x * x
    if approximate == "none":
        return gg * g * ((2 - square) * exp(square * -0.5) * _DENSITY)
    t = tanh((square * _CUBIC + 1) * x * _INNER)
    first = (square * (3 * _CUBIC) + 1) * _INNER
    second = x * (6 * _CUBIC * _INNER)
    bend = first + x * (second * 0.5 - t * first * first)
    return gg * g * ((1 - t * t) * bend)


_GELU_BACKWARD = Op(
    "gelu_backward",
    lambda g, x, approximate: (g, {"approximate": approximate}),
    _gelu_backward,
    inputs=("g", "x"),
    vjp=(lambda g, x, approximate: apply(_GELU_BACKWARD, (g, x), (approximate,)), _gelu_second),
    elementwise=True,
)
_GELU = Op(
    "gelu",
    _gelu_rule,
    _gelu_impl,
    vjp=(lambda g, x, approximate: apply(_GELU_BACKWARD, (g, x), (approximate,)),),
    elementwise=True,
)


@public("nn.functional", method=False, out=True)
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input` times the normal distribution's share below it, exactly or by way of tanh."""
    return apply(_GELU, (check_tensor(input, "gelu"),), (approximate,))


def _glu_rule(x: Meta, dim: int) -> tuple:
    check_dtype(x.dtype, ONLY_FLOATS, "glu_cpu")
    if not x.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = normalize_dim(dim, x.ndim)
    size = x.shape[dim]
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    shape = (*x.shape[:dim], size // 2, *x.shape[dim + 1 :])
    return meta_of(shape, x.dtype, x.device), {"dim": dim}


def _glu_impl(xp: Any, x: Any, *, dim: int) -> Any:
    half, ahead = x.shape[dim] // 2, (slice(None),) * dim
    a, b = x[(*ahead, slice(half))], x[(*ahead, slice(half, None))]
    if x.dtype.itemsize == 2:
        return (a.astype(xp.float32) * sigmoid_impl(xp, b.astype(xp.float32))).astype(x.dtype)
    return a * sigmoid_impl(xp, b)


def _glu_vjp(g: Tensor, x: Tensor, dim: int) -> Tensor:
    a, b = x.chunk(2, dim)
    gate = sigmoid(b)
    by_a = g * gate
    return NAMESPACES["torch"]["cat"]([by_a, by_a * a * (1 - gate)], dim)


_GLU = Op("glu", _glu_rule, _glu_impl, vjp=(_glu_vjp,))


@public("nn.functional", method=False)
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of `input` along `dim` times the sigmoid of the second."""
    return apply(_GLU, (check_tensor(input, "glu"),), (dim,))


def _rrelu_op(name: str, grad_fn: str, keeps: str) -> Op:
    """x times a slope where x is not positive; `slope` is 1 elsewhere."""
    rules: dict[str, Callable] = {
        "x": lambda g, slope: g * slope,
        "out": lambda g, out, slope: g * slope,
    }
    return Op(
        name,
        elementwise_rule("promote", ONLY_FLOATS, "leaky_relu_cpu"),
        lambda xp, x, slope: xp.multiply(x, slope),
        inputs=("x", "slope"),
        vjp=(rules[keeps], None),
        grad_fn=grad_fn,
        elementwise=True,
    )


_RRELU = _rrelu_op("rrelu_with_noise", "RreluWithNoiseBackward0", "x")
_RRELU_ = _rrelu_op("rrelu_with_noise_", "RreluWithNoiseBackward1", "out")


def _slopes(input: Tensor, lower: float, upper: float, training: bool, generator: Any) -> Tensor:
    """A slope per element: drawn for those that are not positive, in training, else the mean."""
    x = array_of(input)
    slope = np.ones(x.shape, x.dtype)
    below = x <= 0
    if training:
        count = int(np.count_nonzero(below))
        slope[below] = stream_of(generator).uniform(count, np.float64, lower, upper)
    else:
        slope[~(x > 0)] = (lower + upper) / 2
    return from_array(slope)


def _rrelu(op: Op, input: Tensor, lower: float, upper: float, training: bool, gen: Any) -> Tensor:
    check_dtype(input._meta.dtype, ONLY_FLOATS, "leaky_relu_cpu")
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    return apply(op, (input, _slopes(input, lower, upper, training, gen)))


@public("torch", method=False)
def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> Tensor:
    """`input` where positive, else times a slope drawn from [lower, upper) or, in use, its mean."""
    return _rrelu(_RRELU, check_tensor(input, "rrelu"), lower, upper, training, generator)


@public("nn.functional", name="rrelu", method=False)
def functional_rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """`torch.rrelu`, written into `input` if `inplace`."""
    return functional(
        lambda t: _rrelu(_RRELU_, t, lower, upper, training, None),
        lambda t: _rrelu(_RRELU, t, lower, upper, training, None),
        check_tensor(input, "rrelu"),
        inplace_=inplace,
    )


def _written(fn: Callable) -> None:
    """nn.functional.name_, the activation in place, also in torch where PyTorch has it there."""
    name = fn.__name__

    @functools.wraps(fn)
    def writing(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return fn(input, *args, **kwargs, inplace=True)

    writing.__name__ = writing.__qualname__ = f"{name}_"
    NAMESPACES["nn.functional"][f"{name}_"] = writing
    if name in ("celu", "selu", "rrelu", "threshold"):
        NAMESPACES["torch"].setdefault(name, fn)
        NAMESPACES["torch"][f"{name}_"] = writing


for _fn in (celu, elu, hardtanh, leaky_relu, functional_relu, functional_rrelu, selu, threshold):
    _written(_fn)
