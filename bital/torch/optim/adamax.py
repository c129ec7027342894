"""Adamax, Adam with the infinity norm (Kingma and Ba 2014)."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_betas,
    _check_not_negative,
    _number,
    _scalar,
    _zeros,
)


class Adamax(PerParameter):
    """p <- p - lr m' / u where u <- max(beta2 u, |g| + eps), m' the bias-corrected mean of g.

    `weight_decay` adds weight_decay * p to g; `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_not_negative(lr, epsilon=eps, weight_decay=weight_decay)
        _check_betas(betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": _scalar(0.0), **_zeros(param, "exp_avg", "exp_inf")}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        mean, largest = state["exp_avg"], state["exp_inf"]
        mean.lerp_(grad, 1 - beta1)
        largest.copy_(torch.maximum(largest * beta2, grad.abs() + group["eps"]))
        rate = _number(group["lr"]) / (1 - beta1**count)
        param.addcdiv_(mean, largest, value=-rate)
