"""Adafactor (Shazeer and Stern 2018): the mean of g^2 of a matrix by its rows and columns."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.optim.optimizer import (
    ParamsT,
    PerParameter,
    _check_one_element,
    _number,
    _scalar,
)


class Adafactor(PerParameter):
    """p <- p - a u / max(1, rms(u) / d) where u is g over the root of the estimate of g^2.

    a is the larger of eps[1] and rms(p), times the smaller of lr and n^-1/2 at the n-th step; the
    decay of the means is 1 - n^beta2_decay. For matrices (the last two axes) only the means of
    rows and columns are kept. eps[0] is the least root of the estimate, None for the dtype's
    epsilon. `weight_decay` shrinks p by itself; `maximize` climbs; `foreach` chooses an
    implementation in PyTorch and nothing here.
    """

    _later_options = {"foreach": None}

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        _check_one_element("lr", lr, None, False)
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _init_state(self, param: Any, group: dict[str, Any]) -> dict[str, Any]:
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        grad, shape = param.grad, list(param.grad.shape)
        step = {"step": _scalar(0.0)}
        if grad.dim() < 2:
            return {**step, "variance": torch.zeros_like(grad)}
        rows, columns = [*shape[:-1], 1], [*shape[:-2], 1, shape[-1]]
        return {**step, "row_var": grad.new_zeros(rows), "col_var": grad.new_zeros(columns)}

    def _update_one(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        count = self._numbers.advance(state["step"])
        grad = -grad if group["maximize"] else grad
        lr, weight_decay, (eps1, eps2) = _number(group["lr"]), group["weight_decay"], group["eps"]
        eps1 = torch.finfo(param.dtype).eps if eps1 is None else eps1
        scale = _at_least(_rms(param), eps2) * min(lr, count**-0.5)
        if weight_decay != 0:
            param.mul_(1 - lr * weight_decay)
        estimate = _mean_square(grad, state, count ** group["beta2_decay"], eps1)
        update = estimate.clamp(min=eps1 * eps1).rsqrt() * grad
        scale = scale / _at_least(_rms(update) / group["d"], 1.0)
        param.sub_(update * scale)


def _mean_square(grad: Any, state: dict[str, Any], weight: float, eps1: float) -> Any:
    """The estimate of the mean of g^2 that a state holds, after it has met `grad`."""
    if grad.dim() < 2:
        return state["variance"].lerp_(grad * grad, weight)
    rows, columns = state["row_var"], state["col_var"]
    for each, dim in ((rows, -1), (columns, -2)):
        each.lerp_(torch.norm(grad, dim=dim, keepdim=True).square() / grad.size(dim), weight)
    return rows @ columns / rows.mean(dim=-2, keepdim=True).clamp(min=eps1)


def _rms(t: Any) -> Any:
    """The root of the mean square, a tensor of one float64, which does not widen what it meets."""
    return t.norm(2).to(torch.float64) / t.numel() ** 0.5


def _at_least(x: Any, low: float) -> Any:
    """The larger of the two; `low` where x is not a number, as Python's `max(low, x)`."""
    return torch.where(x > low, x, low)
