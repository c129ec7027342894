"""A gated recurrent unit written by hand: 32 time steps, batch 32, 128 units.

Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), in PyTorch's form.
"""

from collections.abc import Callable
from math import sqrt

import torch
from timing import as_it_is, measure

STEPS, BATCH, WIDTH = 32, 32, 128


def draw() -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Inputs (T, B, H), targets (B, H), and the parameters: per gate W (H, H), U (H, H), b (H,)."""
    bound = 1 / sqrt(WIDTH)
    shapes = 3 * [(WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH,)]
    parameters = [torch.empty(*shape).uniform_(-bound, bound) for shape in shapes]
    return torch.randn(STEPS, BATCH, WIDTH), torch.rand(BATCH, WIDTH) * 2 - 1, parameters


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """Regression of the last state; a step is forward, backward and update."""
    inputs, targets, parameters = draw()
    for p in parameters:
        p.requires_grad_()
    wr, ur, br, wz, uz, bz, wn, un, bn = parameters

    @prepare
    def loss_of() -> torch.Tensor:
        h = torch.zeros(BATCH, WIDTH)
        for x in inputs:
            r = torch.sigmoid(x @ wr + h @ ur + br)
            z = torch.sigmoid(x @ wz + h @ uz + bz)
            n = torch.tanh(x @ wn + r * (h @ un) + bn)
            h = (1 - z) * n + z * h
        return (h - targets).pow(2).mean()

    def run(count: int) -> float:
        for _ in range(count):
            loss = loss_of()
            loss.backward()
            with torch.no_grad():
                for p in parameters:
                    p -= 0.1 * p.grad
                    p.grad = None
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
