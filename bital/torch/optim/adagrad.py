"""Adagrad (Duchi, Hazan and Singer 2011)."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.ops.sparse import SparseTensor, places_of
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_fused,
    _check_not_negative,
    _number,
    _scalar,
)


class Adagrad(PerParameter):
    """p <- p - lr' g / (sqrt(s) + eps) where s is the sum of all g^2 so far.

    lr' is lr / (1 + (n - 1) lr_decay) at the n-th step, and s begins at
    `initial_accumulator_value`. `weight_decay` adds weight_decay * p to g; `maximize` climbs;
    `foreach` and `fused` choose an implementation in PyTorch and nothing here.
    """

    _refuses_sparse = None
    _later_options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_not_negative(
            lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, epsilon=eps,
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        _check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param] = self._init_state(param, group)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        start = self.defaults["initial_accumulator_value"]
        if param.is_complex():
            start = complex(start, start)
        step = torch.zeros((), dtype=torch.float32) if group["fused"] else _scalar(0.0)
        return {
            "step": step,
            "sum": torch.full_like(param, start, memory_format=torch.preserve_format),
        }

    def share_memory(self) -> None:
        """Put the sums where other processes see them."""
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"].share_memory_()

    def _update_one(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        if grad.__class__ is not SparseTensor:
            super()._update_one(param, grad, state, group)
            return
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        rate = self._rate(self._numbers.advance(state["step"]), group)
        grad = (-grad if group["maximize"] else grad).coalesce()
        places, numbers = places_of(grad), grad._values()
        state["sum"].index_put_(places, numbers * numbers, accumulate=True)
        root = state["sum"][places].sqrt() + group["eps"]
        param.index_put_(places, numbers / root * -rate, accumulate=True)

    @staticmethod
    def _rate(count: float, group: dict[str, Any]) -> float:
        return _number(group["lr"]) / (1 + (count - 1) * group["lr_decay"])

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        total = state["sum"]
        total.addcmul_(grad, grad, value=1)
        root = total.sqrt() + group["eps"]
        param.addcdiv_(grad, root, value=-self._rate(count, group))
