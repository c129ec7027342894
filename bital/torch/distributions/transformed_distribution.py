"""TransformedDistribution: draws of a distribution, put through transforms."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.independent import Independent
from bital.torch.distributions.transforms import ComposeTransform, Transform
from bital.torch.distributions.utils import _sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The draws of `base_distribution` after one transform or a list of them.

    Densities are divided by the transforms' Jacobians. The base is expanded to the shape that the
    transforms' parameters ask for.
    """

    arg_constraints: Any = {}

    def __init__(
        self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None
    ) -> None:
        self.transforms = _listed(transforms)
        transform = ComposeTransform(self.transforms)
        before, after = transform.domain.event_dim, transform.codomain.event_dim
        shape = base_distribution.batch_shape + base_distribution.event_shape
        of_base = len(base_distribution.event_shape)
        if len(shape) < before:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{before}, but got {shape}."
            )
        forward = transform.forward_shape(shape)
        expanded = transform.inverse_shape(forward)
        if shape != expanded:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - of_base])
        if before > of_base:
            base_distribution = Independent(base_distribution, before - of_base)
        self.base_dist: Any = base_distribution
        cut = len(forward) - max(after, of_base + after - before)
        super().__init__(forward[:cut], forward[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(TransformedDistribution, _instance)
        batch_shape = torch.Size(batch_shape)
        shape = batch_shape + self.event_shape
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        of_base = len(self.base_dist.event_shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - of_base])
        new.transforms = self.transforms
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self.event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    @property
    def has_rsample(self) -> bool:
        return self.base_dist.has_rsample

    def _transformed(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Any:
        with torch.no_grad():
            return self._transformed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._transformed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        axes = len(self.event_shape)
        total: Any = 0.0
        y = value
        for t in reversed(self.transforms):
            x = t.inv(y)
            axes += t.domain.event_dim - t.codomain.event_dim
            jacobian = t.log_abs_det_jacobian(x, y)
            total = total - _sum_rightmost(jacobian, axes - t.domain.event_dim)
            y = x
        density = self.base_dist.log_prob(y)
        return total + _sum_rightmost(density, axes - len(self.base_dist.event_shape))

    def _turned(self, value: Any) -> Any:
        """Probabilities, of the other side where the transforms fall."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        if isinstance(sign, int) and sign == 1:
            return value
        return sign * (value - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._turned(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._transformed(self.base_dist.icdf(self._turned(value)))


def _listed(transforms: Any) -> list[Transform]:
    if isinstance(transforms, Transform):
        return [transforms]
    if not isinstance(transforms, list):
        raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
    if not all(isinstance(t, Transform) for t in transforms):
        raise ValueError("transforms must be a Transform or a list of Transforms")
    return transforms
