"""The step of programs/adam_network.py with jax.jit."""

from collections.abc import Callable

import jax
import torch
from adam_network import network
from steps import Arrays, adam, adam_state, arrays, cross_entropy, linear, measure, training


def scores_of(parameters: Arrays, images: jax.Array) -> jax.Array:
    """Images (B, 784) -> scores (B, 10)."""
    w1, b1, w2, b2, w3, b3 = parameters
    hidden = jax.nn.relu(linear(images, w1, b1))
    return linear(jax.nn.relu(linear(hidden, w2, b2)), w3, b3)


def loss_of(parameters: Arrays, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy."""
    return cross_entropy(scores_of(parameters, images), labels)


def step(state: tuple, images: jax.Array, labels: jax.Array) -> tuple[tuple, jax.Array]:
    """Forward, backward and Adam's update."""
    loss, gradients = jax.value_and_grad(loss_of)(state[0], images, labels)
    return adam(state, gradients, lr=1e-3), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    parameters = arrays(*network().parameters())
    images, labels = arrays(torch.rand(64, 784), torch.randint(0, 10, (64,)))
    return training(step, adam_state(parameters), images, labels)


if __name__ == "__main__":
    measure(setup)
