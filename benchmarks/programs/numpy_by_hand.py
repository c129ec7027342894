"""The main example's iteration in plain NumPy, with every array reused: what an interpreter that
calls NumPy for each operation cannot get below. Nothing is differentiated or recorded here."""

from collections.abc import Callable

import numpy as np
from timing import measure


def setup() -> Callable[[int], float]:
    """Batch 32, input 1000, hidden 100, output 2, as in main_example.py."""
    rng = np.random.default_rng(0)

    def draw(*size: int) -> np.ndarray:
        return rng.standard_normal(size, dtype=np.float32)

    x, y, w1, w2 = draw(32, 1000), draw(32, 2), draw(1000, 100), draw(100, 2)
    x_grad, y_grad = np.zeros_like(x), np.zeros_like(y)
    hidden, w1_grad, x_part = np.empty_like(draw(32, 100)), np.empty_like(w1), np.empty_like(x)
    learning_rate = np.float32(1e-6)

    def run(count: int) -> float:
        for _ in range(count):
            np.maximum(np.matmul(x, w1, out=hidden), 0, out=hidden)
            error = hidden @ w2 - y
            loss = np.square(error).sum()
            error *= 2
            hidden_grad = error @ w2.T
            hidden_grad *= hidden > 0
            w2_grad = hidden.T @ error
            np.add(x_grad, np.matmul(hidden_grad, w1.T, out=x_part), out=x_grad)
            np.subtract(y_grad, error, out=y_grad)
            np.matmul(x.T, hidden_grad, out=w1_grad)
            np.multiply(w1_grad, learning_rate, out=w1_grad)
            np.subtract(w1, w1_grad, out=w1)
            np.subtract(w2, w2_grad * learning_rate, out=w2)
        return loss

    return run


if __name__ == "__main__":
    measure(setup)
