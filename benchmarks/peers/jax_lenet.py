"""The step of programs/lenet.py with jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from lenet import network
from steps import Arrays, arrays, cross_entropy, linear, measure, momentum, training


def convolved(x: jax.Array, weight: jax.Array, bias: jax.Array, padding: int) -> jax.Array:
    """x (B, I, H, W), weight (O, I, 5, 5), bias (O,) -> (B, O, H', W')."""
    edges = [(padding, padding), (padding, padding)]
    return (
        jax.lax.conv(jnp.pad(x, [(0, 0), (0, 0), *edges]), weight, (1, 1), "VALID")
        + (bias[:, None, None])
    )


def pooled(x: jax.Array) -> jax.Array:
    """The largest of each 2x2 square."""
    window = (1, 1, 2, 2)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


def loss_of(parameters: Arrays, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    x = pooled(jax.nn.relu(convolved(images, w1, b1, 2)))
    x = pooled(jax.nn.relu(convolved(x, w2, b2, 0)))
    x = jax.nn.relu(linear(x.reshape(len(x), -1), w3, b3))
    return cross_entropy(linear(x, w4, b4), labels)


def step(state: tuple, images: jax.Array, labels: jax.Array) -> tuple[tuple, jax.Array]:
    """Forward, backward and update with momentum."""
    parameters, speeds = state
    loss, gradients = jax.value_and_grad(loss_of)(parameters, images, labels)
    return momentum(parameters, gradients, speeds, lr=0.01), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    parameters = arrays(*network().parameters())
    data = arrays(torch.randn(32, 1, 28, 28), torch.randint(0, 10, (32,)))
    return training(step, (parameters, [jnp.zeros_like(p) for p in parameters]), *data)


if __name__ == "__main__":
    measure(setup)
