"""Losses that are negative log likelihoods: Kullback-Leibler, Poisson, Gauss.

Room: ops. Sources of formulas: PyTorch's documentation of torch.nn.functional.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from bital.base.dtype import INT
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import public
from bital.ops.binary import xlogy
from bital.ops.create import constant
from bital.ops.loss import reduced, reduction_of, times
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

_MEAN_OF_KL = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size."
    "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
    "'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


@public("nn.functional", method=False)
def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """`target (log target - input)` for log-probabilities `input`; "batchmean" divides by N.

    Where `log_target`, target holds logarithms too.
    """
    batch = reduction == "batchmean"
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(_MEAN_OF_KL, UserWarning, stacklevel=2)
    how = reduction_of("sum" if batch else reduction, size_average, reduce)
    if min(input._meta.dtype.category, target._meta.dtype.category) <= INT:
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if log_target:
        losses = target.exp() * (target - input)
    else:
        losses = xlogy(target, target) - target * input
    out = reduced(losses, how)
    return out / input._meta.shape[0] if batch and input._meta.ndim else out


@public("nn.functional", method=False)
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`exp(input) - target input`, or `input - target log(input + eps)` for a rate `input`.

    `full` adds Stirling's approximation of log(target!) where target > 1.
    """
    how = reduction_of(reduction, size_average, reduce)
    if log_input:
        losses = input.exp() - target * input
    else:
        losses = input - target * (input + eps).log()
    if full:
        factorial = target * target.log() - target + (target * (2 * math.pi)).log() * 0.5
        losses = losses + factorial.masked_fill(target <= 1, 0)
    return reduced(losses, how)


def _variance_rule(var: Meta) -> tuple[Meta, dict]:
    return var, {}


def _variance(xp: Any, var: Any, eps: float) -> Any:
    if xp is not np:
        xp.require(~(var < 0))
    elif (var < 0).any():
        raise ValueError("var has negative entry/entries")
    return xp.maximum(var, var.dtype.type(eps))


#: the variance, checked and at least eps; its gradient knows nothing of the bound
_VARIANCE = Op(
    "clone_positive", _variance_rule, _variance, inputs=("var",), params=("eps",),
    vjp=(lambda g: g,), grad_fn="CloneBackward0", fallible=True, native=_variance,
)  # fmt: skip


def _fits(var: tuple[int, ...], input: tuple[int, ...]) -> bool:
    """Whether there is a variance per element, or one for all along an axis of `input`."""
    if var == input:
        return True
    along_last = var == input[:-1] or (var[:-1] == input[:-1] and var[-1:] == (1,))
    others = len(var) == len(input) and all(a in (1, b) for a, b in zip(var, input))
    return along_last or others


@public("nn.functional", method=False)
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """`(log var + (input - target)^2 / var) / 2`, var at least `eps`; `full` adds log(2 pi) / 2.

    var: of input's shape, or without or with 1 for its last axis, or a number.
    """
    if isinstance(var, float):
        var = constant(input._meta, var)
    elif not _fits(tuple(var._meta.shape), tuple(input._meta.shape)):
        raise ValueError("var is of incorrect size")
    elif var._meta.ndim < input._meta.ndim:
        var = var.unsqueeze(-1)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    safe: Any = apply(_VARIANCE, (var,), (), (eps,))
    losses = times(safe.log() + (input - target).pow(2) / safe, 0.5)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction_of(reduction))
