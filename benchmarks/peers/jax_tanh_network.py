"""The step of programs/tanh_network.py with jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from steps import Arrays, arrays, linear, measure, sgd, training
from tanh_network import network


def loss_of(parameters: Arrays, points: jax.Array, targets: jax.Array) -> jax.Array:
    """The mean squared error."""
    w1, b1, w2, b2, w3, b3 = parameters
    hidden = jnp.tanh(linear(jnp.tanh(linear(points, w1, b1)), w2, b2))
    return ((linear(hidden, w3, b3) - targets) ** 2).mean()


def step(state: Arrays, points: jax.Array, targets: jax.Array) -> tuple[Arrays, jax.Array]:
    """Forward, backward and update."""
    loss, gradients = jax.value_and_grad(loss_of)(state, points, targets)
    return sgd(state, gradients, lr=0.1), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    points = torch.rand(100, 2) * 2 - 1
    data = arrays(points, points[:, :1] * points[:, 1:])
    return training(step, arrays(*network().parameters()), *data)


if __name__ == "__main__":
    measure(setup)
