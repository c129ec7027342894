"""Adam (Kingma and Ba 2014) with AMSGrad (Reddi et al. 2018) and decoupled weight decay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.torch.optim.optimizer import (
    Optimizer,
    ParamsT,
    _check_fused,
    _check_lr,
    _use_grad_for_differentiable,
)


def _number(x: Any) -> Any:
    """A tensor of one element as a number, where an operation takes only numbers."""
    return x.item() if isinstance(x, torch.Tensor) else x


class Adam(Optimizer):
    """p <- p - lr m' / (sqrt(v') + eps), m' and v' the bias-corrected means of g and g^2.

    `betas` are the decays of the two means. `weight_decay` adds weight_decay * p to g, or with
    `decoupled_weight_decay` shrinks p by itself; `amsgrad` divides by the largest v so far;
    `maximize` climbs. `foreach`, `fused` and `capturable` choose an implementation in PyTorch and
    nothing here.
    """

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
        _check_lr(lr, foreach, capturable)
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for index in (0, 1):
            if not 0.0 <= betas[index] < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {betas[index]}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if not any(all(isinstance(b, kind) for b in betas) for kind in (float, torch.Tensor)):
            raise ValueError("betas must be either both floats or both Tensors")
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        _check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # options that older releases did not save
            for name in ("amsgrad", "maximize", "capturable", "differentiable",
                         "decoupled_weight_decay"):  # fmt: skip
                group.setdefault(name, False)
            group.setdefault("foreach", None)
            group.setdefault("fused", None)
            for param in group["params"]:
                own = self.state.get(param, {})
                if own and not isinstance(own["step"], torch.Tensor):
                    own["step"] = torch.tensor(float(own["step"]), dtype=_step_dtype())

    def _init_state(self, param: Any, amsgrad: bool) -> dict[str, Any]:
        state = self.state[param]
        state["step"] = torch.tensor(0.0, dtype=_step_dtype())
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if amsgrad else [])]
        for name in names:
            state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = self._closure_loss(closure)
        for group in self.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                state = self.state[param] or self._init_state(param, group["amsgrad"])
                count = self._step_counts.advance(state["step"])
                self._update(param, grad, state, count, group)
        return loss

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        """One parameter; `count` is the number of its updates, this one included."""
        lr = group["lr"]
        beta1, beta2 = group["betas"]
        mean, mean_sq = state["exp_avg"], state["exp_avg_sq"]
        if group["maximize"]:
            grad = -grad
        weight_decay = group["weight_decay"]
        if weight_decay != 0:
            if group["decoupled_weight_decay"]:
                param.mul_(1 - lr * weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay)
        largest = state["max_exp_avg_sq"] if group["amsgrad"] else None
        if param.dtype.is_complex:  # both parts are numbers of their own
            param, grad, mean, mean_sq = map(torch.view_as_real, (param, grad, mean, mean_sq))
            largest = None if largest is None else torch.view_as_real(largest)
        mean.lerp_(grad, 1 - beta1)
        mean_sq.mul_(beta2).addcmul_(grad, grad, value=_number(1 - beta2))
        if largest is not None:
            largest.copy_(torch.maximum(largest, mean_sq))
            mean_sq = largest
        if group["differentiable"]:
            _differentiable_update(param, mean, mean_sq, state["step"], group)
            return
        step_size = lr / (1 - beta1**count)
        denominator = (mean_sq.sqrt() / (1 - beta2**count) ** 0.5).add_(group["eps"])
        param.addcdiv_(mean, denominator, value=_number(-step_size))


def _differentiable_update(
    param: Any, mean: Any, mean_sq: Any, step: Any, group: dict[str, Any]
) -> None:
    """The same update with every number a tensor, so that gradients flow to all of them."""
    beta1, beta2 = group["betas"]
    step_size = (group["lr"] / (1 - beta1**step)).neg()
    correction = (1 - beta2**step).sqrt()
    denominator = (mean_sq.sqrt() / (correction * step_size)).add_(group["eps"] / step_size)
    param.addcdiv_(mean, denominator)


def _step_dtype() -> Any:
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
