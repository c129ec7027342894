"""Training a small residual network with batch norm."""

from collections.abc import Callable

import torch
from timing import as_it_is, measure
from torch import nn


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and the input added."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


def network() -> nn.Sequential:
    """Images (B, 3, 32, 32) -> scores of ten classes (B, 10)."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """Batch 16 of 3x32x32, ten classes, three blocks of 16, 32 and 64 channels."""
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    images, labels = torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))

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
