"""Rprop: steps by the signs of gradients (Riedmiller and Braun 1993)."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_not_negative,
    _number,
    _scalar,
    _zeros,
)


class Rprop(PerParameter):
    """p <- p - sign(g) s where s grows while an element of g keeps its sign, and else shrinks.

    `etas` are the factors of shrinking and growing, `step_sizes` the limits of s, which begins at
    `lr`; an element whose sign changed stays. `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_not_negative(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        lr = _number(group["lr"])
        first = complex(lr, lr) if param.is_complex() else lr
        return {
            "step": _scalar(0.0),
            **_zeros(param, "prev"),
            "step_size": torch.full_like(param.grad, first),
        }

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        shrink, grow = group["etas"]
        smallest, largest = group["step_sizes"]
        previous, step_size = state["prev"], state["step_size"]
        sign = (grad * previous.clone()).sign()
        factor = torch.where(sign == 0, 1.0, sign)
        factor = torch.where(sign > 0, grow, torch.where(sign < 0, shrink, factor))
        step_size.mul_(factor).clamp_(smallest, largest)
        grad = torch.where(sign < 0, 0, grad)
        param.addcmul_(grad.sign(), step_size, value=-1)
        previous.copy_(grad)
