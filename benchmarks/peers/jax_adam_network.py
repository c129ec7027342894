"""The step of programs/adam_network.py with jax.jit."""

from collections.abc import Callable
from functools import partial

import jax
from adam_network import BATCHES, data, network
from steps import Arrays, adam, adam_state, arrays, cross_entropy, linear, measure


def scores_of(parameters: Arrays, images: jax.Array) -> jax.Array:
    """Images (B, 784) -> scores (B, 10)."""
    w1, b1, w2, b2, w3, b3 = parameters
    hidden = jax.nn.relu(linear(images, w1, b1))
    return linear(jax.nn.relu(linear(hidden, w2, b2)), w3, b3)


def loss_of(parameters: Arrays, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy."""
    return cross_entropy(scores_of(parameters, images), labels)


@partial(jax.jit, donate_argnums=0)
def step(state: tuple, images: jax.Array, labels: jax.Array, batch: int) -> tuple[tuple, jax.Array]:
    """Forward, backward and Adam's update on one of the batches."""
    loss, gradients = jax.value_and_grad(loss_of)(state[0], images[batch], labels[batch])
    return adam(state, gradients, lr=1e-3), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    state = adam_state(arrays(*network().parameters()))
    images, labels = arrays(*data())

    def run(count: int) -> float:
        nonlocal state
        for i in range(count):
            state, loss = step(state, images, labels, i % BATCHES)
        return loss.item()

    return run


if __name__ == "__main__":
    measure(setup)
