"""A 784-256-128-10 network on batches of 64, with Adam: what an MNIST tutorial trains."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn

BATCHES = 32


def network() -> nn.Sequential:
    """Images (B, 784) -> scores of ten classes (B, 10)."""
    return nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Batches of random images (BATCHES, 64, 784) and labels (BATCHES, 64).

    Of mean zero, so that every unit is awake: the moments of one that always sleeps end as
    denormals, which processors are slow with, under torch, too.
    """
    return torch.randn(BATCHES, 64, 784), torch.randint(0, 10, (BATCHES, 64))


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """A step is forward, backward and update on one of the batches."""
    model = network()
    images, labels = data()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    @prepare
    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return criterion(model(images), labels)

    def run(count: int) -> float:
        for i in range(count):
            optimizer.zero_grad()
            loss = loss_of(images[i % BATCHES], labels[i % BATCHES])
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
