"""Looking at a value: one operation on a 0-dimensional tensor, then `item()`."""

from collections.abc import Callable

import torch
from timing import measure


def setup() -> Callable[[int], float]:
    """A trace of a single operation in every step."""
    x = torch.zeros(())

    def run(count: int) -> float:
        for _ in range(count):
            value = (x + 1).item()
        return value

    return run


if __name__ == "__main__":
    measure(setup)
