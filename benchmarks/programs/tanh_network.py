"""A 2-16-16-1 tanh network on 100 points: nn.Sequential and optim.SGD, one batch per step."""

from collections.abc import Callable

import torch
from timing import measure
from torch import nn


def setup() -> Callable[[int], object]:
    """Regression of a product of two coordinates."""
    points = torch.rand(100, 2) * 2 - 1
    targets = points[:, :1] * points[:, 1:]
    model = nn.Sequential(
        nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    )
    loss_function = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def run(count: int) -> object:
        for _ in range(count):
            optimizer.zero_grad()
            loss = loss_function(model(points), targets)
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
