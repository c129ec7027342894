"""RAdam: Adam that warms up by itself (Liu et al. 2019)."""

from __future__ import annotations

from typing import Any

from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_betas,
    _check_not_negative,
    _number,
    _scalar,
    _zeros,
)


class RAdam(PerParameter):
    """Adam whose steps are rectified by how well the mean of g^2 is known, at first not divided.

    `weight_decay` adds weight_decay * p to g, or with `decoupled_weight_decay` shrinks p by
    itself; `maximize` climbs; `foreach` chooses an implementation in PyTorch and nothing here.
    """

    _later_options = {**PerParameter._later_options, "decoupled_weight_decay": False}

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_not_negative(lr, epsilon=eps, weight_decay=weight_decay)
        _check_betas(betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": _scalar(0.0), **_zeros(param, "exp_avg", "exp_avg_sq")}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        lr = _number(group["lr"])
        beta1, beta2 = group["betas"]
        mean, mean_sq = state["exp_avg"], state["exp_avg_sq"]
        mean.lerp_(grad, 1 - beta1)
        mean_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        step_size = lr / (1 - beta1**count)
        correction = 1 - beta2**count
        longest = 2 / (1 - beta2) - 1  # of the simple moving average that the mean is like
        length = longest - 2 * count * beta2**count / correction
        if length <= 5.0:
            param.add_(mean, alpha=-step_size)
            return
        known = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
        denominator = mean_sq.sqrt() + group["eps"]
        param.addcdiv_(mean, denominator, value=-step_size * (known * correction) ** 0.5)
