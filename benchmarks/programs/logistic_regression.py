"""Logistic regression, 10,000 examples of 100 features, by Newton steps without a Hessian.

Each step solves for its direction by conjugate gradients; what the Hessian does to a vector comes
from differentiating the gradient (Pearlmutter, "Fast exact multiplication by the Hessian", 1994).
"""

from collections.abc import Callable

import torch
from timing import measure
from torch.nn.functional import binary_cross_entropy_with_logits

PRODUCTS = 3
DAMPING = 0.01


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Features (10000, 100) and labels (10000,) that they explain in part."""
    features, truth = torch.randn(10_000, 100), torch.randn(100)
    labels = features @ truth + 3 * torch.randn(10_000) > 0
    return features, labels.float()


def setup() -> Callable[[int], float]:
    """A step is the loss, its gradient, PRODUCTS Hessian-vector products and an update."""
    features, labels = data()
    w = torch.zeros(100, requires_grad=True)

    def step() -> torch.Tensor:
        loss = binary_cross_entropy_with_logits(features @ w, labels)
        (gradient,) = torch.autograd.grad(loss, w, create_graph=True)
        residual = -gradient.detach()
        direction, solution = residual, torch.zeros(100)
        square = residual @ residual
        for _ in range(PRODUCTS):
            (product,) = torch.autograd.grad(gradient, w, direction, retain_graph=True)
            product = product + DAMPING * direction
            length = square / (direction @ product)
            solution = solution + length * direction
            residual = residual - length * product
            square, before = residual @ residual, square
            direction = residual + square / before * direction
        with torch.no_grad():
            w.add_(solution, alpha=0.1)
        return loss

    def run(count: int) -> float:
        for _ in range(count):
            loss = step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
