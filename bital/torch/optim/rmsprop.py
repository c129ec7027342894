"""RMSprop (Hinton 2012), with momentum and centred (Graves 2013)."""

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


class RMSprop(PerParameter):
    """p <- p - lr b where b is g / (sqrt(v) + eps), with momentum b <- momentum b + that.

    v is the mean of g^2 with decay `alpha`; with `centered` the square of the mean of g is
    subtracted. `weight_decay` adds weight_decay * p to g; `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    _later_options = {**PerParameter._later_options, "momentum": 0, "centered": False}

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_not_negative(
            lr, epsilon=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha
        )
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        return {"step": _scalar(0.0), **_zeros(param, *names)}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        lr, alpha, mean_sq = _number(group["lr"]), group["alpha"], state["square_avg"]
        mean_sq.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"]
            mean.lerp_(grad, 1 - alpha)
            mean_sq = mean_sq.addcmul(mean, mean, value=-1)
        denominator = mean_sq.sqrt() + group["eps"]
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer.mul_(group["momentum"]).addcdiv_(grad, denominator)
            param.add_(buffer, alpha=-lr)
        else:
            param.addcdiv_(grad, denominator, value=-lr)
