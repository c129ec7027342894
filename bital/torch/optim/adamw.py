"""AdamW: Adam with the weight decay apart from the gradient (Loshchilov and Hutter 2017)."""

from __future__ import annotations

from typing import Any

from bital.torch.optim.adam import Adam
from bital.torch.optim.optimizer import ParamsT


class AdamW(Adam):
    """Adam that first shrinks every parameter by lr * weight_decay of itself."""

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a state saved by plain Adam does not change what AdamW is
            group["decoupled_weight_decay"] = True
