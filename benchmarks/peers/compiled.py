"""The benchmark programs with torch.compile: `compiled.py NAME`, where NAME is a program's.

The function from the inputs to the loss (for inference: to the scores) is compiled, and with
it its backward pass, as in PyTorch's tutorials; the update stays with the optimizer. The main
example has no such function, so its step is written here once more.
"""

import sys
from collections.abc import Callable
from importlib import import_module

import torch
from timing import measure


def main_example() -> Callable[[int], float]:
    """The step of programs/main_example.py with a function that can be compiled."""
    x, y, w1, w2 = (
        torch.randn(*size).requires_grad_() for size in ((32, 1000), (32, 2), (1000, 100), (100, 2))
    )
    learning_rate = 1e-6

    @torch.compile
    def loss_of(x: torch.Tensor, y: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor):
        return (torch.relu(x.mm(w1)).mm(w2) - y).pow(2).sum()

    def run(count: int) -> float:
        nonlocal w1, w2
        for _ in range(count):
            loss_of(x, y, w1, w2).backward()
            with torch.no_grad():
                w1 -= learning_rate * w1.grad
                w2 -= learning_rate * w2.grad
                w1.grad.zero_()
                w2.grad.zero_()
        return w1[0, 0].item()

    return run


def main() -> None:
    """Measure the program named on the command line."""
    (name,) = sys.argv[1:]
    if name == "main_example":
        measure(main_example)
    else:
        program = import_module(name)
        measure(lambda: program.setup(torch.compile))


if __name__ == "__main__":
    main()
