"""LKJCholesky: Cholesky factors of random correlation matrices."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.beta import Beta
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Factors of correlation matrices whose density goes as their determinant ** (concentration-1).

    Draws are made by the onion method (Lewandowski, Kurowicka and Joe, 2009): rows point in random
    directions, and a beta number says how much of their length lies off the diagonal.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        rows = torch.arange(dim - 1, dtype=self.concentration.dtype)
        offset = torch.cat([rows.new_zeros((1,)), rows])
        marginal = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.size(), (dim, dim), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(LKJCholesky, batch_shape, _instance, "concentration")
        new.dim = self.dim
        new._beta = self._beta.expand((*batch_shape, self.dim))
        return new

    def sample(self, sample_shape: Any = ()) -> Any:
        share = self._beta.sample(sample_shape).unsqueeze(-1)
        normal = torch.randn(self._extended_shape(sample_shape), dtype=share.dtype).tril(-1)
        direction = normal / normal.pow(2).sum(-1, keepdim=True).sqrt()
        first = torch.arange(self.dim).view(-1, 1) == 0
        rows = share.sqrt() * direction.masked_fill(first, 0.0)
        left = (1 - rows.pow(2).sum(-1)).clamp(min=torch.finfo(rows.dtype).tiny)
        return rows + torch.diag_embed(left.sqrt())

    def log_prob(self, value: Any) -> Any:
        """The density of factors: that of the matrices times the Jacobian of the product."""
        self._validated(value)
        below = self.dim - 1
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim
        order = order - torch.arange(2, self.dim + 1)
        density = (order * diagonal.log()).sum(-1)
        alpha = self.concentration + 0.5 * below
        normalizer = 0.5 * below * math.log(math.pi) - torch.lgamma(alpha) * below
        return density - normalizer - torch.mvlgamma(alpha - 0.5, below)
