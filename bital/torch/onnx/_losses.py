"""Rules of the ONNX export: losses, made of operators that have rules."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.nn import _reduction
from bital.torch.onnx._table import made_of, unsupported


def _reduced(loss: Any, reduction: str, size_average: Any = None, reduce: Any = None) -> Any:
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if reduction == "none":
        return loss
    return torch.mean(loss) if reduction == "mean" else torch.sum(loss)


@made_of("mse_loss")
def _mse(input: Any, target: Any, size_average: Any = None, reduce: Any = None,
         reduction: str = "mean", weight: Any = None) -> Any:  # fmt: skip
    apart = input - target
    loss = apart * apart
    if weight is not None:
        return unsupported("with weights")
    return _reduced(loss, reduction, size_average, reduce)


@made_of("l1_loss")
def _l1(input: Any, target: Any, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean", weight: Any = None) -> Any:  # fmt: skip
    if weight is not None:
        return unsupported("with weights")
    return _reduced(torch.abs(input - target), reduction, size_average, reduce)


@made_of("smooth_l1_loss")
def _smooth_l1(input: Any, target: Any, size_average: Any = None, reduce: Any = None,
               reduction: str = "mean", beta: float = 1.0) -> Any:  # fmt: skip
    apart = torch.abs(input - target)
    if not beta:
        return _reduced(apart, reduction, size_average, reduce)
    loss = torch.where(apart < beta, apart * apart * (0.5 / beta), apart - 0.5 * beta)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("huber_loss")
def _huber(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0,
           weight: Any = None) -> Any:  # fmt: skip
    apart = torch.abs(input - target)
    if weight is not None:
        return unsupported("with weights")
    loss = torch.where(apart < delta, 0.5 * apart * apart, delta * (apart - 0.5 * delta))
    return _reduced(loss, reduction)


@made_of("binary_cross_entropy")
def _bce(input: Any, target: Any, weight: Any = None, size_average: Any = None,
         reduce: Any = None, reduction: str = "mean") -> Any:  # fmt: skip
    log = [torch.clamp_min(torch.log(p), -100.0) for p in (input, 1 - input)]
    loss = -(target * log[0] + (1 - target) * log[1])
    return _reduced(loss if weight is None else loss * weight, reduction, size_average, reduce)


@made_of("binary_cross_entropy_with_logits")
def _bce_logits(input: Any, target: Any, weight: Any = None, size_average: Any = None,
                reduce: Any = None, reduction: str = "mean",
                pos_weight: Any = None) -> Any:  # fmt: skip
    soft = torch.nn.functional.softplus(-input, 1.0, 80.0)
    if pos_weight is not None:
        soft = soft * (1 + (pos_weight - 1) * target)
    loss = (1 - target) * input + soft
    return _reduced(loss if weight is None else loss * weight, reduction, size_average, reduce)


@made_of("kl_div")
def _kl_div(input: Any, target: Any, size_average: Any = None, reduce: Any = None,
            reduction: str = "mean", log_target: bool = False) -> Any:  # fmt: skip
    if log_target:
        loss = torch.exp(target) * (target - input)
    else:
        positive = target > 0
        logs = torch.log(torch.where(positive, target, 1.0))
        loss = target * logs - target * input
    if reduction == "batchmean":
        return torch.sum(loss) / input.shape[0]
    return _reduced(loss, reduction, size_average, reduce)


@made_of("nll_loss")
def _nll(input: Any, target: Any, weight: Any = None, size_average: Any = None,
         ignore_index: int = -100, reduce: Any = None, reduction: str = "mean") -> Any:  # fmt: skip
    axis = 1 if input.dim() > 1 else 0
    counted = target != ignore_index
    classes = torch.where(counted, target, 0)
    places = torch.unsqueeze(classes, axis)
    picked = torch.squeeze(torch.gather(input, axis, places), axis)
    share = torch.where(counted, 1.0, 0.0)
    if weight is not None:
        picked_weights = torch.index_select(weight, 0, torch.reshape(classes, (-1,)))
        share = share * torch.reshape(picked_weights, tuple(target.shape))
    loss = -picked * share
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if reduction == "mean":
        return torch.sum(loss) / torch.sum(share)
    return _reduced(loss, reduction)


@made_of("cross_entropy")
def _cross_entropy(input: Any, target: Any, weight: Any = None, size_average: Any = None,
                   ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
                   label_smoothing: float = 0.0) -> Any:  # fmt: skip
    axis = 1 if input.dim() > 1 else 0
    logs = torch.nn.functional.log_softmax(input, axis)
    nll = torch.nn.functional.nll_loss
    if not target.dtype.is_floating_point:
        if label_smoothing:
            return unsupported("with label smoothing of class indices")
        return nll(logs, target, weight, size_average, ignore_index, reduce, reduction)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    if weight is not None:
        shape = [-1 if k == axis else 1 for k in range(input.dim())]
        logs = logs * torch.reshape(weight, shape)
    loss = -torch.sum(logs * target, axis)
    if reduction == "mean":
        return torch.sum(loss) / (input.numel() // input.shape[axis])
    return _reduced(loss, reduction, size_average, reduce)


@made_of("soft_margin_loss")
def _soft_margin(input: Any, target: Any, size_average: Any = None, reduce: Any = None,
                 reduction: str = "mean") -> Any:  # fmt: skip
    loss = torch.log(torch.exp(-target * input) + 1)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("margin_ranking_loss")
def _margin_ranking(input1: Any, input2: Any, target: Any, margin: float = 0,
                    size_average: Any = None, reduce: Any = None,
                    reduction: str = "mean") -> Any:  # fmt: skip
    loss = torch.clamp_min(-target * (input1 - input2) + margin, 0)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("hinge_embedding_loss")
def _hinge_embedding(input: Any, target: Any, margin: float = 1.0, size_average: Any = None,
                     reduce: Any = None, reduction: str = "mean") -> Any:  # fmt: skip
    apart = torch.where(target != 1, torch.clamp_min(margin - input, 0), 0.0)
    loss = apart + torch.where(target != -1, input, 0.0)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("cosine_embedding_loss")
def _cosine_embedding(input1: Any, input2: Any, target: Any, margin: float = 0,
                      size_average: Any = None, reduce: Any = None,
                      reduction: str = "mean") -> Any:  # fmt: skip
    squares = [torch.sum(x * x, -1) + 1e-12 for x in (input1, input2)]
    cosine = torch.sum(input1 * input2, -1) / torch.sqrt(squares[0] * squares[1])
    other = torch.clamp_min(cosine - margin, 0)
    loss = torch.where(target == 1, 1 - cosine, torch.where(target == -1, other, 0.0))
    return _reduced(loss, reduction, size_average, reduce)


@made_of("multilabel_soft_margin_loss")
def _multilabel_soft_margin(input: Any, target: Any, weight: Any = None, size_average: Any = None,
                            reduce: Any = None, reduction: str = "mean") -> Any:  # fmt: skip
    logs = [torch.nn.functional.logsigmoid(x) for x in (input, -input)]
    loss = -(target * logs[0] + (1 - target) * logs[1])
    loss = torch.mean(loss if weight is None else loss * weight, -1)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("multi_margin_loss")
def _multi_margin(input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
                  size_average: Any = None, reduce: Any = None,
                  reduction: str = "mean") -> Any:  # fmt: skip
    classes = input.shape[-1]
    rows = torch.reshape(input, (-1, classes))
    labels = torch.reshape(target, (-1,))
    picked = torch.gather(rows, 1, torch.unsqueeze(labels, 1))
    apart = torch.clamp_min(margin - picked + rows, 0)
    if p == 2:
        apart = apart * apart
    if weight is not None:
        apart = apart * torch.unsqueeze(torch.index_select(weight, 0, labels), 1)
    others = 1 - torch.nn.functional.one_hot(labels, classes)
    loss = torch.sum(torch.where(others == 1, apart, 0.0), 1) / classes
    loss = torch.reshape(loss, tuple(target.shape))
    return _reduced(loss, reduction, size_average, reduce)


@made_of("poisson_nll_loss")
def _poisson_nll(input: Any, target: Any, log_input: bool = True, full: bool = False,
                 size_average: Any = None, eps: float = 1e-8, reduce: Any = None,
                 reduction: str = "mean") -> Any:  # fmt: skip
    if log_input:
        loss = torch.exp(input) - target * input
    else:
        loss = input - target * torch.log(input + eps)
    if full:
        safe = torch.where(target > 1, target, 1.0)
        stirling = safe * torch.log(safe) - safe + 0.5 * torch.log(2 * math.pi * safe)
        loss = loss + torch.where(target > 1, stirling, 0.0)
    return _reduced(loss, reduction, size_average, reduce)


@made_of("gaussian_nll_loss")
def _gaussian_nll(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
                  reduction: str = "mean") -> Any:  # fmt: skip
    if not isinstance(var, torch.Tensor):
        return unsupported("with a number as variance")
    if var.dim() == input.dim() - 1:
        var = torch.unsqueeze(var, -1)
    var = torch.clamp_min(var, eps)
    apart = input - target
    loss = 0.5 * (torch.log(var) + apart * apart / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)


@made_of("triplet_margin_loss")
def _triplet_margin(anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
                    eps: float = 1e-6, swap: bool = False, size_average: Any = None,
                    reduce: Any = None, reduction: str = "mean") -> Any:  # fmt: skip
    distance = torch.nn.functional.pairwise_distance
    far = distance(anchor, negative, p, eps)
    if swap:
        far = torch.minimum(far, distance(positive, negative, p, eps))
    loss = torch.clamp_min(distance(anchor, positive, p, eps) - far + margin, 0)
    return _reduced(loss, reduction, size_average, reduce)
