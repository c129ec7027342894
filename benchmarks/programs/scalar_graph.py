"""A network of scalars, as micrograd builds it: 200 operations on 0-dimensional tensors.

2-6-6-6-1 with tanh, one example: (2 + 2 + 1) * 6 operations in the first layer, (6 + 6 + 1) * 6 in
the next two, 12 in the last and 2 in the loss.
"""

from collections.abc import Callable

import torch
from timing import as_it_is, measure


def scalars(count: int) -> list[torch.Tensor]:
    """Leaves drawn from the standard normal distribution."""
    return [torch.randn(()).requires_grad_() for _ in range(count)]


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """A step is forward, backward, and every weight nudged against its gradient."""
    sizes = (2, 6, 6, 6, 1)
    layers = [[scalars(fan_in + 1) for _ in range(out)] for fan_in, out in zip(sizes, sizes[1:])]
    weights = [w for layer in layers for neuron in layer for w in neuron]
    example, target = [torch.tensor(0.5), torch.tensor(-1.5)], torch.tensor(0.25)

    def forward(values: list[torch.Tensor]) -> torch.Tensor:
        for layer in layers:
            sums = []
            for *factors, total in layer:
                for factor, value in zip(factors, values):
                    total = total + factor * value
                sums.append(total)
            values = sums if layer is layers[-1] else [torch.tanh(s) for s in sums]
        return values[0]

    @prepare
    def loss_of() -> torch.Tensor:
        return (forward(example) - target) ** 2

    def run(count: int) -> float:
        for _ in range(count):
            loss = loss_of()
            loss.backward()
            with torch.no_grad():
                for w in weights:
                    w -= 0.001 * w.grad
                    w.grad = None
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
