"""Losses of scores and class numbers: negative log likelihood, cross entropy, margins.

Room: ops. Scores have the shape (N, C, *) or (C), class numbers (N, *) or (). Every kernel sees
scores as (N, C, M), M positions, in memory order.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT, int64, uint8
from bital.ir.batch import Batch, looped
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, asking, like, same_as
from bital.ops.api import check_tensor, public
from bital.ops.family import check_dtype
from bital.ops.loss import (
    MEAN,
    NONE,
    SUM,
    reduction_of,
    refuse_gradient,
    widened,
)
from bital.ops.softmax import log_softmax
from bital.tensor.dispatch import apply, composite
from bital.tensor.recorders import binary_with
from bital.tensor.tensor import Tensor

_FLOATS = (BOOL, INT, COMPLEX)


def _check_classes(x: Meta, target: Meta, weight: Meta | None) -> None:
    """PyTorch's errors for class numbers and weights that do not fit the scores."""
    deep = x.ndim > 2
    if not deep and target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dtype not in (int64, uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {target.dtype.legacy_name}"
        )
    if deep and target.ndim != x.ndim - 1:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) but got targets of "
            f"dimension: {target.ndim}"
        )
    if deep and target.shape != (x.shape[0], *x.shape[2:]):
        raise RuntimeError(
            f"size mismatch (got input: {list(x.shape)} , target: {list(target.shape)}"
        )
    c = x.shape[0] if x.ndim == 1 else x.shape[1]
    if weight is not None and tuple(weight.shape) != (c,):
        if deep:
            raise RuntimeError("weight tensor should be defined either for all or no classes")
        raise RuntimeError(
            f"weight tensor should be defined either for all {c} classes or no classes but got "
            f"weight tensor of shape: {list(weight.shape)}"
        )
    check_dtype(x.dtype, _FLOATS, "nll_loss2d_forward_out_frame" if deep else "nll_loss_out_frame")
    if weight is not None and weight.dtype is not x.dtype:
        raise RuntimeError(
            f"expected scalar type {x.dtype.legacy_name} but found {weight.dtype.legacy_name}"
        )


def _layout(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The scores' shape as (N, C, M)."""
    if len(shape) == 1:
        return 1, shape[0], 1
    return shape[0], shape[1], prod(shape[2:])


def _nll_rule(x: Meta, target: Meta, *given: Any) -> tuple[Meta, dict]:
    *weights, reduction, ignore = given
    _check_classes(x, target, weights[0] if weights else None)
    attrs = {"layout": _layout(x.shape), "reduction": reduction, "ignore_index": ignore}
    return like(x, target.shape if reduction == NONE else ()), attrs


def _places(xp: Any, target: Any, layout: tuple[int, int, int], ignore: int) -> tuple[Any, Any]:
    """Where in the scores the targets' lie, and which targets count (None: all of them)."""
    n, c, m = layout
    t = target.reshape(n, m) if m > 1 else target.reshape(n)
    if t.dtype.kind == "u":
        t = t.astype(xp.int64)
    kept = None
    if t.size and (xp.maximum.reduce(t.view(xp.uint64), axis=None) >= c or 0 <= ignore < c):
        kept = t != ignore
        wrong = kept & ((t < 0) | (t >= c))
        if wrong.any():
            raise IndexError(f"Target {t[wrong][0]} is out of bounds.")
        if kept.all():
            kept = None
        else:
            t = xp.where(kept, t, 0)
    if m > 1:
        return ((xp.arange(n) * c)[:, None] + t) * m + xp.arange(m), kept
    return t + xp.arange(0, n * c, c), kept


def _counted(xp: Any, weight: Any, places: Any, kept: Any, layout: tuple, kind: Any) -> Any:
    """The weight of every target, 0 where it is ignored; None where all are 1."""
    if weight is None:
        return None if kept is None else kept.astype(kind)
    chosen = weight.take(places // layout[2] % layout[1] if layout[2] > 1 else places % layout[1])
    return chosen if kept is None else xp.where(kept, chosen, kind.type(0))


@widened
def _nll_impl(xp: Any, x: Any, target: Any, weight: Any = None, *, layout: tuple, reduction: int,
              ignore_index: int) -> Any:  # fmt: skip
    places, kept = _places(xp, target, layout, ignore_index)
    picked = x.ravel().take(places)
    counted = _counted(xp, weight, places, kept, layout, x.dtype)
    if counted is not None:
        # an ignored score may be infinite: it must not meet its weight of zero
        picked = picked if kept is None else xp.where(kept, picked, x.dtype.type(0))
        picked = picked * counted
    if reduction == NONE:
        return xp.negative(picked).reshape(target.shape)
    total = -xp.add.reduce(picked, axis=None)
    if reduction == SUM:
        return total
    return total / (places.size if counted is None else xp.add.reduce(counted, axis=None))


def _hits(xp: Any, target: Any, layout: tuple, ignore: int) -> tuple[Any, Any, Any]:
    """Class numbers (N, M), whether they count, and (N, C, M) which score is meant, in words."""
    n, c, m = layout
    t = target.reshape(n, m).astype(xp.int64)
    kept = xp.not_equal(t, ignore)
    meant = xp.equal(xp.iota((n, c, m), 1), t.reshape(n, 1, m)) & kept.reshape(n, 1, m)
    return t, kept, meant


def _counts(xp: Any, kept: Any, meant: Any, weights: tuple, kind: Any) -> Any:
    """The weight of every target, 0 where it is ignored."""
    if not weights:
        return kept.astype(kind)
    return xp.sum(xp.where(meant, weights[0].reshape(1, -1, 1), 0), 1)


def _nll_native(xp: Any, x: Any, target: Any, *weights: Any, layout: tuple, reduction: int,
                ignore_index: int) -> Any:  # fmt: skip
    t, kept, meant = _hits(xp, target, layout, ignore_index)
    xp.require(~kept | ((t >= 0) & (t < layout[1])))
    picked = xp.sum(xp.where(meant, x.reshape(layout), 0), 1)
    counted = _counts(xp, kept, meant, weights, x.dtype)
    picked = picked * counted if weights else picked
    if reduction == NONE:
        return -picked.reshape(target.shape)
    total = -xp.sum(picked)
    return total if reduction == SUM else total / xp.sum(counted)


def _nll_backward_native(xp: Any, g: Any, target: Any, *weights: Any, shape: tuple, layout: tuple,
                         deep: bool, reduction: int, ignore_index: int) -> Any:  # fmt: skip
    n, _, m = layout
    _, kept, meant = _hits(xp, target, layout, ignore_index)
    counted = _counts(xp, kept, meant, weights, g.dtype)
    down = -g.reshape(n, m) if reduction == NONE else -g
    if reduction == MEAN:
        down = down / xp.sum(counted)
    down = xp.broadcast_to(down * counted if weights else down, (n, m))
    return xp.where(meant, down.reshape(n, 1, m), 0).reshape(shape)


def _nll_backward_rule(g: Meta, *given: Any) -> tuple[Meta, dict]:
    shape, deep, reduction, ignore = given[-4:]
    attrs = {"layout": _layout(shape), "reduction": reduction, "ignore_index": ignore}
    return like(g, shape), attrs | {"shape": shape, "deep": deep}


@widened
def _nll_backward(xp: Any, g: Any, target: Any, weight: Any = None, *, shape: tuple, layout: tuple,
                  deep: bool, reduction: int, ignore_index: int) -> Any:  # fmt: skip
    places, kept = _places(xp, target, layout, ignore_index)
    counted = _counted(xp, weight, places, kept, layout, g.dtype)
    down = -g.reshape(places.shape) if reduction == NONE else -g
    if reduction == MEAN:
        down = down / (places.size if counted is None else xp.add.reduce(counted, axis=None))
    out = xp.zeros(prod(shape), g.dtype)
    if counted is not None:
        down = down * counted
    # of nothing but ignored targets the mean is NaN, and the gradient is still zero
    out[places] = down if kept is None else xp.where(kept, down, g.dtype.type(0))
    return out.reshape(shape)


def _flat_examples(batch: Batch) -> tuple[tuple[Meta, ...], list[Callable]]:
    """The metas of all examples' rows as rows of one, and what makes the arrays so."""
    many = prod(batch.sizes)
    metas = [meta_of((many * m.shape[0], *m.shape[1:]), m.dtype) for m in batch.metas[:2]]

    def flat(k: int) -> Callable:
        full = batch.full(k)
        return lambda a: full(a).reshape(metas[k].shape)

    return tuple(metas), [flat(0), flat(1)]


def _nll_many(batch: Batch) -> Callable:
    """The losses of all rows; then each example's sum, divided by its weights for the mean."""
    reduction, ignore = batch.attrs
    x, weights = batch.metas[0], batch.metas[2:]
    if any(m.device.lanes for m in weights) or x.ndim < 2:
        return looped(batch)
    metas, lines = _flat_examples(batch)
    rows = batch.resolve((*metas, *weights), (NONE, ignore)).fn
    shape = (*batch.sizes, *batch.out.shape)

    def call(x: Any, target: Any, *weight: Any) -> Any:
        x, target = (line(a) for line, a in zip(lines, (x, target)))
        found = rows(x, target, *weight)
        if reduction == NONE:
            return found.reshape(shape)
        sums = found.reshape(*shape, -1).sum(-1)
        if reduction == SUM:
            return sums
        ones = np.broadcast_to(-np.ones((), x.dtype), x.shape)
        return sums / rows(ones, target, *weight).reshape(*shape, -1).sum(-1)

    return call


def _nll_backward_many(batch: Batch) -> Callable:
    shape, deep, reduction, ignore = batch.attrs
    target, *weights = batch.metas[1:]
    if any(m.device.lanes for m in weights) or len(shape) < 2 or not target.numel:
        return looped(batch)
    many, sizes = prod(batch.sizes), batch.sizes
    whole = (many * shape[0], *shape[1:])
    flat = meta_of((many * target.shape[0], *target.shape[1:]), target.dtype)
    g_meta = meta_of(flat.shape, batch.metas[0].dtype)
    back = batch.resolve((g_meta, flat, *weights), (whole, deep, NONE, ignore)).fn
    full = batch.full(0), batch.full(1)

    def call(g: Any, target: Any, *weight: Any) -> Any:
        g, target = (line(a) for line, a in zip(full, (g, target)))
        rows = target.reshape(flat.shape)
        if reduction != NONE:
            g = np.broadcast_to(g.reshape(*sizes, *[1] * (target.ndim - len(sizes))), target.shape)
        if reduction == MEAN:
            ones = np.ones(g_meta.shape, g.dtype)
            counts = -back(ones, rows, *weight).reshape(*sizes, -1).sum(-1)
            g = g / counts.reshape(*sizes, *[1] * (target.ndim - len(sizes)))
        return back(g.reshape(g_meta.shape), rows, *weight).reshape(*sizes, *shape)

    return call


class _Nll:
    """The operators of one node name, with a weight or without."""

    def __init__(self, name: str, title: str, weighted: bool) -> None:
        extra = ("weight",) if weighted else ()
        key = name + "_weighted" * weighted
        self.weighted = weighted
        self.back = Op(
            f"{key}_backward", _nll_backward_rule, _nll_backward, inputs=("g", "target", *extra),
            vjp=(asking(self._climb, "target", *extra, "reduction", "ignore_index"),
                 *[None] * (1 + weighted)),
            grad_fn=f"{title}BackwardBackward0", batch=_nll_backward_many,
            native=_nll_backward_native,
        )  # fmt: skip
        self.op = Op(
            key, _nll_rule, _nll_impl, inputs=("self", "target", *extra),
            vjp=(asking(self._descend, "self", "target", *extra, "reduction", "ignore_index"),
                 *[None] * (1 + weighted)),
            grad_fn=f"{title}Backward0", fallible=True, batch=_nll_many, native=_nll_native,
        )  # fmt: skip
        self.unweighted = binary_with(self.op)

    def __call__(self, tensors: tuple, reduction: int, ignore: int) -> Tensor:
        if self.weighted:
            return apply(self.op, tensors, (reduction, ignore))
        return self.unweighted(*tensors, (reduction, ignore))

    def _descend(self, g: Tensor, x: Tensor, *given: Any) -> Tensor:
        *rest, reduction, ignore = given
        shape = x._meta.shape
        return apply(self.back, (g, *rest), (shape, len(shape) > 2, reduction, ignore))

    def _climb(self, gg: Tensor, *given: Any) -> Tensor:
        """The backward operator is linear in g, and its transpose is the loss itself."""
        *rest, reduction, ignore = given
        return apply(self.op, (gg, *rest), (reduction, ignore))


#: by whether there are positions beside the batch, and whether there is a weight
_NLL = {
    (deep, weighted): _Nll(name, title, weighted)
    for deep, name, title in ((False, "nll_loss", "NllLoss"), (True, "nll_loss2d", "NllLoss2D"))
    for weighted in (False, True)
}


def _nll(x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore: int) -> Tensor:
    """The negative log likelihood of scores of any rank."""
    shape, wanted = tuple(x._meta.shape), tuple(target._meta.shape)  # parts of a Size cost much
    if not shape:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if len(shape) == 1 and len(wanted) == 1 and wanted[0] != 1:
        raise ValueError(
            f"For 1D input, 1D target must have size 1, but got target size: {wanted[0]}"
        )
    if len(shape) != 1 and wanted[:1] != shape[:1]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size "
            f"({wanted[0] if wanted else 1})."
        )
    tensors: tuple[Tensor, ...] = (x, target)
    if weight is not None:
        refuse_gradient(weight, "nll_loss_forward", "weight")
        tensors = (x, target, weight)
    op = _NLL[len(shape) > 2, weight is not None]
    if len(shape) < 3 or len(shape) == 4:
        return op(tensors, reduction, ignore)
    if wanted != (shape[0], *shape[2:]):
        raise RuntimeError(f"Expected target size {[shape[0], *shape[2:]]}, got {list(wanted)}")
    # positions of other ranks are seen as rows of one image, as PyTorch does
    x = x.reshape(shape[0], shape[1], 1, -1)
    target = target.reshape(shape[0], 1, -1)
    out = op((x, target, *tensors[2:]), reduction, ignore)
    return out.view(wanted) if reduction == NONE else out


@public("nn.functional", method=False)
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`-weight[target] * input[target]`; the mean is that of the weights, ignored targets out.

    input (N, C, *) or (C), floating; target (N, *) or (), int64 or uint8. IndexError for a class
    out of range.
    """
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        check_tensor(input, "nll_loss_nd")
        check_tensor(target, "nll_loss_nd", "target", 2)
    if weight is not None and not isinstance(weight, Tensor):
        check_tensor(weight, "nll_loss_nd", "weight", 3)
    return _nll(input, target, weight, reduction_of(reduction, size_average, reduce), ignore_index)


_DIVIDED = Op(
    "div_by_count", same_as, None, params=("count",), vjp=(lambda g, count: g / count,),
    grad_fn="DivBackward1",
)  # fmt: skip


def _over(x: Any, count: int) -> Tensor:
    """x / count, with the node that PyTorch gives a division by a number inside an operator."""
    if not count:
        return x * float("nan")
    return composite(_DIVIDED, lambda x, count: x / count, (x,), (), (count,))


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")


def _by_class(weight: Any, x: Tensor, axis: int) -> Any:
    """Weights per class in the shape that meets scores."""
    return weight.reshape([-1 if k == axis else 1 for k in range(x._meta.ndim)])


def _with_probabilities(
    input: Any, target: Any, weight: Tensor | None, reduction: int, smoothing: float
) -> Tensor:
    """Cross entropy with a probability for every class."""
    if not target._meta.dtype.is_floating_point:
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{target._meta.dtype.legacy_name}"
        )
    shape = input._meta.shape
    axis = 0 if len(shape) == 1 else 1
    classes = shape[axis]
    if weight is not None and tuple(weight._meta.shape) != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or "
            f"no classes but got weight tensor of shape: {list(weight._meta.shape)}"
        )
    scores = input.log_softmax(axis)
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes
    losses = scores * target
    if weight is not None:
        losses = losses * _by_class(weight, input, axis)
    if reduction == NONE:
        return -losses.sum(axis)
    total = -losses.sum()
    if reduction == SUM:
        return total
    return _over(total, prod(shape) // classes if classes else 0)


def _smoothed(scores: Any, target: Any, weight: Tensor | None, reduction: int, ignore: int,
              smoothing: float) -> Tensor:  # fmt: skip
    """Cross entropy whose target shares `smoothing` of its probability among all classes."""
    axis = 0 if scores._meta.ndim == 1 else 1
    classes = scores._meta.shape[axis]
    right = _nll(scores, target, weight, reduction, ignore)
    spread = scores if weight is None else scores * _by_class(weight, scores, axis)
    ignored = target == ignore
    losses = (-spread.sum(axis)).masked_fill(ignored, 0.0)
    if reduction != MEAN:
        shared = losses.sum() if reduction == SUM else losses
    elif weight is None:
        shared = losses.sum() / ignored.logical_not().sum()
    else:
        counted = weight.take(target.masked_fill(ignored, 0))
        shared = losses.sum() / counted.masked_fill(ignored, 0.0).sum()
    return right * (1 - smoothing) + shared * (smoothing / classes)


@public("nn.functional", method=False)
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`nll_loss(log_softmax(input), target)`; a target in the input's shape holds probabilities.

    input (N, C, *) or (C); target (N, *) or (), int64 or uint8, or of the input's shape, floating.
    """
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        check_tensor(input, "cross_entropy_loss")
        check_tensor(target, "cross_entropy_loss", "target", 2)
    if weight is not None:
        check_tensor(weight, "cross_entropy_loss", "weight", 3)
    how = reduction_of(reduction, size_average, reduce)
    shape = input._meta.shape
    if target._meta.shape == shape:
        _check_smoothing(label_smoothing)
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _with_probabilities(input, target, weight, how, label_smoothing)
    scores = log_softmax(input, 0 if len(shape) == 1 else 1)
    if label_smoothing:
        _check_smoothing(label_smoothing)
        return _smoothed(scores, target, weight, how, ignore_index, label_smoothing)
    return _nll(scores, target, weight, how, ignore_index)
