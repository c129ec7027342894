"""programs/inference.py with jax.jit."""

from collections.abc import Callable

import jax
import torch
from adam_network import network
from jax_adam_network import scores_of
from steps import arrays, measure


def setup() -> Callable[[int], float]:
    """The same numbers as there; the class is computed with the scores."""
    parameters = arrays(*network().parameters())
    images = arrays(*torch.rand(64, 1, 784))

    @jax.jit
    def infer(image: jax.Array) -> tuple[jax.Array, jax.Array]:
        scores = scores_of(parameters, image)
        return scores, scores.argmax()

    def run(count: int) -> float:
        total = 0
        for i in range(count):
            scores, chosen = infer(images[i % 64])
            total += chosen.item()
        return total / count + scores.sum().item()

    return run


if __name__ == "__main__":
    measure(setup)
