"""The step of programs/logistic_regression.py with jax.jit; products by forward over reverse."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from logistic_regression import DAMPING, PRODUCTS, data
from steps import arrays, measure, training


def loss_of(w: jax.Array, features: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean of binary cross entropy."""
    scores = features @ w
    return (jnp.logaddexp(scores, 0) - scores * labels).mean()


def step(w: jax.Array, features: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Loss, gradient, Hessian-vector products and update."""

    def gradient_of(w: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(w, features, labels)
        return gradient, loss

    gradient, hessian_product, loss = jax.linearize(gradient_of, w, has_aux=True)
    residual = -gradient
    direction, solution = residual, jnp.zeros_like(w)
    square = residual @ residual
    for _ in range(PRODUCTS):
        product = hessian_product(direction) + DAMPING * direction
        length = square / (direction @ product)
        solution = solution + length * direction
        residual = residual - length * product
        square, before = residual @ residual, square
        direction = residual + square / before * direction
    return w + 0.1 * solution, loss


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    return training(step, jnp.zeros(100), *arrays(*data()))


if __name__ == "__main__":
    measure(setup)
