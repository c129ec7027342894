"""SparseAdam: Adam that leaves alone what a sparse gradient leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.torch.optim.optimizer import Optimizer, ParamsT, _check_betas, _check_one_element


class SparseAdam(Optimizer):
    """Adam for sparse gradients, which bital has not: a step refuses dense ones, as PyTorch's."""

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        _check_one_element("lr", lr, None, False)
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        complex_params = [
            [i, j]
            for i, group in enumerate(self.param_groups)
            for j, param in enumerate(group["params"])
            if param.is_complex()
        ]
        if complex_params:
            raise ValueError(
                f"Complex params at indices {complex_params}: SparseAdam does not support complex "
                "parameters"
            )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Refuse every gradient that there is; returns the closure's loss where there is none."""
        loss = self._closure_loss(closure)
        for group in self.param_groups:
            if any(param.grad is not None for param in group["params"]):
                raise RuntimeError(
                    "SparseAdam does not support dense gradients, please consider Adam instead"
                )
        return loss
