"""NAdam: Adam with Nesterov's momentum (Dozat 2016)."""

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


class NAdam(PerParameter):
    """Adam that steps along the mean as it will be after the next step.

    The momentum of the n-th step is beta1 (1 - 0.96^(n momentum_decay) / 2); the state
    "mu_product" is the product of all so far. `weight_decay` adds weight_decay * p to g, or with
    `decoupled_weight_decay` shrinks p by itself; `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    _later_options = {**PerParameter._later_options, "decoupled_weight_decay": False}
    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_not_negative(
            lr, epsilon=eps, weight_decay=weight_decay, momentum_decay=momentum_decay
        )
        _check_betas(betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        first = {"step": _scalar(0.0), "mu_product": _scalar(1.0)}
        return {**first, **_zeros(param, "exp_avg", "exp_avg_sq")}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        lr = _number(group["lr"])
        beta1, beta2 = group["betas"]
        mean, mean_sq, product = state["exp_avg"], state["exp_avg_sq"], state["mu_product"]

        def momentum(step: float) -> float:
            return beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))

        now, then = momentum(count), momentum(count + 1)
        so_far = self._numbers.scale(product, now)
        mean.lerp_(grad, 1 - beta1)
        mean_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        denominator = (mean_sq / (1 - beta2**count)).sqrt() + group["eps"]
        param.addcdiv_(grad, denominator, value=-lr * (1.0 - now) / (1.0 - so_far))
        param.addcdiv_(mean, denominator, value=-lr * then / (1.0 - so_far * then))
