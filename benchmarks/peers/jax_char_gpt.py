"""The step of programs/char_gpt.py with jax.jit."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import torch
from char_gpt import GPT
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

LAYERS, HEADS, WIDTH, BLOCK = 4, 4, 128, 64


def normalised(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    """Layer norm over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def attention(x: jax.Array, p: Iterator[jax.Array]) -> jax.Array:
    """Causal self-attention of several heads: (B, T, C) -> (B, T, C)."""
    B, T, C = x.shape
    parts = jnp.split(linear(x, next(p), next(p)), 3, axis=-1)
    q, k, v = (t.reshape(B, T, HEADS, C // HEADS).transpose(0, 2, 1, 3) for t in parts)
    scores = q @ k.transpose(0, 1, 3, 2) / (C // HEADS) ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), scores, -jnp.inf)
    y = jax.nn.softmax(scores, axis=-1) @ v
    return linear(y.transpose(0, 2, 1, 3).reshape(B, T, C), next(p), next(p))


def loss_of(parameters: Arrays, x: jax.Array, y: jax.Array) -> jax.Array:
    """Characters (B, T) and the next ones (B, T) -> the loss."""
    p = iter(parameters)
    h = next(p)[x] + next(p)
    for _ in range(LAYERS):
        norm1, norm2 = (next(p), next(p)), (next(p), next(p))
        h = h + attention(normalised(h, *norm1), p)
        inner = jax.nn.gelu(linear(normalised(h, *norm2), next(p), next(p)), approximate=False)
        h = h + linear(inner, next(p), next(p))
    return cross_entropy(normalised(h, next(p), next(p)) @ next(p).T, y)


def step(state: tuple, x: jax.Array, y: jax.Array) -> tuple[tuple, jax.Array]:
    """Forward, backward, clipping and AdamW's update."""
    loss, gradients = jax.value_and_grad(loss_of)(state[0], x, y)
    return adam(state, clipped(gradients, 1.0), lr=1e-3, decay=0.01), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    text = torch.randint(65, (20000,))
    parameters = arrays(*GPT(65, BLOCK, LAYERS, HEADS, WIDTH).parameters())
    return on_characters(step, adam_state(parameters), text, block=BLOCK, batch=12)


if __name__ == "__main__":
    measure(setup)
