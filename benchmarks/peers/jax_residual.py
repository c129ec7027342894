"""The step of programs/residual.py with jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from residual import network
from steps import Arrays, arrays, cross_entropy, linear, measure, momentum, training


def convolved(x: jax.Array, weight: jax.Array, stride: int) -> jax.Array:
    """x (B, I, H, W), weight (O, I, K, K) -> (B, O, H / stride, W / stride)."""
    edges = 2 * [(weight.shape[-1] // 2,) * 2]
    return jax.lax.conv_general_dilated(x, weight, (stride, stride), edges)


class Norms:
    """Batch norms in the order of their use; they collect their running averages."""

    def __init__(self, averages: Arrays) -> None:
        self.averages = iter(averages)
        self.updated: Arrays = []

    def __call__(self, x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
        """x (B, C, H, W) normalised over all but C."""
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
        unbiased = variance * (x.size / len(mean)) / (x.size / len(mean) - 1)
        for statistic in (mean, unbiased):
            self.updated.append(0.9 * next(self.averages) + 0.1 * statistic)
        scale = weight / jnp.sqrt(variance + 1e-5)
        return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]


def loss_of(
    parameters: Arrays, averages: Arrays, images: jax.Array, labels: jax.Array
) -> tuple[jax.Array, Arrays]:
    """Cross entropy, and the running averages."""
    p, norm = iter(parameters), Norms(averages)

    def conv_norm(x: jax.Array, stride: int = 1) -> jax.Array:
        return norm(convolved(x, next(p), stride), next(p), next(p))

    x = jax.nn.relu(conv_norm(images))
    for stride in (1, 2, 2):
        out = conv_norm(jax.nn.relu(conv_norm(x, stride)))
        x = jax.nn.relu(out + (x if stride == 1 else conv_norm(x, stride)))
    loss = cross_entropy(linear(x.mean((2, 3)), next(p), next(p)), labels)
    return loss, norm.updated


def step(state: tuple, images: jax.Array, labels: jax.Array) -> tuple[tuple, jax.Array]:
    """Forward, backward and update with momentum and weight decay."""
    parameters, speeds, averages = state
    found = jax.value_and_grad(loss_of, has_aux=True)(parameters, averages, images, labels)
    (loss, averages), gradients = found
    parameters, speeds = momentum(parameters, gradients, speeds, lr=0.01, decay=5e-4)
    return (parameters, speeds, averages), loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    net = network()
    parameters = arrays(*net.parameters())
    averages = arrays(*(b for b in net.buffers() if b.ndim))
    data = arrays(torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)))
    state = (parameters, [jnp.zeros_like(p) for p in parameters], averages)
    return training(step, state, *data)


if __name__ == "__main__":
    measure(setup)
