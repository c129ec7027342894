"""A 2-16-16-1 tanh network on 100 points: nn.Sequential and optim.SGD, one batch per step."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn


def network() -> nn.Sequential:
    """Points (B, 2) -> values (B, 1)."""
    return nn.Sequential(
        nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    )


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """Regression of a product of two coordinates."""
    points = torch.rand(100, 2) * 2 - 1
    targets = points[:, :1] * points[:, 1:]
    model = network()
    loss_function = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    @prepare
    def loss_of() -> torch.Tensor:
        return loss_function(model(points), targets)

    def run(count: int) -> float:
        for _ in range(count):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
