"""MultivariateNormal: normal vectors."""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions import constraints
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.utils import _standard_normal, lazy_property

__all__ = ["MultivariateNormal"]


def batch_mv(mat: Any, vec: Any) -> Any:
    """Products of matrices and vectors, their batches broadcast."""
    return torch.matmul(mat, vec.unsqueeze(-1)).squeeze(-1)


def log_diagonal(tril: Any) -> Any:
    """The logarithm of the determinant of triangular matrices."""
    return tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def batch_mahalanobis(tril: Any, x: Any) -> Any:
    """x^T M^-1 x for M = tril tril^T.

    Axes of x beyond those of `tril`'s batch become columns, so that each matrix is used once.
    """
    n = x.size(-1)
    before = x.shape[:-1]
    batch = tril.shape[:-2]
    outer = len(before) - len(batch)
    # an axis of x over an axis of tril is cut in two: (repeats, tril's size)
    halves = [side for k, size in enumerate(batch) for side in (before[outer + k] // size, size)]
    repeats = range(outer, outer + 2 * len(batch), 2)
    sizes = range(outer + 1, outer + 2 * len(batch), 2)
    order = [*range(outer), *repeats, *sizes]
    x = x.reshape(*before[:outer], *halves, n).permute(*order, len(order))
    columns = x.reshape(-1, batch.numel(), n).permute(1, 2, 0)
    solved = torch.linalg.solve_triangular(tril.reshape(-1, n, n), columns, upper=False)
    squares = solved.pow(2).sum(-2).t().reshape(x.shape[:-1])
    back = [order.index(k) for k in range(len(order))]
    return squares.permute(back).reshape(before)


def precision_to_scale_tril(precision: Any) -> Any:
    """The Cholesky factor of the inverse: turned around, the inverse of a factor is one."""
    factor = torch.linalg.cholesky(precision.flip(-2, -1))
    inverse = factor.flip(-2, -1).mT
    identity = torch.eye(precision.shape[-1], dtype=precision.dtype)
    return torch.linalg.solve_triangular(inverse, identity, upper=False)


def scale_tril_of(covariance: Any, precision: Any, scale_tril: Any) -> Any:
    """The Cholesky factor of the covariance, whichever of the three is given."""
    if scale_tril is not None:
        return scale_tril
    if covariance is not None:
        return torch.linalg.cholesky(covariance)
    return precision_to_scale_tril(precision)


_WAYS = ("covariance_matrix", "precision_matrix", "scale_tril")


class MultivariateNormal(Distribution):
    """Vectors of mean `loc`, given by their covariance, its inverse or its Cholesky factor."""

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        ways = dict(zip(_WAYS, (covariance_matrix, precision_matrix, scale_tril)))
        given = {name: value for name, value in ways.items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_tril_of(*ways.values())

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(MultivariateNormal, batch_shape, _instance, "loc", *_WAYS)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        return new

    def _whole(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        return self._whole(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        factor = self._unbroadcasted_scale_tril
        return self._whole(torch.matmul(factor, factor.mT))

    @lazy_property
    def precision_matrix(self) -> Any:
        return self._whole(torch.cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        eps = _standard_normal(self._extended_shape(sample_shape), self.loc.dtype, self.loc.device)
        return self.loc + batch_mv(self._unbroadcasted_scale_tril, eps)

    def log_prob(self, value: Any) -> Any:
        self._validated(value)
        factor = self._unbroadcasted_scale_tril
        apart = batch_mahalanobis(factor, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + apart) - log_diagonal(factor)

    def entropy(self) -> Any:
        half = log_diagonal(self._unbroadcasted_scale_tril)
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
