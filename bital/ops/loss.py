"""Losses of a prediction and a target of the same shape: squares, absolute values, cross entropies.

Room: ops. A pointwise loss is declared once by its value, its slope and its curvature; from these
come the forward operator of each reduction, one backward operator, and second derivatives. Sources
of formulas: PyTorch's documentation of each function of torch.nn.functional.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.base.size import broadcast_shapes
from bital.ir.batch import Batch
from bital.ir.meta import Meta
from bital.ir.op import Op, asking, like
from bital.ir.trace import local
from bital.ops.api import public
from bital.ops.family import Refusals, again, check_dtype, elementwise_rule
from bital.ops.smooth import logsigmoid
from bital.tensor.dispatch import apply, cast
from bital.tensor.recorders import binary_with
from bital.tensor.tensor import Tensor, edge_of

#: what `reduction` says, as ATen numbers it
NONE, MEAN, SUM = 0, 1, 2
_REDUCTIONS = {"none": NONE, "mean": MEAN, "sum": SUM}


def reduction_of(reduction: Any, size_average: Any = None, reduce: Any = None) -> int:
    """The number of a reduction; `size_average` and `reduce` are its older form, which warns."""
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead.",
            UserWarning,
            stacklevel=3,
        )
    number = _REDUCTIONS.get(reduction)
    if number is None:
        if reduction in (NONE, MEAN, SUM):  # torch.kl_div and its like take the number
            return reduction
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return number


def reduced(losses: Any, reduction: int) -> Any:
    """All losses, their mean or their sum."""
    if reduction == MEAN:
        return losses.mean()
    return losses.sum() if reduction == SUM else losses


def refuse_gradient(t: Any, fn: str, argument: str) -> None:
    """PyTorch's error for an argument that must not require a gradient."""
    if t is not None and local.trace.grad and edge_of(t) is not None:
        raise RuntimeError(
            f"The function '{fn}' is not differentiable with respect to argument '{argument}'. "
            "This input cannot have requires_grad True."
        )


def times(t: Any, factor: float | None) -> Any:
    """t times a factor, None for 1."""
    return t if factor is None else t * factor


def widened(fn: Callable) -> Callable:
    """An implementation whose half-precision operands are computed on in float32, rounded once."""

    def impl(xp: Any, *args: Any, **attrs: Any) -> Any:
        kind = args[0].dtype
        if kind.itemsize > 2:
            return fn(xp, *args, **attrs)
        wide = [a.astype(xp.float32) if getattr(a, "dtype", None) == kind else a for a in args]
        out = fn(xp, *wide, **attrs)
        if isinstance(out, tuple):
            return tuple([o.astype(kind) for o in out])
        return out.astype(kind)

    return impl


class PointwiseLoss:
    """A loss of the elements of `self` and `target`, and perhaps of weights.

    value, slope   (xp, *inputs, *params) -> array: the loss, and its derivative along self, an
                   array of its own; `factor` times it is the derivative
    curves         per input, (*inputs, *params) -> tensor: the slope's derivative along it, None
                   for a constant 1; inputs beyond the tuple have none
    along_target   (*inputs, *params) -> tensor: the value's derivative along target; None where it
                   is the opposite of the slope
    key            tells declarations of one loss apart that have different inputs

    Called with tensors, reduction and params it records the loss.
    """

    def __init__(
        self,
        name: str,
        value: Callable,
        slope: Callable,
        curves: tuple[Callable | None, ...],
        *,
        along_target: Callable | None = None,
        inputs: tuple[str, ...] = ("self", "target"),
        params: tuple[str, ...] = (),
        factor: float | None = None,
        refuse: Refusals = (BOOL, INT, COMPLEX),
        kernel: str = "",
        fallible: bool = False,
        key: str = "",
    ) -> None:
        self.name, self.value, self.slope, self.curves = name, value, slope, curves
        self.along_target, self.inputs, self.params, self.factor = (
            along_target, inputs, params, factor,
        )  # fmt: skip
        self.title = "".join(part.title() for part in name.split("_"))
        self.plain = elementwise_rule("promote", refuse, kernel)
        self.each = self._forward(f"{name}{key}", True, fallible)
        self.total = self._forward(f"{name}{key}_reduced", False, fallible)
        usual = len(inputs) == 2 and not params and not fallible
        self.of_pair = binary_with(self.total) if usual else None
        self.back = self._backward(f"{name}{key}_backward")

    def __call__(self, tensors: tuple[Tensor, ...], reduction: int, values: tuple = ()) -> Tensor:
        if reduction and self.of_pair is not None:
            return self.of_pair(*tensors, (reduction,))
        return apply(self.total if reduction else self.each, tensors, (reduction,), values)

    def _forward(self, name: str, each: bool, fallible: bool) -> Op:
        def rule(*given: Any) -> tuple:
            *metas, reduction = given
            out, _, compute = self.plain(*metas)
            attrs = {"reduction": reduction, "n": out.numel if reduction == MEAN else 1}
            return out if each else like(out, ()), attrs, compute

        def values(xp: Any, *args: Any, reduction: int, n: int) -> Any:
            return self.value(xp, *args)

        @widened
        def total(xp: Any, *args: Any, reduction: int, n: int) -> Any:
            sum_of = xp.add.reduce(self.value(xp, *args), axis=None)
            return sum_of / n if reduction == MEAN else sum_of

        @widened
        def totals(xp: Any, *args: Any, reduction: int, n: int, lanes: int) -> Any:
            found = self.value(xp, *args)
            sums = xp.add.reduce(found, axis=tuple(range(lanes, found.ndim)))
            return sums / n if reduction == MEAN else sums

        def of_examples(batch: Batch) -> Callable:
            rank = max(m.ndim for m in batch.metas)
            full = [batch.full(k, rank) for k in range(len(batch.metas))]
            fn = functools.partial(totals, np, **batch.kwargs, lanes=len(batch.sizes))
            return lambda *args: fn(*[a(b) for a, b in zip(full, args)], *args[len(full) :])

        names = (*self.inputs, *self.params, "reduction")
        vjps = [asking(self._descend, *names)]
        if len(self.curves) > 1:
            vjps.append(asking(self._along_target, *names, "n"))
        return Op(
            name, rule, values if each else total, inputs=self.inputs, params=self.params,
            vjp=self._padded(vjps), grad_fn=f"{self.title}Backward0", elementwise=each,
            fallible=fallible, batch=None if each else of_examples,
            native=(values if each else total) if fallible else None,
        )  # fmt: skip

    def _backward(self, name: str) -> Op:
        def rule(*given: Any) -> tuple:
            *metas, reduction = given
            out, _, compute = self.plain(*metas)
            n = prod(broadcast_shapes(*[m.shape for m in metas[1:]]))
            return out, {"reduction": reduction, "n": n if reduction == MEAN else 1}, compute

        def impl(xp: Any, g: Any, *args: Any, reduction: int, n: int) -> Any:
            return again(xp.multiply, self.slope(xp, *args), times(g, self._scale(reduction, n)))

        names = (*self.inputs, *self.params)
        vjps = [asking(self._descend, *names, "reduction")]
        vjps += [asking(self._bend(c), "g", *names, "reduction", "n") for c in self.curves]
        return Op(
            name, rule, impl, inputs=("g", *self.inputs), params=self.params,
            vjp=self._padded(vjps, 1), grad_fn=f"{self.title}BackwardBackward0", elementwise=True,
        )  # fmt: skip

    def _padded(self, vjps: list, before: int = 0) -> tuple:
        return (*vjps, *[None] * (before + len(self.inputs) - len(vjps)))

    def _scale(self, reduction: int, n: int) -> float | None:
        if reduction != MEAN:
            return self.factor
        return (self.factor or 1.0) / n if n else math.nan

    def _descend(self, g: Any, *given: Any) -> Any:
        """The gradient of self: the backward operator on what the forward one was given."""
        *values, reduction = given
        k = len(self.inputs)
        return apply(self.back, (g, *values[:k]), (reduction,), tuple(values[k:]))

    def _along_target(self, g: Any, *given: Any) -> Any:
        *values, reduction, n = given
        if self.along_target is None:
            return -self._descend(g, *values, reduction)
        return g * times(self.along_target(*values), 1.0 / n if n > 1 else None)

    def _bend(self, curve: Callable | None) -> Callable:
        def rule(gg: Any, g: Any, *given: Any) -> Any:
            *values, reduction, n = given
            bent = times(gg * g, self._scale(reduction, n))
            return bent if curve is None else bent * curve(*values)

        return rule


def _difference(xp: Any, x: Any, y: Any, *_: Any) -> Any:
    return xp.subtract(x, y)


def _square(xp: Any, x: Any, y: Any) -> Any:
    d = xp.subtract(x, y)
    return again(xp.multiply, d, d)


def _same(*_: Any) -> int:
    return -1


_mse = PointwiseLoss("mse_loss", _square, _difference, (None, _same), factor=2.0, kernel="mse_cpu")


def _bounded_square(xp: Any, x: Any, y: Any, bound: float) -> Any:
    """m (d - m / 2) with d = |x - y| and m = min(d, bound): a square that goes on as a line."""
    d = xp.abs(xp.subtract(x, y))
    m = xp.minimum(d, bound)
    return m * (d - 0.5 * m)


def _bounded_difference(xp: Any, x: Any, y: Any, bound: float) -> Any:
    d = xp.subtract(x, y)
    return again(xp.maximum, again(xp.minimum, d, bound), -bound)


def _inside(x: Any, y: Any, bound: float) -> Any:
    return ((x - y).abs() < bound).to(x.dtype)


_huber = PointwiseLoss(
    "huber_loss", _bounded_square, _bounded_difference,
    (_inside, lambda x, y, delta: -_inside(x, y, delta)), params=("delta",), kernel="huber_cpu",
)  # fmt: skip
_smooth_l1 = PointwiseLoss(
    "smooth_l1_loss",
    lambda xp, x, y, beta: _bounded_square(xp, x, y, beta) / beta,
    lambda xp, x, y, beta: _bounded_difference(xp, x, y, beta) / beta,
    (
        lambda x, y, beta: _inside(x, y, beta) / beta,
        lambda x, y, beta: _inside(x, y, beta) / -beta,
    ),
    params=("beta",),
    kernel="smooth_l1_cpu",
)


def _sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def _soft_margin_curve(x: Any, y: Any) -> Any:
    s = (x * y).sigmoid()
    return y * y * s * (1 - s)


_soft_margin = PointwiseLoss(
    "soft_margin_loss",
    lambda xp, x, y: xp.logaddexp(-x * y, x.dtype.type(0)),
    lambda xp, x, y: -y * _sigmoid(xp, -x * y),
    (_soft_margin_curve,),
    kernel="soft_margin",
)


def _bce_dtypes(x: Meta, y: Meta, *_: Meta) -> None:
    if x.dtype is not y.dtype:
        raise RuntimeError(f"Found dtype {y.dtype.legacy_name} but expected {x.dtype.legacy_name}")


def _bce_value(xp: Any, x: Any, y: Any) -> Any:
    """(y - 1) max(log(1 - x), -100) - y max(log x, -100)."""
    for what, numbers in (("input", x), ("target", y)):
        inside = (numbers >= 0) & (numbers <= 1)
        if xp is not np:
            xp.require(inside)
        elif not inside.all():
            raise RuntimeError(f"all elements of {what} should be between 0 and 1")
    failure = xp.maximum(xp.log1p(-x), -100)
    return (y - 1) * failure - y * xp.maximum(xp.log(x), -100)


def _bce_slope(xp: Any, x: Any, y: Any) -> Any:
    return (x - y) / xp.maximum((1 - x) * x, 1e-12)


def _bce_along_target(x: Any, y: Any) -> Any:
    return (-x).log1p().clamp(min=-100) - x.log().clamp(min=-100)


def _bce_curve(x: Any, y: Any) -> Any:
    spread = ((1 - x) * x).clamp(min=1e-12)
    return (x * x + y - 2 * x * y) / (spread * spread)


def _logits_dtypes(x: Meta, y: Meta, *_: Meta) -> None:
    check_dtype(x.dtype, (BOOL, INT, COMPLEX), "log_sigmoid_cpu")
    if y.dtype.category <= INT:
        raise RuntimeError(
            f"result type {x.dtype.legacy_name} can't be cast to the desired output type "
            f"{y.dtype.legacy_name}"
        )


def _log_sigmoid(xp: Any, x: Any) -> Any:
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


def _logits_value(xp: Any, x: Any, y: Any, positive: Any = None) -> Any:
    certain = _log_sigmoid(xp, x)
    if positive is not None:
        certain = certain * ((positive - 1) * y + 1)
    return (1 - y) * x - certain


def _logits_slope(xp: Any, x: Any, y: Any, positive: Any = None) -> Any:
    if positive is None:
        return _sigmoid(xp, x) - y
    t = positive * y
    return (t + 1 - y) * _sigmoid(xp, x) - t


def _logits_along_target(x: Any, y: Any, positive: Any = None) -> Any:
    if positive is None:
        return -x
    return -x - (positive - 1) * logsigmoid(x)


def _logits_curve(x: Any, y: Any, positive: Any = None) -> Any:
    s = x.sigmoid()
    bent = s * (1 - s)
    return bent if positive is None else bent * ((positive - 1) * y + 1)


def _logits_cross_curve(x: Any, y: Any, positive: Any = None) -> Any:
    return -1 if positive is None else (positive - 1) * x.sigmoid() - positive


def _weighing(fn: Callable, place: int) -> Callable:
    """`fn` without the weight at `place` of its arguments, times it."""

    def weighed(*args: Any) -> Any:
        return fn(*args[:place], *args[place + 1 :]) * args[place]

    return weighed


def _weighted(name: str, key: str, fns: tuple[Callable, ...], weights: tuple[str, ...],
              **more: Any) -> PointwiseLoss:  # fmt: skip
    """A cross entropy with some of the inputs `weight` and `pos_weight`."""
    value, slope, along_target, curve, cross = fns
    if "weight" in weights:
        value, slope = _weighing(value, 3), _weighing(slope, 3)
        along_target, curve = _weighing(along_target, 2), _weighing(curve, 2)
        cross = _weighing(cross, 2)
    return PointwiseLoss(
        name, value, slope, (curve, cross), along_target=along_target,
        inputs=("self", "target", *weights), key=key, **more,
    )  # fmt: skip


_BCE = (
    _bce_value, _bce_slope, _bce_along_target, _bce_curve,
    lambda x, y: -1 / ((1 - x) * x).clamp(min=1e-12),
)  # fmt: skip
_LOGITS = (
    _logits_value, _logits_slope, _logits_along_target, _logits_curve, _logits_cross_curve
)  # fmt: skip

#: by whether there is a weight
_bce = {
    given: _weighted("binary_cross_entropy", "_weighted" if given else "", _BCE,
                     ("weight",) if given else (), fallible=True,
                     refuse=(_bce_dtypes, BOOL, INT, COMPLEX), kernel="binary_cross_entropy")
    for given in (False, True)
}  # fmt: skip
#: by whether there is a weight, and a pos_weight
_bce_with_logits = {
    (w, p): _weighted("binary_cross_entropy_with_logits", f"{'_weighted' * w}{'_positive' * p}",
                      _LOGITS, ("weight",) * w + ("pos_weight",) * p, refuse=(_logits_dtypes,))
    for w in (False, True) for p in (False, True)
}  # fmt: skip


def _warn_sizes(input: Tensor, target: Tensor) -> None:
    warnings.warn(
        f"Using a target size ({target.shape}) that is different to the input size "
        f"({input.shape}). This will likely lead to incorrect results due to broadcasting. Please "
        "ensure they have the same size.",
        UserWarning,
        stacklevel=3,
    )


def _check_weight(input: Tensor, weight: Tensor) -> None:
    if weight._meta.shape != input._meta.shape:
        raise ValueError("Weights and input must have the same size.")


def _weighted_mean(losses: Any, weight: Any, reduction: int) -> Any:
    """Losses times weights; their mean is that of the weights."""
    weighed = losses * weight
    if reduction == MEAN:
        return weighed.sum() / weight.sum()
    return reduced(weighed, reduction)


@public("nn.functional", method=False)
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`(input - target)^2`, each, or their mean or sum; weights have the size of `input`."""
    if target._meta.shape != input._meta.shape:
        _warn_sizes(input, target)
    how = reduction_of(reduction, size_average, reduce)
    if weight is None:
        return _mse((input, target), how)
    _check_weight(input, weight)
    return _weighted_mean((input - target).pow(2), weight, how)


@public("nn.functional", method=False)
def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`|input - target|`, each, or their mean or sum; weights have the size of `input`."""
    if target._meta.shape != input._meta.shape:
        _warn_sizes(input, target)
    how = reduction_of(reduction, size_average, reduce)
    losses = (input - target).abs()
    if weight is None:
        return reduced(losses, how)
    _check_weight(input, weight)
    return _weighted_mean(losses, weight, how)


@public("nn.functional", method=False)
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """With d = |input - target|: `d^2 / (2 beta)` where d < beta, else `d - beta / 2`."""
    if target._meta.shape != input._meta.shape:
        _warn_sizes(input, target)
    how = reduction_of(reduction, size_average, reduce)
    if beta == 0:
        return reduced((input - target).abs(), how)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return _smooth_l1((input, target), how, (beta,))


@public("nn.functional", method=False)
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """With d = |input - target|: `d^2 / 2` where d < delta, else `delta (d - delta / 2)`."""
    if target._meta.shape != input._meta.shape:
        _warn_sizes(input, target)
    how = reduction_of(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    pair = (input, cast(target, input._meta.dtype))
    if weight is None:
        return _huber(pair, how, (delta,))
    _check_weight(input, weight)
    return reduced(_huber(pair, NONE, (delta,)) * weight, how)


@public("nn.functional", method=False)
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`log(1 + exp(-target * input))` for targets 1 and -1."""
    how = reduction_of(reduction, size_average, reduce)
    refuse_gradient(target, "soft_margin_loss", "target")
    return _soft_margin((input, cast(target, input._meta.dtype)), how)


@public("nn.functional", method=False)
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`-(target log input + (1 - target) log(1 - input))`, logarithms at least -100."""
    how = reduction_of(reduction, size_average, reduce)
    if target._meta.shape != input._meta.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if weight is None:
        return _bce[False]((input, target), how)
    refuse_gradient(weight, "binary_cross_entropy", "weight")
    return _bce[True]((input, target, cast(weight, input._meta.dtype)), how)


@public("nn.functional", method=False)
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy(sigmoid(input), target)` without overflow.

    `pos_weight` multiplies what positive targets cost.
    """
    how = reduction_of(reduction, size_average, reduce)
    if target._meta.shape != input._meta.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    weights = tuple([w for w in (weight, pos_weight) if w is not None])
    for name, given in (("weight", weight), ("pos_weight", pos_weight)):
        refuse_gradient(given, "binary_cross_entropy_with_logits", name)
    op = _bce_with_logits[weight is not None, pos_weight is not None]
    return op((input, target, *weights), how)
