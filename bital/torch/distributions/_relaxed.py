"""What the relaxed distributions share: they look at the parameters of what they transform."""

from __future__ import annotations

from typing import Any

from bital.torch.distributions.transformed_distribution import TransformedDistribution


class Relaxed(TransformedDistribution):
    """Draws with gradients, of which the base distribution has temperature, logits and probs."""

    has_rsample = True  # type: ignore[assignment]

    @property
    def temperature(self) -> Any:
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        return self.base_dist.probs
