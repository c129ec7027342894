"""Draws whose parameters are tensors: binomial, gamma and Dirichlet numbers.

Room: ops. Counts have gradients of zero; gamma and Dirichlet numbers move with their parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import FLOAT
from bital.ir.meta import Meta
from bital.ir.op import Op, same_as
from bital.ops.api import check_tensor, public
from bital.ops.family import raise_not_implemented, zeros_for
from bital.ops.implicit import dirichlet_grad, standard_gamma_grad
from bital.ops.lanes import drawn_with, per_example
from bital.ops.random import Generator, stream_of
from bital.tensor.dispatch import composite
from bital.tensor.tensor import Tensor, array_of, from_array


def _drawn(op: Op, draw: Callable[..., np.ndarray], *tensors: Tensor) -> Any:
    """What the stream gives for the tensors' numbers, with the operator's gradient."""
    made = draw(*[array_of(drawn_with(t)) for t in tensors])
    drawn = per_example(from_array(np.array(made, order="C")))
    return composite(op, lambda *_: drawn, tensors)


def _floats(kernel: str) -> Callable:
    def rule(x: Meta) -> tuple[Meta, dict]:
        if x.dtype.category != FLOAT:
            raise_not_implemented(kernel, x.dtype)
        return x, {}

    return rule


def _binomial_rule(count: Meta, prob: Meta) -> tuple[Meta, dict]:
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"Found dtype {prob.dtype.legacy_name} but expected {count.dtype.legacy_name}"
        )
    return _floats("binomial_cpu")(count)


_BINOMIAL = Op(
    "binomial", _binomial_rule, None, inputs=("count", "prob"), vjp=(zeros_for, zeros_for)
)


@public(method=False)
def binomial(count: Any, prob: Any, generator: Generator | None = None) -> Tensor:
    """How many of `count` trials of probability `prob` succeed; the two are broadcast."""
    check_tensor(count, "binomial", "count")
    check_tensor(prob, "binomial", "prob", 2)
    size = np.broadcast_shapes(count._meta.shape, prob._meta.shape)
    draw = stream_of(generator).binomial
    return _drawn(_BINOMIAL, draw, count.expand(size), prob.expand(size))


_GAMMA = Op(
    "_standard_gamma",
    same_as,
    None,
    vjp=(lambda g, x, out: g * standard_gamma_grad(x, out),),
    grad_fn="StandardGammaBackward0",
)


@public(method=False)
def _standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Gamma numbers of scale 1 with the shape parameters in `input`, which they move with."""
    return _drawn(_GAMMA, stream_of(generator).gamma, check_tensor(input, "_standard_gamma"))


def _dirichlet_vjp(g: Tensor, x: Any, out: Tensor) -> Tensor:
    total = x.sum(-1, True).expand(x._meta.shape)
    parts: Any = out * g
    return dirichlet_grad(out, x, total) * (g - parts.sum(-1, True))


_DIRICHLET = Op(
    "_sample_dirichlet", same_as, None, vjp=(_dirichlet_vjp,), grad_fn="_DirichletBackward"
)


@public(method=False)
def _sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Positive numbers that add up to 1 over the last axis, with concentrations `input`."""
    draw = stream_of(generator).dirichlet
    return _drawn(_DIRICHLET, draw, check_tensor(input, "_sample_dirichlet"))


@public(method=False)
def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """The derivative of gamma numbers `output` by their shape parameters `input`."""
    return standard_gamma_grad(input, output)


@public(method=False)
def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """The derivative of Dirichlet numbers `x` by their own parameters."""
    return dirichlet_grad(x, alpha, total)
