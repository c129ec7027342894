"""Adam (Kingma and Ba 2014) with AMSGrad (Reddi et al. 2018) and decoupled weight decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.ops.optimize import adam_step
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_betas,
    _check_fused,
    _check_not_negative,
    _check_one_element,
    _number,
    _scalar,
    _zeros,
)


class Adam(PerParameter):
    """p <- p - lr m' / (sqrt(v') + eps), m' and v' the bias-corrected means of g and g^2.

    `betas` are the decays of the two means. `weight_decay` adds weight_decay * p to g, or with
    `decoupled_weight_decay` shrinks p by itself; `amsgrad` divides by the largest v so far;
    `maximize` climbs. `foreach`, `fused` and `capturable` choose an implementation in PyTorch and
    nothing here.
    """

    _later_options = {
        **PerParameter._later_options,
        "amsgrad": False, "decoupled_weight_decay": False, "fused": None,
    }  # fmt: skip
    _refuses_sparse = "does not support sparse gradients, please consider SparseAdam instead"

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        _check_one_element("lr", lr, foreach, capturable)
        _check_not_negative(lr, epsilon=eps)
        _check_betas(betas)
        _check_not_negative(lr, weight_decay=weight_decay)
        if not any(all(isinstance(b, kind) for b in betas) for kind in (float, torch.Tensor)):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            _check_one_element(f"betas[{i}]", beta, foreach, capturable)
        betas = tuple(b.squeeze() if isinstance(b, torch.Tensor) else b for b in betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        _check_fused(fused, foreach, differentiable)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        largest = ["max_exp_avg_sq"] if group["amsgrad"] else []
        return {"step": _scalar(0.0), **_zeros(param, "exp_avg", "exp_avg_sq", *largest)}

    def _updater(self, group: dict[str, Any]) -> Callable[[Any, Any, dict[str, Any]], None]:
        """One parameter is updated by one instruction where its numbers are of the usual kinds."""
        advance, amsgrad = self._numbers.advance, group["amsgrad"]
        plain = not group["differentiable"]
        decoupled = group["decoupled_weight_decay"] and group["weight_decay"] != 0
        how = group["maximize"], decoupled
        known: dict[float, tuple] = {}  # count -> the numbers of the update, which most share

        def update(param: Any, grad: Any, state: dict[str, Any]) -> None:
            dtype = param._meta.dtype
            wide = dtype is torch.float32 or dtype is torch.float64
            if not (plain and wide and grad._meta.dtype is dtype):
                return self._update_one(param, grad, state, group)
            count = advance(state["step"])
            scalars = known.get(count)
            if scalars is None:
                scalars = known[count] = _scalars(count, group, decoupled)
            tensors = [param, state["exp_avg"], state["exp_avg_sq"]]
            if amsgrad:
                tensors.append(state["max_exp_avg_sq"])
            adam_step(tensors, (grad,), how, scalars)

        return update

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        mean, mean_sq = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(grad, 1 - beta1)
        if isinstance(beta2, torch.Tensor) and beta2.requires_grad:
            mean_sq.lerp_(grad.square(), 1 - beta2)
        else:
            mean_sq.mul_(beta2).addcmul_(grad, grad, value=_number(1 - beta2))
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            largest.copy_(torch.maximum(largest.clone(), mean_sq))
            mean_sq = largest
        if group["differentiable"]:
            _differentiable_update(param, mean, mean_sq, state["step"], group)
            return
        step_size = group["lr"] / (1 - beta1**count)
        denominator = (mean_sq.sqrt() / (1 - beta2**count) ** 0.5).add_(group["eps"])
        param.addcdiv_(mean, denominator, value=_number(-step_size))


def _scalars(
    count: float, group: dict[str, Any], decoupled: bool
) -> tuple[float, float, float, float, float]:
    """The numbers of the update that is a parameter's `count`-th."""
    lr, (beta1, beta2), weight_decay = group["lr"], group["betas"], group["weight_decay"]
    if not (lr.__class__ is beta1.__class__ is beta2.__class__ is float):
        lr, beta1, beta2 = map(_number, (lr, beta1, beta2))
    root = (1 - beta2**count) ** 0.5
    kept = 1 - lr * weight_decay if decoupled else weight_decay
    return beta1, beta2, kept, group["eps"] * root, lr * root / (1 - beta1**count)


def _differentiable_update(
    param: Any, mean: Any, mean_sq: Any, step: Any, group: dict[str, Any]
) -> None:
    """The same update with every number a tensor, so that gradients flow to all of them."""
    beta1, beta2 = group["betas"]
    step = step.clone()  # the count goes on in place
    step_size = (group["lr"] / (1 - beta1**step)).neg()
    correction = (1 - beta2**step).sqrt()
    denominator = (mean_sq.sqrt() / (correction * step_size)).add_(group["eps"] / step_size)
    param.addcdiv_(mean.clone(), denominator)
