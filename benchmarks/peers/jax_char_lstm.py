"""The step of programs/char_lstm.py with jax.jit; the time steps are a lax.scan."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from char_lstm import Model
from steps import (
    Arrays,
    adam,
    adam_state,
    arrays,
    clipped,
    cross_entropy,
    linear,
    measure,
    on_characters,
)


def loss_of(parameters: Arrays, x: jax.Array, y: jax.Array) -> jax.Array:
    """Characters (B, T) and the next ones (B, T) -> the loss."""
    table, w_in, w_hidden, b_in, b_hidden, w_head, b_head = parameters
    gates_in = linear(table[x.T], w_in, b_in + b_hidden)  # (T, B, 4H)

    def advance(state: tuple, gates: jax.Array) -> tuple[tuple, jax.Array]:
        h, c = state
        i, f, g, o = jnp.split(gates + h @ w_hidden.T, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((len(x), w_hidden.shape[1]))
    _, hidden = jax.lax.scan(advance, (zeros, zeros), gates_in)
    return cross_entropy(linear(hidden, w_head, b_head), y.T)


def step(state: tuple, x: jax.Array, y: jax.Array) -> tuple[tuple, jax.Array]:
    """Forward, backward, clipping and Adam's update."""
    loss, gradients = jax.value_and_grad(loss_of)(state[0], x, y)
    return adam(state, clipped(gradients, 1.0), lr=1e-3), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    text = torch.randint(65, (20000,))
    parameters = arrays(*Model(65, 128).parameters())
    return on_characters(step, adam_state(parameters), text, block=32, batch=32)


if __name__ == "__main__":
    measure(setup)
