"""Losses with a margin, of classes and of pairs.

Room: ops. Sources of formulas: PyTorch's documentation of torch.nn.functional.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.dtype import int64
from bital.ir.meta import Meta
from bital.ir.op import Op, asking, like
from bital.ops.api import public
from bital.ops.extremes import minimum
from bital.ops.family import check_dtype, not_implemented
from bital.ops.loss import MEAN, NONE, reduced, reduction_of, refuse_gradient, widened
from bital.ops.mask import where
from bital.ops.norms import pairwise_distance
from bital.ops.smooth import logsigmoid
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

_NOT_FLOATS = (0, 1, 3)


def _long(m: Meta) -> None:
    if m.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {m.dtype.legacy_name}")


def _rows(x: Meta, name: str) -> tuple[int, int]:
    """(N, C) of scores (N, C), (C) or ()."""
    if x.ndim > 2:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )
    check_dtype(x.dtype, _NOT_FLOATS, f"{name}_cpu_kernel")
    return (1, 1)[: 2 - x.ndim] + tuple(x.shape)


def _spread(xp: Any, losses: Any, reduction: int, shape: tuple[int, ...]) -> Any:
    """Losses per sample, or their mean or sum."""
    if reduction == NONE:
        return losses.reshape(shape)
    return xp.add.reduce(losses) / (losses.size if reduction == MEAN else 1)


def _per_sample(xp: Any, g: Any, n: int, reduction: int) -> Any:
    """What comes in, for every sample, as a column."""
    if reduction == NONE:
        return g.reshape(n, 1)
    return g / n if reduction == MEAN else g


def _multi_margin_rule(x: Meta, target: Meta, *given: Any) -> tuple[Meta, dict]:
    *weights, p, reduction = given
    n, c = _rows(x, "multi_margin_loss")
    if target.ndim > 1 or target.numel != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got {list(target.shape)}. "
            f"Input has shape {list(x.shape)}."
        )
    if weights and tuple(weights[0].shape) != (c,):
        raise RuntimeError(
            f"inconsistent weight size, expected {c} but got {list(weights[0].shape)}"
        )
    _long(target)
    out = like(x, target.shape if reduction == NONE else ())
    return out, {"rows": (n, c), "p": p, "reduction": reduction}


def _excess(xp: Any, x: Any, target: Any, margin: float, rows: tuple[int, int]) -> tuple:
    """max(0, margin - x[target] + x) with 0 at the target, and where that is."""
    n, c = rows
    x, t, each = x.reshape(rows), target.reshape(n), xp.arange(n)
    if n and (t.min() < 0 or t.max() >= c):
        raise RuntimeError("target out of range")
    z = xp.maximum(x - (x[each, t] - margin)[:, None], 0)
    z[each, t] = 0
    return z, each, t


@widened
def _multi_margin(xp: Any, x: Any, target: Any, *given: Any, rows: tuple, p: int,
                  reduction: int) -> Any:  # fmt: skip
    *weights, margin = given
    z, _, t = _excess(xp, x, target, margin, rows)
    losses = xp.add.reduce(z if p == 1 else z * z, axis=1) / rows[1]
    for weight in weights:
        losses *= weight[t]
    return _spread(xp, losses, reduction, target.shape)


@widened
def _multi_margin_slope(xp: Any, g: Any, x: Any, target: Any, *given: Any, rows: tuple, p: int,
                        reduction: int) -> Any:  # fmt: skip
    *weights, margin = given
    z, each, t = _excess(xp, x, target, margin, rows)
    h = (z > 0).astype(x.dtype) if p == 1 else 2 * z
    for weight in weights:
        h *= weight[t][:, None]
    h[each, t] = -xp.add.reduce(h, axis=1)
    h *= _per_sample(xp, g, rows[0], reduction) / rows[1]
    return h.reshape(x.shape)


def _margin_op(name: str, rule: Callable, impl: Callable, slope: Callable, inputs: tuple,
               attrs: tuple, params: tuple = (), key: str = "") -> Op:  # fmt: skip
    """A loss whose backward operator has, as in PyTorch, no gradient."""

    def backward_rule(g: Meta, x: Meta, *given: Any) -> tuple[Meta, dict]:
        return x, rule(x, *given)[1]

    back = Op(
        f"{name}{key}_backward", backward_rule, slope, inputs=("g", *inputs), params=params,
        vjp=(not_implemented(f"{name}_backward"),) * 2 + (None,) * (len(inputs) - 1),
        grad_fn="NotImplemented",
    )  # fmt: skip

    def descend(g: Tensor, *given: Any) -> Tensor:
        k, n = len(inputs), len(params)
        return apply(back, (g, *given[:k]), given[k + n :], given[k : k + n])

    return Op(
        f"{name}{key}", rule, impl, inputs=inputs, params=params,
        vjp=(asking(descend, *inputs, *params, *attrs), *[None] * (len(inputs) - 1)),
        grad_fn="".join(w.title() for w in name.split("_")) + "Backward0", fallible=True,
    )  # fmt: skip


#: by whether there is a weight
_MULTI_MARGIN = {
    given: _margin_op(
        "multi_margin_loss", _multi_margin_rule, _multi_margin, _multi_margin_slope,
        ("self", "target") + ("weight",) * given, ("p", "reduction"), ("margin",),
        "_weighted" * given,
    )
    for given in (False, True)
}  # fmt: skip


@public("nn.functional", method=False)
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over classes i of `max(0, margin - input[target] + input[i])^p`, p 1 or 2.

    input (N, C) or (C); target (N) or (), int64.
    """
    how = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._meta.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    refuse_gradient(weight, "multi_margin_loss", "weight")
    weights = () if weight is None else (weight,)
    op = _MULTI_MARGIN[weight is not None]
    return apply(op, (input, target, *weights), (p, how), (margin,))


def _multilabel_rule(x: Meta, target: Meta, reduction: int) -> tuple[Meta, dict]:
    rows = _rows(x, "multilabel_margin_loss")
    if target.shape != x.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(x.shape)}"
        )
    _long(target)
    shape = x.shape[:-1] if reduction == NONE else ()
    return like(x, shape), {"rows": rows, "reduction": reduction}


def _pairs(xp: Any, x: Any, target: Any, rows: tuple[int, int]) -> tuple:
    """1 - x[j] + x[k] above 0, for listed targets j and classes k that are none; and the lists."""
    x, t = x.reshape(rows), target.reshape(rows)
    if t.size and (t.min() < -1 or t.max() >= rows[1]):
        raise RuntimeError("argument #2 'target' is out of range")
    listed = xp.logical_and.accumulate(t >= 0, axis=1)
    t = xp.where(listed, t, 0)
    is_target = xp.zeros(rows, bool)
    sample, place = listed.nonzero()
    is_target[sample, t[sample, place]] = True
    z = 1 - xp.take_along_axis(x, t, 1)[:, :, None] + x[:, None, :]
    return xp.where(listed[:, :, None] & ~is_target[:, None, :] & (z > 0), z, 0), t


@widened
def _multilabel_margin(xp: Any, x: Any, target: Any, *, rows: tuple, reduction: int) -> Any:
    z, _ = _pairs(xp, x, target, rows)
    losses = xp.add.reduce(z, axis=(1, 2)) / x.dtype.type(rows[1])
    return _spread(xp, losses.astype(x.dtype, copy=False), reduction, x.shape[:-1])


@widened
def _multilabel_slope(xp: Any, g: Any, x: Any, target: Any, *, rows: tuple,
                      reduction: int) -> Any:  # fmt: skip
    z, t = _pairs(xp, x, target, rows)
    apart = (z > 0).astype(x.dtype)
    out = xp.add.reduce(apart, axis=1)
    xp.subtract.at(out, (xp.arange(rows[0])[:, None], t), xp.add.reduce(apart, axis=2))
    out *= _per_sample(xp, g, rows[0], reduction) / rows[1]
    return out.reshape(x.shape)


_MULTILABEL_MARGIN = _margin_op(
    "multilabel_margin_loss", _multilabel_rule, _multilabel_margin, _multilabel_slope,
    ("self", "target"), ("reduction",),
)  # fmt: skip


@public("nn.functional", method=False)
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge between every class that `target` lists (until its first -1) and those it does not.

    input (N, C) or (C), target int64 of the same shape.
    """
    how = reduction_of(reduction, size_average, reduce)
    return apply(_MULTILABEL_MARGIN, (input, target), (how,))


@public("nn.functional", method=False)
def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over the last axis of the binary cross entropy of sigmoid(input)."""
    how = reduction_of(reduction, size_average, reduce)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    per_sample = losses.sum(-1) / (input._meta.shape[-1] if input._meta.ndim else 1)
    return reduced(per_sample, how)


@public("nn.functional", method=False)
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`input` where target is 1, `max(0, margin - input)` where it is -1."""
    how = reduction_of(reduction, size_average, reduce)
    far = where(target != 1, (margin - input).clamp_min(0), 0.0)
    return reduced(far + where(target != -1, input, 0.0), how)


@public("nn.functional", method=False)
def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, -target (input1 - input2) + margin)`; target 1 wants input1 to be larger."""
    how = reduction_of(reduction, size_average, reduce)
    if not input1._meta.ndim == input2._meta.ndim == target._meta.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced((-target * (input1 - input2) + margin).clamp_min(0), how)


_EPSILON = 1e-12


def _check_cosine(x1: Meta, x2: Meta, target: Meta) -> None:
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    wanted = target.ndim + 1
    if x1.ndim != wanted or x2.ndim != wanted:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {wanted}D input tensors, but found inputs with "
            f"sizes {list(x1.shape)} and {list(x2.shape)}."
        )


@public("nn.functional", method=False)
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`1 - cos` where target is 1, `max(0, cos - margin)` where it is -1.

    inputs (N, D) and target (N), or (D) and ().
    """
    how = reduction_of(reduction, size_average, reduce)
    _check_cosine(input1._meta, input2._meta, target._meta)
    square1 = (input1 * input1).sum(-1) + _EPSILON
    square2 = (input2 * input2).sum(-1) + _EPSILON
    cosine = (input1 * input2).sum(-1) / (square1 * square2).sqrt()
    near = where(target == 1, 1 - cosine, 0.0)
    return reduced(near + where(target == -1, (cosine - margin).clamp_min(0), 0.0), how)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor) -> None:
    a, p, n = anchor._meta.ndim, positive._meta.ndim, negative._meta.ndim
    if not a == p == n:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {a}D, positive {p}D, and negative {n}D inputs"
        )


@public("nn.functional", method=False)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)`, d the p-norm of differences.

    `swap`: the negative's distance is the smaller of those from anchor and from positive.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    how = reduction_of(reduction, size_average, reduce)
    return _triplet(anchor, positive, negative, distance, margin, swap, how)


@public("nn.functional", method=False)
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of one's own, by default `pairwise_distance`."""
    how = reduction_of(reduction)
    return _triplet(
        anchor, positive, negative, distance_function or pairwise_distance, margin, swap, how
    )


def _triplet(anchor: Tensor, positive: Tensor, negative: Tensor, distance: Callable,
             margin: float, swap: bool, reduction: int) -> Tensor:  # fmt: skip
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_triplet(anchor, positive, negative)
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), reduction)
