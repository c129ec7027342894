"""The step of programs/gru.py with jax.jit; the time steps are a lax.scan."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from gru import draw
from steps import Arrays, arrays, measure, sgd, training


def loss_of(parameters: Arrays, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean squared error of the last state."""
    wr, ur, br, wz, uz, bz, wn, un, bn = parameters

    def advance(h: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
        r = jax.nn.sigmoid(x @ wr + h @ ur + br)
        z = jax.nn.sigmoid(x @ wz + h @ uz + bz)
        n = jnp.tanh(x @ wn + r * (h @ un) + bn)
        return (1 - z) * n + z * h, None

    h, _ = jax.lax.scan(advance, jnp.zeros_like(targets), inputs)
    return ((h - targets) ** 2).mean()


def step(state: Arrays, inputs: jax.Array, targets: jax.Array) -> tuple[Arrays, jax.Array]:
    """Forward, backward and update."""
    loss, gradients = jax.value_and_grad(loss_of)(state, inputs, targets)
    return sgd(state, gradients, lr=0.1), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    inputs, targets, parameters = draw()
    return training(step, arrays(*parameters), *arrays(inputs, targets))


if __name__ == "__main__":
    measure(setup)
