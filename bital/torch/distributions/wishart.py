"""Wishart: random positive definite matrices."""

from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.chi2 import Chi2
from bital.torch.distributions.exp_family import ExponentialFamily
from bital.torch.distributions.multivariate_normal import log_diagonal, scale_tril_of
from bital.torch.distributions.utils import lazy_property

__all__ = ["Wishart"]

_LOG_2 = math.log(2)
_WAYS = ("covariance_matrix", "precision_matrix", "scale_tril")
_TRIES = 10


class Wishart(ExponentialFamily):
    """Sums of `df` outer products of normal vectors, given by their covariance, its inverse or its
    Cholesky factor."""

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        ways = dict(zip(_WAYS, (covariance_matrix, precision_matrix, scale_tril)))
        given = {name: value for name, value in ways.items() if value is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if isinstance(df, Number):
            batch_shape = torch.Size(matrix.shape[:-2])
            self.df = torch.tensor(df, dtype=matrix.dtype)
        else:
            batch_shape = torch.broadcast_shapes(matrix.shape[:-2], df.shape)
            self.df = df.expand(batch_shape)
        n = matrix.shape[-1]
        if self.df.le(n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        if self.df.lt(n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 "
                "< df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch_shape, matrix.shape[-2:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_tril_of(*ways.values())
        self._dist_chi2 = self._diagonal()

    def _diagonal(self) -> Chi2:
        """What the squares of the diagonal of a factor are drawn from (Bartlett)."""
        n = self._event_shape[-1]
        rows = torch.arange(n, dtype=self._unbroadcasted_scale_tril.dtype)
        return Chi2(self.df.unsqueeze(-1) - rows.expand((*self._batch_shape, -1)))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(Wishart, batch_shape, _instance, *_WAYS)
        new.df = self.df.expand(batch_shape)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril.expand(
            new._batch_shape + self._event_shape
        )
        new._dist_chi2 = new._diagonal()
        return new

    @property
    def arg_constraints(self) -> dict[str, Any]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def _whole(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        return self._whole(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        factor = self._unbroadcasted_scale_tril
        return self._whole(factor @ factor.mT)

    @lazy_property
    def precision_matrix(self) -> Any:
        factor = self._unbroadcasted_scale_tril
        identity = torch.eye(self._event_shape[-1], dtype=factor.dtype)
        return self._whole(torch.cholesky_solve(identity, factor))

    def _times_covariance(self, numbers: Any) -> Any:
        return numbers.reshape((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def mean(self) -> Any:
        return self._times_covariance(self.df)

    @property
    def mode(self) -> Any:
        """NaN where the density has no maximum."""
        factor = self.df - self._event_shape[-1] - 1
        return self._times_covariance(factor.masked_fill(factor <= 0, math.nan))

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df.reshape((*self._batch_shape, 1, 1)) * (v.pow(2) + products)

    def _bartlett_sampling(self, sample_shape: Any = ()) -> Any:
        """Products of factors with chi numbers on the diagonal and normal ones below it."""
        p = self._event_shape[-1]
        chi = self._dist_chi2.rsample(sample_shape).sqrt()
        noise = chi.clamp(min=torch.finfo(chi.dtype).eps).diag_embed()
        i, j = torch.tril_indices(p, p, offset=-1)
        shape = (*sample_shape, *self._batch_shape, p * (p - 1) // 2)
        noise[..., i, j] = torch.randn(shape, dtype=noise.dtype)
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.mT

    def _over_batch(self, flags: Any) -> Any:
        axes = [-(k + 1) for k in range(len(self._batch_shape))]
        return flags.amax(axes) if axes else flags

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Any:
        """Draws; one that the first check picks out is drawn again, as PyTorch 2.13 does."""
        tries = _TRIES if max_try_correction is None else max_try_correction
        sample = self._bartlett_sampling(sample_shape)
        again = self._over_batch(self.support.check(sample))
        if not again.any():
            return sample
        warnings.warn("Singular sample detected.", stacklevel=2)
        for _ in range(tries):
            fresh = self._bartlett_sampling(again[again].shape)
            sample[again] = fresh
            still = self._over_batch(~self.support.check(fresh))
            again[again.clone()] = still
            if not again.any():
                break
        return sample

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        nu, p, factor = self.df, self._event_shape[-1], self._unbroadcasted_scale_tril
        trace = torch.cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
        determinant = torch.linalg.slogdet(value).logabsdet
        normalizer = nu * (p * _LOG_2 / 2 + log_diagonal(factor)) + torch.mvlgamma(nu / 2, p=p)
        return (nu - p - 1) / 2 * determinant - trace / 2 - normalizer

    def entropy(self) -> Any:
        nu, p = self.df, self._event_shape[-1]
        size = (p + 1) * (p * _LOG_2 / 2 + log_diagonal(self._unbroadcasted_scale_tril))
        slope = (nu / 2).unsqueeze(-1) - torch.arange(p, dtype=nu.dtype) / 2
        slope = torch.digamma(slope).sum(-1)
        return size + torch.mvlgamma(nu / 2, p=p) - (nu - p - 1) / 2 * slope + nu * p / 2

    @property
    def _natural_params(self) -> tuple:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        determinant = torch.linalg.slogdet(-2 * x).logabsdet
        return half * (_LOG_2 * p - determinant) + torch.mvlgamma(half, p=p)
