"""Prices of 1,000,000 European calls, and their gradients with respect to all five inputs."""

from collections.abc import Callable
from math import sqrt

import torch
from timing import as_it_is, measure

COUNT = 1_000_000


def normal(x: torch.Tensor) -> torch.Tensor:
    """The distribution function of the standard normal distribution."""
    return 0.5 * (1 + torch.erf(x / sqrt(2)))


def price(
    spot: torch.Tensor,
    strike: torch.Tensor,
    years: torch.Tensor,
    rate: torch.Tensor,
    volatility: torch.Tensor,
) -> torch.Tensor:
    """Black and Scholes, "The pricing of options and corporate liabilities" (1973), formula 13."""
    spread = volatility * torch.sqrt(years)
    d1 = (torch.log(spot / strike) + (rate + volatility * volatility / 2) * years) / spread
    return spot * normal(d1) - strike * torch.exp(-rate * years) * normal(d1 - spread)


def draw() -> list[torch.Tensor]:
    """Spot, strike, years, rate and volatility, each drawn between usual bounds."""
    bounds = ((80, 120), (80, 120), (0.2, 2), (0.01, 0.05), (0.1, 0.5))
    return [torch.rand(COUNT) * (high - low) + low for low, high in bounds]


def setup(prepare: Callable = as_it_is) -> Callable[[int], float]:
    """A step prices all, differentiates, and reads the total."""
    inputs = [x.requires_grad_() for x in draw()]

    @prepare
    def total_price() -> torch.Tensor:
        return price(*inputs).sum()

    def run(count: int) -> float:
        for _ in range(count):
            for x in inputs:
                x.grad = None
            total = total_price()
            total.backward()
            value = total.item()
        return value / COUNT + sum(x.grad[0].item() for x in inputs)

    return run


if __name__ == "__main__":
    measure(setup)
