"""SparseAdam: Adam that leaves alone what a sparse gradient leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.ops.sparse import places_of
from bital.torch.optim.optimizer import (
    Optimizer,
    ParamsT,
    _check_betas,
    _check_one_element,
    _number,
    _zeros,
)


class SparseAdam(Optimizer):
    """Adam whose means, and whose parameters, change only where a sparse gradient has elements.

    Dense gradients are refused. `maximize` climbs.
    """

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
        for kind, unwanted, text in (
            ("Sparse", lambda p: p.is_sparse, "requires dense parameter tensors"),
            ("Complex", lambda p: p.is_complex(), "does not support complex parameters"),
        ):
            places = [
                [i, j]
                for i, group in enumerate(self.param_groups)
                for j, param in enumerate(group["params"])
                if unwanted(param)
            ]
            if places:
                raise ValueError(f"{kind} params at indices {places}: SparseAdam {text}")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = self._closure_loss(closure)
        for group in self.param_groups:
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if not grad.is_sparse:
                    raise RuntimeError(
                        "SparseAdam does not support dense gradients, please consider Adam instead"
                    )
                state = self.state[param]
                if not state:
                    state.update(step=0, **_zeros(param, "exp_avg", "exp_avg_sq"))
                state["step"] += 1
                self._update(param, (-grad if group["maximize"] else grad).coalesce(), group)
        return loss

    def _update(self, param: Any, grad: Any, group: dict[str, Any]) -> None:
        if not grad._nnz():
            return
        state, (beta1, beta2) = self.state[param], group["betas"]
        places, numbers = places_of(grad), grad._values()
        means = []
        for name, beta, new in (
            ("exp_avg", beta1, numbers),
            ("exp_avg_sq", beta2, numbers * numbers),
        ):
            old = state[name][places]
            means.append(old + (new - old) * (1 - beta))
            state[name].index_put_(places, means[-1])
        correction1, correction2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        step_size = _number(group["lr"]) * correction2**0.5 / correction1
        change = means[0] / (means[1].sqrt() + group["eps"]) * -step_size
        param.index_put_(places, change, accumulate=True)
