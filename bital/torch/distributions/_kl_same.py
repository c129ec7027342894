"""Divergences between two distributions of one family.

Formulas: expectations of the densities' logarithms; those of normal vectors by determinants,
traces and Mahalanobis distances.
"""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions.bernoulli import Bernoulli
from bital.torch.distributions.beta import Beta
from bital.torch.distributions.binomial import Binomial
from bital.torch.distributions.categorical import Categorical
from bital.torch.distributions.cauchy import Cauchy
from bital.torch.distributions.continuous_bernoulli import ContinuousBernoulli
from bital.torch.distributions.dirichlet import Dirichlet
from bital.torch.distributions.exp_family import ExponentialFamily
from bital.torch.distributions.exponential import Exponential
from bital.torch.distributions.gamma import Gamma
from bital.torch.distributions.geometric import Geometric
from bital.torch.distributions.gumbel import Gumbel
from bital.torch.distributions.half_normal import HalfNormal
from bital.torch.distributions.independent import Independent
from bital.torch.distributions.kl import kl_divergence, register_kl
from bital.torch.distributions.laplace import Laplace
from bital.torch.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    lowrank_logdet,
    lowrank_mahalanobis,
)
from bital.torch.distributions.multivariate_normal import (
    MultivariateNormal,
    batch_mahalanobis,
    log_diagonal,
)
from bital.torch.distributions.normal import Normal
from bital.torch.distributions.one_hot_categorical import OneHotCategorical
from bital.torch.distributions.pareto import Pareto
from bital.torch.distributions.poisson import Poisson
from bital.torch.distributions.transformed_distribution import TransformedDistribution
from bital.torch.distributions.uniform import Uniform
from bital.torch.distributions.utils import _sum_rightmost, euler_constant
from bital.torch.nn.functional import softplus


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Any:
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    one = one.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    none = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    none = none.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)
    return one + none


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Any:
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    normalizers = c.lgamma() + d.lgamma() + (a + b).lgamma()
    normalizers = normalizers - a.lgamma() - b.lgamma() - (c + d).lgamma()
    logs = (a - c) * a.digamma() + (b - d) * b.digamma()
    return normalizers + logs + (c + d - a - b) * (a + b).digamma()


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Any:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * one).masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    terms = p.probs * (p.logits - q.logits)
    terms = terms.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    return terms.sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Any:
    return _categorical(p._categorical, q._categorical)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Any:
    normalizers = p._cont_bern_log_norm() + torch.log1p(-p.probs)
    normalizers = normalizers - q._cont_bern_log_norm() - torch.log1p(-q.probs)
    return p.mean * (p.logits - q.logits) + normalizers


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalizers = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return normalizers + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Any:
    """The Bregman divergence of the normalisers."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed "
            "using Bregman divergences"
        )
    value, params, slopes = p._normalizer_and_slopes()
    result = q._log_normalizer(*q._natural_params) - value
    for mine, theirs, slope in zip(params, q._natural_params, slopes):
        result = result - _sum_rightmost((theirs - mine) * slope, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    normalizers = b * (p.rate / q.rate).log() + torch.lgamma(b) - torch.lgamma(a)
    return normalizers + (a - b) * torch.digamma(a) + (q.rate - p.rate) * (a / p.rate)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Any:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc) / q.scale
    tail = torch.exp((1 + ratio).lgamma() - apart)
    return apart - ratio.log() + ratio * euler_constant + tail - (1 + euler_constant)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Any:
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Any:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Any:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Any:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return apart / q.scale - ratio.log() + ratio * torch.exp(-apart / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    squares = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return squares.log() - (4 * p.scale * q.scale).log()


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Any:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return result.masked_fill(p.scale < q.scale, math.inf)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Any:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return result.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL between transformed distributions with different transforms is not implemented"
        )
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL between Independents of different reinterpreted_batch_ndims is not implemented"
        )
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


def _check_events(p: Any, q: Any) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two (Low Rank) Multivariate Normals with different event "
            "shapes cannot be computed"
        )


def _trace(mat: Any) -> Any:
    """The trace of mat mat^T."""
    return mat.pow(2).sum((-2, -1))


def _solved(tril: Any, mat: Any) -> Any:
    """tril^-1 mat, their batches broadcast."""
    batch = torch.broadcast_shapes(tril.shape[:-2], mat.shape[:-2])
    tril, mat = tril.expand(batch + tril.shape[-2:]), mat.expand(batch + mat.shape[-2:])
    return torch.linalg.solve_triangular(tril, mat, upper=False)


def _of_normals(p: Any, logdets: Any, trace: Any, distance: Any) -> Any:
    return 0.5 * (logdets + trace + distance - p.event_shape[0])


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: Any, q: Any) -> Any:
    _check_events(p, q)
    mine, theirs = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    return _of_normals(
        p,
        2 * (log_diagonal(theirs) - log_diagonal(mine)),
        _trace(_solved(theirs, mine)),
        batch_mahalanobis(theirs, q.loc - p.loc),
    )


def _whitened(q: Any) -> Any:
    """C^-1 W^T D^-1, of which the inverse of q's covariance is made."""
    factor, diag, capacitance = q.parts()
    weighted = factor.mT / diag.unsqueeze(-2)
    return torch.linalg.solve_triangular(capacitance, weighted, upper=False)


def _distance_from_lowrank(p: Any, q: Any) -> Any:
    factor, diag, capacitance = q.parts()
    return lowrank_mahalanobis(factor, diag, q.loc - p.loc, capacitance)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _lowrank(p: Any, q: Any) -> Any:
    _check_events(p, q)
    factor, diag, _ = p.parts()
    theirs, white = q._unbroadcasted_cov_diag, _whitened(q)
    trace = (diag / theirs).sum(-1) + _trace(factor * theirs.rsqrt().unsqueeze(-1))
    trace = trace - _trace(white * diag.sqrt().unsqueeze(-2)) - _trace(white.matmul(factor))
    logdets = lowrank_logdet(*q.parts()) - lowrank_logdet(*p.parts())
    return _of_normals(p, logdets, trace, _distance_from_lowrank(p, q))


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _multivariate_lowrank(p: Any, q: Any) -> Any:
    _check_events(p, q)
    mine = p._unbroadcasted_scale_tril
    trace = _trace(mine * q._unbroadcasted_cov_diag.rsqrt().unsqueeze(-1))
    trace = trace - _trace(_whitened(q).matmul(mine))
    logdets = lowrank_logdet(*q.parts()) - 2 * log_diagonal(mine)
    return _of_normals(p, logdets, trace, _distance_from_lowrank(p, q))


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _lowrank_multivariate(p: Any, q: Any) -> Any:
    _check_events(p, q)
    factor, diag, _ = p.parts()
    theirs = q._unbroadcasted_scale_tril
    trace = _trace(_solved(theirs, factor))
    trace = trace + _trace(_solved(theirs, torch.diag_embed(diag.sqrt())))
    logdets = 2 * log_diagonal(theirs) - lowrank_logdet(*p.parts())
    return _of_normals(p, logdets, trace, batch_mahalanobis(theirs, q.loc - p.loc))
