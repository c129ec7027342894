"""ASGD: gradient descent whose parameters are averaged (Polyak and Juditsky 1992)."""

from __future__ import annotations

from typing import Any

import numpy as np

import bital.torch as torch
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_not_negative,
    _number,
    _scalar,
    _zeros,
)


class ASGD(PerParameter):
    """p <- (1 - lambd eta) p - eta g where eta falls with the steps; the state "ax" averages p.

    After the n-th step eta is lr / (1 + lambd lr n)^alpha; averaging begins at step `t0`.
    `weight_decay` adds weight_decay * p to g; `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    _scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_not_negative(lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        rate = float(_number(group["lr"]))
        first = {"step": _scalar(0.0), "eta": _scalar(rate), "mu": _scalar(1.0)}
        return {**first, **_zeros(param, "ax")}

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], count: float, group: dict[str, Any]
    ) -> None:
        lr, lambd, average = _number(group["lr"]), group["lambd"], state["ax"]
        eta, weight = self._numbers.get(state["eta"]), self._numbers.get(state["mu"])
        param.mul_(1 - lambd * eta)
        param.add_(grad, alpha=-eta)
        if weight == 1:
            average.copy_(param)
        else:
            average.add_((param - average) * weight)
        eta = lr / (1 + lambd * lr * count) ** group["alpha"]
        self._numbers.put(state["eta"], _as_default(eta))
        self._numbers.put(state["mu"], _as_default(1 / max(1, count - group["t0"])))


def _as_default(value: float) -> float:
    """The number as a tensor of the default dtype has it, which PyTorch makes of it first."""
    wide = torch.get_default_dtype() == torch.float64
    return value if wide else float(np.float32(value))
