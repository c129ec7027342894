"""The step of programs/scalar_graph.py with jax.jit: every scalar an array of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from scalar_graph import scalars
from steps import Arrays, arrays, measure, sgd, training

SIZES = (2, 6, 6, 6, 1)


def loss_of(weights: Arrays) -> jax.Array:
    """The squared error of one example."""
    remaining = iter(weights)
    values = [0.5, -1.5]
    for fan_in, out in zip(SIZES, SIZES[1:]):
        sums = []
        for _ in range(out):
            *factors, total = [next(remaining) for _ in range(fan_in + 1)]
            for factor, value in zip(factors, values):
                total = total + factor * value
            sums.append(total)
        values = sums if out == 1 else [jnp.tanh(s) for s in sums]
    return (values[0] - 0.25) ** 2


def step(state: Arrays) -> tuple[Arrays, jax.Array]:
    """Forward, backward and update."""
    loss, gradients = jax.value_and_grad(loss_of)(state)
    return sgd(state, gradients, lr=0.001), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    count = sum((fan_in + 1) * out for fan_in, out in zip(SIZES, SIZES[1:]))
    return training(step, arrays(*scalars(count)))


if __name__ == "__main__":
    measure(setup)
