"""HalfCauchy: the sizes of Cauchy numbers."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions._half import Half
from bital.torch.distributions.cauchy import Cauchy
from bital.torch.distributions.transforms import AbsTransform

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """|x| of Cauchy numbers x around 0."""

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        base = Cauchy(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(HalfCauchy, _instance)
        return super().expand(batch_shape, _instance=new)

    @property
    def mean(self) -> Any:
        return torch.full(self._extended_shape(), math.inf, dtype=self.scale.dtype)

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    def _log_density(self, value: Any) -> Any:
        return super()._log_density(torch.as_tensor(value, dtype=self.scale.dtype))
