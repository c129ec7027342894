"""The step of programs/main_example.py with jax.jit: all four gradients, two of them added up."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from steps import Arrays, arrays, measure


def loss_of(x: jax.Array, y: jax.Array, w1: jax.Array, w2: jax.Array) -> jax.Array:
    """Two layers, and the sum of squares."""
    return ((jax.nn.relu(x @ w1) @ w2 - y) ** 2).sum()


def step(state: Arrays, x: jax.Array, y: jax.Array) -> tuple[Arrays, jax.Array]:
    """State: w1, w2 and what .grad of x and y holds."""
    w1, w2, x_grad, y_grad = state
    loss, (gx, gy, g1, g2) = jax.value_and_grad(loss_of, (0, 1, 2, 3))(x, y, w1, w2)
    return [w1 - 1e-6 * g1, w2 - 1e-6 * g2, x_grad + gx, y_grad + gy], loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    sizes = ((32, 1000), (32, 2), (1000, 100), (100, 2))
    x, y, w1, w2 = arrays(*(torch.randn(*size) for size in sizes))
    state = [w1, w2, jnp.zeros_like(x), jnp.zeros_like(y)]
    jitted = jax.jit(step, donate_argnums=0)

    def run(count: int) -> float:
        nonlocal state
        for iteration in range(1, count + 1):
            state, loss = jitted(state, x, y)
            if iteration % 100 == 0:
                str(loss.item())
        return state[0][0, 0].item()

    return run


if __name__ == "__main__":
    measure(setup)
