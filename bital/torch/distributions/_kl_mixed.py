"""Divergences between distributions of different families.

Each is -entropy(p) - E log q(x): of the logarithm of q's density only expected powers, logarithms
and exponentials of x under p remain. Where q is 0 and p is not, it is infinite.
"""

from __future__ import annotations

import math
from typing import Any

import bital.torch as torch
from bital.torch.distributions.bernoulli import Bernoulli
from bital.torch.distributions.beta import Beta
from bital.torch.distributions.binomial import Binomial
from bital.torch.distributions.continuous_bernoulli import ContinuousBernoulli
from bital.torch.distributions.exponential import Exponential
from bital.torch.distributions.gamma import Gamma
from bital.torch.distributions.gumbel import Gumbel
from bital.torch.distributions.kl import register_kl
from bital.torch.distributions.laplace import Laplace
from bital.torch.distributions.normal import Normal
from bital.torch.distributions.pareto import Pareto
from bital.torch.distributions.poisson import Poisson
from bital.torch.distributions.uniform import Uniform
from bital.torch.distributions.utils import euler_constant

#: (p, the parameter that gives the shape, q of all kinds that are 0 where p is not)
_INFINITE = (
    (Beta, "concentration1", (Pareto,)),
    (ContinuousBernoulli, "probs", (Pareto,)),
    (Exponential, "rate", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    (Gamma, "concentration", (Beta, ContinuousBernoulli, Pareto, Uniform)),
    (Gumbel, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Laplace, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Normal, "loc", (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform)),
    (Pareto, "scale", (Beta, ContinuousBernoulli, Uniform)),
    (Poisson, "rate", (Bernoulli, Binomial)),
)


def _register_infinite(kind_p: type, name: str, kind_q: type) -> None:
    @register_kl(kind_p, kind_q)
    def infinite(p: Any, q: Any) -> Any:
        return torch.full_like(getattr(p, name), math.inf)


for _p, _name, _kinds in _INFINITE:
    for _q in _kinds:
        _register_infinite(_p, _name, _q)


def _normal_cross(q: Any, mean: Any, square: Any) -> Any:
    """-E log q(x) of a normal q, where E x and E x² are given."""
    variance = q.scale.pow(2)
    apart = square - 2 * q.loc * mean + q.loc.pow(2)
    return 0.5 * (2 * math.pi * variance).log() + apart / (2 * variance)


def _gamma_cross(q: Any, mean: Any, log: Any) -> Any:
    """-E log q(x) of a gamma q, where E x and E log x are given."""
    a = q.concentration
    return a.lgamma() - a * q.rate.log() - (a - 1) * log + q.rate * mean


def _exponential_cross(q: Any, mean: Any) -> Any:
    return q.rate * mean - q.rate.log()


def _bernoulli_cross(q: Any, mean: Any) -> Any:
    """-E log q(x) of a continuous Bernoulli q."""
    return -mean * q.logits - torch.log1p(-q.probs) - q._cont_bern_log_norm()


def _gumbel_cross(q: Any, mean: Any, exp: Any) -> Any:
    """-E log q(x) of a Gumbel q, where E x and E exp(-x / scale) are given."""
    return q.scale.log() + (mean - q.loc) / q.scale + torch.exp(q.loc / q.scale) * exp


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Any, q: Any) -> Any:
    return _bernoulli_cross(q, p.mean) - p.entropy()


@register_kl(Beta, Exponential)
def _beta_exponential(p: Any, q: Any) -> Any:
    return _exponential_cross(q, p.mean) - p.entropy()


@register_kl(Beta, Gamma)
def _beta_gamma(p: Any, q: Any) -> Any:
    total = p.concentration1 + p.concentration0
    log = p.concentration1.digamma() - total.digamma()
    return _gamma_cross(q, p.mean, log) - p.entropy()


@register_kl(Beta, Normal)
def _beta_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.mean, p.variance + p.mean.pow(2)) - p.entropy()


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Any:
    result = (q.high - q.low).log() - p.entropy()
    return result.masked_fill((q.low > 0) | (q.high < 1), math.inf)


@register_kl(ContinuousBernoulli, Exponential)
def _continuous_bernoulli_exponential(p: Any, q: Any) -> Any:
    return _exponential_cross(q, p.mean) - p.entropy()


@register_kl(ContinuousBernoulli, Normal)
def _continuous_bernoulli_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.mean, p.variance + p.mean.square()) - p.entropy()


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: Any, q: Any) -> Any:
    """As PyTorch 2.13 has it: infinite also where q reaches just to an end of [0, 1]."""
    result = (q.high - q.low).log() - p.entropy()
    return torch.where((q.low >= 0) | (q.high <= 1), math.inf, result)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Any:
    log = -euler_constant - p.rate.log()
    return _gamma_cross(q, 1 / p.rate, log) - p.entropy()


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Any:
    product = p.rate * q.scale
    return _gumbel_cross(q, 1 / p.rate, product / (product + 1)) - p.entropy()


@register_kl(Exponential, Normal)
def _exponential_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, 1 / p.rate, 2 / p.rate.pow(2)) - p.entropy()


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Any, q: Any) -> Any:
    return _exponential_cross(q, p.mean) - p.entropy()


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Any:
    exp = (1 + 1 / (p.rate * q.scale)).pow(-p.concentration)
    return _gumbel_cross(q, p.mean, exp) - p.entropy()


@register_kl(Gamma, Normal)
def _gamma_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.mean, p.variance + p.mean.pow(2)) - p.entropy()


@register_kl(Gumbel, Normal)
def _gumbel_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.mean, p.variance + p.mean.pow(2)) - p.entropy()


@register_kl(Laplace, Normal)
def _laplace_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.loc, p.variance + p.loc.pow(2)) - p.entropy()


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Any:
    exp = torch.exp(-p.loc / q.scale + 0.5 * (p.scale / q.scale).pow(2))
    return _gumbel_cross(q, p.loc, exp) - p.entropy()


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Any:
    apart = p.loc - q.loc
    steps = apart / p.scale
    distance = math.sqrt(2 / math.pi) * p.scale * torch.exp(-0.5 * steps.pow(2))
    distance = distance + apart * torch.erf(math.sqrt(0.5) * steps)
    return (2 * q.scale).log() + distance / q.scale - p.entropy()


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Any, q: Any) -> Any:
    result = _exponential_cross(q, p.alpha * p.scale / (p.alpha - 1)) - p.entropy()
    return result.masked_fill(p.alpha <= 1, math.inf)


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Any, q: Any) -> Any:
    log = p.scale.log() + 1 / p.alpha
    result = _gamma_cross(q, p.alpha * p.scale / (p.alpha - 1), log) - p.entropy()
    return result.masked_fill(p.alpha <= 1, math.inf)


@register_kl(Pareto, Normal)
def _pareto_normal(p: Any, q: Any) -> Any:
    mean = p.alpha * p.scale / (p.alpha - 1)
    square = p.alpha * p.scale.pow(2) / (p.alpha - 2)
    result = _normal_cross(q, mean, square) - p.entropy()
    return result.masked_fill(p.alpha <= 2, math.inf)


def _mean_log(low: Any, high: Any) -> Any:
    """E log x of uniform numbers x."""
    return (torch.xlogy(high, high) - torch.xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    logs = (a - 1) * _mean_log(p.low, p.high) + (b - 1) * _mean_log(1 - p.high, 1 - p.low)
    result = a.lgamma() + b.lgamma() - (a + b).lgamma() - logs - p.entropy()
    return result.masked_fill((p.high > 1) | (p.low < 0), math.inf)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Any, q: Any) -> Any:
    """As PyTorch 2.13 has it: infinite also where p reaches just to an end of [0, 1]."""
    result = _bernoulli_cross(q, p.mean) - p.entropy()
    return torch.where((p.high >= 1) | (p.low <= 0), math.inf, result)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Any:
    return (_exponential_cross(q, p.mean) - p.entropy()).masked_fill(p.low < 0, math.inf)


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Any, q: Any) -> Any:
    result = _gamma_cross(q, p.mean, _mean_log(p.low, p.high)) - p.entropy()
    return result.masked_fill(p.low < 0, math.inf)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Any:
    exp = torch.exp(-p.low / q.scale) - torch.exp(-p.high / q.scale)
    return _gumbel_cross(q, p.mean, exp * q.scale / (p.high - p.low)) - p.entropy()


@register_kl(Uniform, Normal)
def _uniform_normal(p: Any, q: Any) -> Any:
    return _normal_cross(q, p.mean, p.variance + p.mean.pow(2)) - p.entropy()


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Any:
    log = _mean_log(p.low, p.high)
    cross = (q.alpha + 1) * log - q.alpha.log() - q.alpha * q.scale.log()
    return (cross - p.entropy()).masked_fill(p.low < q.scale, math.inf)
