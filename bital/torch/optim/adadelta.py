"""Adadelta (Zeiler 2012)."""

from __future__ import annotations

from typing import Any

from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_not_negative,
    _number,
    _scalar,
    _zeros,
)


class Adadelta(PerParameter):
    """p <- p - lr d where d is g times the root mean square of past d over that of past g.

    `rho` is the decay of the means and `eps` is added to them. `weight_decay` adds weight_decay * p
    to g; `maximize` climbs; `foreach` chooses an implementation in PyTorch and nothing here.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_not_negative(lr, epsilon=eps, weight_decay=weight_decay)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": _scalar(0.0), **_zeros(param, "square_avg", "acc_delta")}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        rho, eps = group["rho"], group["eps"]
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        delta = (acc_delta + eps).sqrt() / (square_avg + eps).sqrt() * grad
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-_number(group["lr"]))
