"""LowRankMultivariateNormal: normal vectors whose covariance is a few directions and a diagonal."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.multivariate_normal import (
    batch_mahalanobis,
    batch_mv,
    log_diagonal,
)
from bital.torch.distributions.utils import _standard_normal, lazy_property

__all__ = ["LowRankMultivariateNormal"]


def _with_ones_on_diagonal(matrix: Any) -> Any:
    return matrix + torch.eye(matrix.shape[-1], dtype=matrix.dtype)


def capacitance_tril(factor: Any, diag: Any) -> Any:
    """The Cholesky factor of I + W^T D^-1 W."""
    weighted = factor.mT / diag.unsqueeze(-2)
    return torch.linalg.cholesky(_with_ones_on_diagonal(torch.matmul(weighted, factor)))


def lowrank_logdet(factor: Any, diag: Any, capacitance: Any) -> Any:
    """log |W W^T + D|, by the matrix determinant lemma."""
    return 2 * log_diagonal(capacitance) + diag.log().sum(-1)


def lowrank_mahalanobis(factor: Any, diag: Any, x: Any, capacitance: Any) -> Any:
    """x^T (W W^T + D)^-1 x, by Woodbury's identity."""
    weighted = batch_mv(factor.mT / diag.unsqueeze(-2), x)
    return (x.pow(2) / diag).sum(-1) - batch_mahalanobis(capacitance, weighted)


class LowRankMultivariateNormal(Distribution):
    """Vectors of mean `loc` and covariance cov_factor cov_factor^T + diag(cov_diag)."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None
    ) -> None:
        event_shape = _checked_event(loc, cov_factor, cov_diag)
        try:
            wide, self.cov_factor, wide_diag = torch.broadcast_tensors(
                loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1)
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_diag = wide[..., 0], wide_diag[..., 0]
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        self._capacitance_tril = capacitance_tril(cov_factor, cov_diag)
        super().__init__(self.loc.shape[:-1], event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(
            LowRankMultivariateNormal, batch_shape, _instance, "loc", "cov_factor", "cov_diag"
        )
        new._unbroadcasted_cov_factor = self._unbroadcasted_cov_factor
        new._unbroadcasted_cov_diag = self._unbroadcasted_cov_diag
        new._capacitance_tril = self._capacitance_tril
        return new

    def parts(self) -> tuple:
        """Factor, diagonal and the Cholesky factor of I + W^T D^-1 W, not broadcast."""
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag, self._capacitance_tril

    def _whole(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @lazy_property
    def variance(self) -> Any:
        factor, diag, _ = self.parts()
        return (factor.pow(2).sum(-1) + diag).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance."""
        factor, diag, _ = self.parts()
        root = diag.sqrt().unsqueeze(-1)
        scaled = factor / root
        inner = _with_ones_on_diagonal(torch.matmul(scaled, scaled.mT))
        return self._whole(root * torch.linalg.cholesky(inner))

    @lazy_property
    def covariance_matrix(self) -> Any:
        factor, diag, _ = self.parts()
        return self._whole(torch.matmul(factor, factor.mT) + torch.diag_embed(diag))

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance, by Woodbury's identity."""
        factor, diag, capacitance = self.parts()
        weighted = factor.mT / diag.unsqueeze(-2)
        a = torch.linalg.solve_triangular(capacitance, weighted, upper=False)
        return self._whole(torch.diag_embed(diag.reciprocal()) - a.mT @ a)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        factor, diag, _ = self.parts()
        common = _standard_normal(
            shape[:-1] + self.cov_factor.shape[-1:], self.loc.dtype, self.loc.device
        )
        own = _standard_normal(shape, self.loc.dtype, self.loc.device)
        return self.loc + batch_mv(factor, common) + diag.sqrt() * own

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        factor, diag, capacitance = self.parts()
        apart = lowrank_mahalanobis(factor, diag, value - self.loc, capacitance)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + lowrank_logdet(*self.parts()) + apart)

    def entropy(self) -> Any:
        constant = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        entropy = 0.5 * (constant + lowrank_logdet(*self.parts()))
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy


def _checked_event(loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    """The shape of an event, after all shapes are found to fit."""
    if loc.dim() < 1:
        raise ValueError("loc must be at least one-dimensional.")
    event_shape = loc.shape[-1:]
    if cov_factor.dim() < 2:
        raise ValueError(
            "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
        )
    if cov_factor.shape[-2:-1] != event_shape:
        raise ValueError(
            f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m"
        )  # fmt: skip
    if cov_diag.shape[-1:] != event_shape:
        raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
    return event_shape
