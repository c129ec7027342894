"""Kumaraswamy: like beta, but with a distribution function that is easily inverted."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.transformed_distribution import TransformedDistribution
from bital.torch.distributions.transforms import AffineTransform, PowerTransform
from bital.torch.distributions.uniform import Uniform
from bital.torch.distributions.utils import broadcast_all, euler_constant

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """(1 - u^(1 / concentration0))^(1 / concentration1) of uniform numbers u."""

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True  # type: ignore[assignment]

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        a, b = self.concentration1, self.concentration0 = broadcast_all(
            concentration1, concentration0
        )
        base = Uniform(torch.zeros_like(b), torch.ones_like(b), validate_args=validate_args)
        parts = [
            PowerTransform(b.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(a.reciprocal()),
        ]
        super().__init__(base, parts, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Kumaraswamy, _instance)
        new.concentration1 = self.concentration1.expand(batch_shape)
        new.concentration0 = self.concentration0.expand(batch_shape)
        return super().expand(batch_shape, _instance=new)

    def _moment(self, n: int) -> Any:
        """The expected n-th power."""
        b, power = self.concentration0, 1 + n / self.concentration1
        return b * torch.exp(torch.lgamma(power) + torch.lgamma(b) - torch.lgamma(power + b))

    @property
    def mean(self) -> Any:
        return self._moment(1)

    @property
    def mode(self) -> Any:
        """NaN where the density has no maximum inside."""
        a, b = self.concentration1, self.concentration0
        log_mode = b.reciprocal() * (-b).log1p() - (-b * a).log1p()
        return log_mode.masked_fill((b < 1) | (a < 1), math.nan).exp()

    @property
    def variance(self) -> Any:
        return self._moment(2) - self.mean.pow(2)

    def entropy(self) -> Any:
        a, b = self.concentration1, self.concentration0
        harmonic = torch.digamma(b + 1) + euler_constant
        shape = 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic
        return shape - torch.log(a) - torch.log(b)
