"""The step of programs/black_scholes.py with jax.jit."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from black_scholes import COUNT, draw
from steps import arrays, measure


def normal(x: jax.Array) -> jax.Array:
    """The distribution function of the standard normal distribution."""
    return 0.5 * (1 + jax.lax.erf(x / 2**0.5))


def total_price(
    spot: jax.Array, strike: jax.Array, years: jax.Array, rate: jax.Array, volatility: jax.Array
) -> jax.Array:
    """The sum of all prices."""
    spread = volatility * jnp.sqrt(years)
    d1 = (jnp.log(spot / strike) + (rate + volatility * volatility / 2) * years) / spread
    prices = spot * normal(d1) - strike * jnp.exp(-rate * years) * normal(d1 - spread)
    return prices.sum()


def setup() -> Callable[[int], float]:
    """The same numbers as there."""
    inputs = arrays(*draw())
    step = jax.jit(jax.value_and_grad(total_price, (0, 1, 2, 3, 4)))

    def run(count: int) -> float:
        for _ in range(count):
            total, gradients = step(*inputs)
            value = total.item()
        jax.block_until_ready(gradients)
        return value / COUNT + sum(g[0].item() for g in gradients)

    return run


if __name__ == "__main__":
    measure(setup)
