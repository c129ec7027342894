"""The loop of examples/autograd_mlp.py, printing included (every 100th step reads the loss)."""

from collections.abc import Callable

import torch
from timing import measure


def setup() -> Callable[[int], float]:
    """Batch 32, input 1000, hidden 100, output 2; weights updated by hand."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, device=device, dtype=torch.float).requires_grad_()

    x, y, w1, w2 = draw(32, 1000), draw(32, 2), draw(1000, 100), draw(100, 2)
    learning_rate = 1e-6

    def run(count: int) -> float:
        nonlocal w1, w2
        for iteration in range(1, count + 1):
            hidden = torch.nn.functional.relu(x.mm(w1))
            y_pred = hidden.mm(w2)
            loss = (y_pred - y).pow(2).sum()
            if iteration % 100 == 0:
                str(loss.item())
            loss.backward()
            with torch.no_grad():
                w1 -= learning_rate * w1.grad
                w2 -= learning_rate * w2.grad
                w1.grad.zero_()
                w2.grad.zero_()
        return w1[0, 0].item()

    return run


if __name__ == "__main__":
    measure(setup)
