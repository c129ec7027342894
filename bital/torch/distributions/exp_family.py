"""ExponentialFamily: densities exp(<parameters, statistics> - normaliser + carrier)."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A family whose entropies and divergences follow from its normaliser's derivatives."""

    @property
    def _natural_params(self) -> tuple:
        """The parameters that the statistics are multiplied by."""
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        """The logarithm of the normalising constant."""
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        """The expected logarithm of the carrier measure."""
        raise NotImplementedError

    def _normalizer_and_slopes(self) -> tuple:
        """The normaliser, its parameters, and its derivatives by them: the expected statistics."""
        params = [p.detach().requires_grad_() for p in self._natural_params]
        value = self._log_normalizer(*params)
        slopes = torch.autograd.grad(value.sum(), params, create_graph=True)
        return value, params, slopes

    def entropy(self) -> Any:
        value, params, slopes = self._normalizer_and_slopes()
        result = value - self._mean_carrier_measure
        for p, slope in zip(params, slopes):
            result = result - (p * slope).reshape((*self._batch_shape, -1)).sum(-1)
        return result
