"""GeneralizedPareto: what exceeds a threshold."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints, utils
from bital.torch.distributions.distribution import Distribution

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers from `loc` on; tails are powers for `concentration` > 0 and end for it below 0."""

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.concentration = utils.broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(
            GeneralizedPareto, batch_shape, _instance, "loc", "scale", "concentration"
        )

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, torch.where(self.concentration < 0, end, math.inf))

    def _shape(self) -> tuple:
        """Where the concentration is 0, and it with 1 there."""
        zero = torch.isclose(self.concentration, torch.zeros_like(self.concentration))
        return zero, torch.where(zero, torch.ones_like(self.concentration), self.concentration)

    def _steps(self, value: Any) -> Any:
        return (value - self.loc) / self.scale

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(utils.uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        steps = self._steps(value)
        zero, shape = self._shape()
        power = 1 / shape + torch.ones_like(steps)
        decay = torch.where(power == 0, power, power * torch.log1p(shape * steps))
        return -self.scale.log() - torch.where(zero, steps, decay)

    def log_survival_function(self, value: Any) -> Any:
        """log(1 - cdf)."""
        self._validated(value)
        steps = self._steps(value)
        zero, shape = self._shape()
        return torch.where(zero, -steps, -torch.log1p(shape * steps) / shape)

    def log_cdf(self, value: Any) -> Any:
        """log(cdf)."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value: Any) -> Any:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: Any) -> Any:
        zero, shape = self._shape()
        left = torch.log1p(-value)
        powers = self.loc + self.scale / shape * torch.expm1(-shape * left)
        return torch.where(zero, self.loc - self.scale * left, powers)

    @property
    def mean(self) -> Any:
        """NaN where there is none: for concentrations from 1 on."""
        valid = self.concentration < 1
        shape = torch.where(valid, self.concentration, 0.5)
        return torch.where(valid, self.loc + self.scale / (1 - shape), math.nan)

    @property
    def variance(self) -> Any:
        """NaN where there is none: for concentrations from one half on."""
        valid = self.concentration < 0.5
        shape = torch.where(valid, self.concentration, 0.25)
        result = self.scale**2 / ((1 - shape) ** 2 * (1 - 2 * shape))
        return torch.where(valid, result, math.nan)

    @property
    def mode(self) -> Any:
        return self.loc

    def entropy(self) -> Any:
        return torch.log(self.scale) + self.concentration + 1
