"""A 64-128-128-10 network with Adam on batches of another size at every step, 200 sizes in all."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn

SIZES = 200


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """A step is forward, backward and update on a batch of 16 to 215 rows."""
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sizes = torch.randperm(SIZES).add(16).tolist()
    batches = [(torch.randn(n, 64), torch.randint(0, 10, (n,))) for n in sizes]
    step = 0

    @prepare
    def loss_of(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return criterion(model(rows), labels)

    def run(count: int) -> float:
        nonlocal step
        for _ in range(count):
            rows, labels = batches[step % SIZES]
            optimizer.zero_grad()
            loss = loss_of(rows, labels)
            loss.backward()
            optimizer.step()
            step += 1
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
