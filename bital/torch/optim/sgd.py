"""SGD: gradient descent with momentum (Sutskever et al. 2013) and its Nesterov form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.ops.optimize import momentum_step, sgd_step
from bital.ops.sparse import SparseTensor, add_into
from bital.torch.optim.optimizer import (
    Optimizer,
    ParamsT,
    _check_fused,
    _check_not_negative,
    _use_grad_for_differentiable,
)


class SGD(Optimizer):
    """p <- p - lr b where b is the gradient g, or with momentum b <- momentum b + (1-dampening) g.

    `weight_decay` adds weight_decay * p to g; `nesterov` looks ahead with g + momentum b;
    `maximize` climbs. `foreach` and `fused` choose an implementation in PyTorch and nothing here.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_not_negative(lr)
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)
        _check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # options that older releases did not save
            for name in ("nesterov", "maximize", "differentiable"):
                group.setdefault(name, False)
            group.setdefault("foreach", None)
            group.setdefault("fused", False)

    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = None if closure is None else self._closure_loss(closure)
        for group in self.param_groups:
            lr = group["lr"]
            differentiable_lr = False
            if isinstance(lr, torch.Tensor):
                differentiable_lr = lr.requires_grad
                lr = lr if differentiable_lr else lr.item()
            plain = not (group["momentum"] or group["weight_decay"] or group["maximize"])
            numbers = None if differentiable_lr else _numbers(group, lr)
            how = group["maximize"], group["nesterov"]
            for param in group["params"]:
                grad = param._grad
                if grad is None and (grad := param.grad) is None:  # which may warn
                    continue
                if numbers is not None and grad.__class__ is torch.Tensor:
                    buffer = self.state[param].get("momentum_buffer")
                    if buffer is not None and momentum_step(param, buffer, grad, numbers, *how):
                        continue
                if not plain:
                    grad = self._direction(param, grad, group)
                if grad.__class__ is SparseTensor:
                    add_into(param, grad, -lr)
                elif differentiable_lr:
                    param.addcmul_(grad, lr, value=-1)
                else:
                    sgd_step(param, grad, lr)
        return loss

    def _direction(self, param: Any, grad: Any, group: dict[str, Any]) -> Any:
        """Where the parameter goes: its gradient, with decay and momentum."""
        if group["maximize"]:
            grad = -grad
        weight_decay = group["weight_decay"]
        if isinstance(weight_decay, torch.Tensor):
            if weight_decay.requires_grad:
                grad = grad.addcmul(param.clone(), weight_decay)
            else:
                grad = grad.add(param, alpha=weight_decay.item())
        elif weight_decay != 0:
            grad = grad.add(param, alpha=weight_decay)
        momentum = group["momentum"]
        if momentum == 0:
            return grad
        state = self.state[param]
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = state["momentum_buffer"] = grad.detach().clone()
        else:
            buffer.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
        return grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer


def _numbers(group: dict[str, Any], lr: Any) -> tuple[float, float, float, float] | None:
    """The numbers of a step with momentum; None where there is none, or not only of numbers."""
    momentum, decay = group["momentum"], group["weight_decay"]
    if not momentum or not all(isinstance(x, (int, float)) for x in (lr, momentum, decay)):
        return None
    return float(momentum), 1.0 - group["dampening"], float(decay), float(lr)
