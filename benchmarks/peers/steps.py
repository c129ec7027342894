"""What the programs in jax.numpy share: their beginning, losses and updates.

Each jax_NAME.py does what programs/NAME.py does, as one jitted function per step, from the same
initial numbers (PyTorch draws them) and over the same batches.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from clock import report

Arrays = list[jax.Array]


def arrays(*tensors: torch.Tensor) -> Arrays:
    """Copies of tensors as JAX arrays."""
    return [jnp.array(t.detach().numpy()) for t in tensors]


def measure(setup: Callable[[], Callable[[int], float]]) -> None:
    """Print one line of JSON: see clock.report. Threads are set by NPROC, which XLA reads."""
    torch.manual_seed(0)
    report(setup())


def training(step: Callable, state: object, *data: jax.Array) -> Callable[[int], float]:
    """`run` of a program whose `step(state, *data)` gives the next state and the loss."""
    jitted = jax.jit(step, donate_argnums=0)

    def run(count: int) -> float:
        nonlocal state
        for _ in range(count):
            state, loss = jitted(state, *data)
        return loss.item()

    return run


def on_characters(
    step: Callable, state: object, text: torch.Tensor, block: int, batch: int
) -> Callable[[int], float]:
    """`run` of a program that draws `batch` pieces of `block` characters for each step."""
    (characters,) = arrays(text.int())

    def from_starts(state: object, characters: jax.Array, starts: jax.Array) -> tuple:
        pieces = characters[starts[:, None] + jnp.arange(block + 1)]
        return step(state, pieces[:, :-1], pieces[:, 1:])

    jitted = jax.jit(from_starts, donate_argnums=0)

    def run(count: int) -> float:
        nonlocal state
        for _ in range(count):
            starts = torch.randint(len(text) - block - 1, (batch,)).numpy()
            state, loss = jitted(state, characters, starts)
        return loss.item()

    return run


def cross_entropy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean over (..., C) scores and (...) labels."""
    chosen = jnp.take_along_axis(scores, labels[..., None], axis=-1)[..., 0]
    return (jax.nn.logsumexp(scores, axis=-1) - chosen).mean()


def linear(x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
    """x (..., I), weight (O, I), bias (O,) -> (..., O), as nn.Linear keeps them."""
    return x @ weight.T + bias


def sgd(parameters: Arrays, gradients: Arrays, lr: float) -> Arrays:
    """Plain gradient descent."""
    return [p - lr * g for p, g in zip(parameters, gradients)]


def momentum(
    parameters: Arrays, gradients: Arrays, speeds: Arrays, lr: float, decay: float = 0.0
) -> tuple[Arrays, Arrays]:
    """torch.optim.SGD with momentum 0.9; the speeds begin at zero, which is PyTorch's beginning."""
    gradients = [g + decay * p for g, p in zip(gradients, parameters)]
    speeds = [0.9 * v + g for v, g in zip(speeds, gradients)]
    return sgd(parameters, speeds, lr), speeds


def adam_state(parameters: Arrays) -> tuple:
    """Parameters, first and second moments, and the number of steps done."""
    return (
        parameters,
        [jnp.zeros_like(p) for p in parameters],
        [jnp.zeros_like(p) for p in parameters],
        jnp.zeros((), jnp.int32),
    )


def adam(state: tuple, gradients: Arrays, lr: float, decay: float = 0.0) -> tuple:
    """torch.optim.Adam; with `decay` torch.optim.AdamW."""
    parameters, first, second, count = state
    count = count + 1
    first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients)]
    second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients)]
    correction1, correction2 = 1 - 0.9**count, 1 - 0.999**count
    parameters = [
        p * (1 - lr * decay) - lr / correction1 * m / (jnp.sqrt(v / correction2) + 1e-8)
        for p, m, v in zip(parameters, first, second)
    ]
    return parameters, first, second, count


def clipped(gradients: Arrays, norm: float) -> Arrays:
    """nn.utils.clip_grad_norm_."""
    total = jnp.sqrt(sum((g * g).sum() for g in gradients))
    factor = jnp.minimum(norm / (total + 1e-6), 1)
    return [g * factor for g in gradients]
