"""Cauchy: a bell with tails so heavy that it has no mean."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.utils import broadcast_all

__all__ = ["Cauchy"]


class Cauchy(Distribution):
    """The quotient of two normal numbers, times `scale`, around `loc`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(Cauchy, batch_shape, _instance, "loc", "scale")

    def _everywhere(self, number: float) -> Any:
        return torch.full(self._extended_shape(), number, dtype=self.loc.dtype)

    @property
    def mean(self) -> Any:
        """NaN: there is none."""
        return self._everywhere(math.nan)

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return self._everywhere(math.inf)

    def rsample(self, sample_shape: Any = ()) -> Any:
        eps = self.loc.new(self._extended_shape(sample_shape)).cauchy_()
        return self.loc + eps * self.scale

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        steps = (value - self.loc) / self.scale
        return -math.log(math.pi) - self.scale.log() - (steps**2).log1p()

    def cdf(self, value: Any) -> Any:
        self._validated(value)
        return torch.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value: Any) -> Any:
        return torch.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Any:
        return math.log(4 * math.pi) + self.scale.log()
