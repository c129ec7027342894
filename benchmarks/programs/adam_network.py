"""A 784-256-128-10 network on batches of 64, with Adam: what an MNIST tutorial trains."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn


def network() -> nn.Sequential:
    """Images (B, 784) -> scores of ten classes (B, 10)."""
    return nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """One random batch; a step is forward, backward and update."""
    model = network()
    images, labels = torch.rand(64, 784), torch.randint(0, 10, (64,))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    @prepare
    def loss_of() -> torch.Tensor:
        return criterion(model(images), labels)

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
