"""Training a LeNet-like network: two convolutions with pooling, then two linear layers."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn


def network() -> nn.Sequential:
    """Images (B, 1, 28, 28) -> scores of ten classes (B, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 10),
    )  # fmt: skip


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """Batch 32 of 1x28x28, ten classes, SGD with momentum."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    images, labels = torch.randn(32, 1, 28, 28), torch.randint(0, 10, (32,))

    @prepare
    def loss_of() -> torch.Tensor:
        return criterion(net(images), labels)

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
