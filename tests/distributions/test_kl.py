"""Divergences: all pairs that PyTorch registers, and what is registered by a program."""

import math
import warnings

import pytest

from tests.both import same
from tests.distributions.table import DISTRIBUTIONS

#: names of the table, and further distributions that the first are compared with
OTHERS = {
    "Bernoulli": lambda D, t: D.Bernoulli(t([0.3, 0.9, 0.0, 1.0])),
    "Beta": lambda D, t: D.Beta(t([1.5, 0.6, 2.0, 3.0]), t(0.8)),
    "Binomial": lambda D, t: D.Binomial(3, t(0.4)),
    "Categorical": lambda D, t: D.Categorical(t([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5]])),
    "Cauchy": lambda D, t: D.Cauchy(t(-0.5), t(2.0)),
    "Chi2": lambda D, t: D.Chi2(t(3.0)),
    "ContinuousBernoulli": lambda D, t: D.ContinuousBernoulli(t([0.3, 0.5, 0.7, 0.2])),
    "Dirichlet": lambda D, t: D.Dirichlet(t([1.5, 0.6, 2.0])),
    "Exponential": lambda D, t: D.Exponential(t(1.7)),
    "Gamma": lambda D, t: D.Gamma(t([1.5, 0.6, 2.0, 9.0]), t(0.8)),
    "Geometric": lambda D, t: D.Geometric(t(0.4)),
    "Gumbel": lambda D, t: D.Gumbel(t(0.3), t([0.7, 1.5, 2.0, 3.0])),
    "HalfNormal": lambda D, t: D.HalfNormal(t(1.3)),
    "Independent": lambda D, t: D.Independent(D.Normal(t([[0.1] * 4] * 2), t(0.5)), 1),
    "InverseGamma": lambda D, t: D.InverseGamma(t(2.5), t([1.0, 2.0, 3.0, 4.0])),
    "Laplace": lambda D, t: D.Laplace(t([0.7, -1.5, 0.2, 3.0]), t(0.6)),
    "LogNormal": lambda D, t: D.LogNormal(t(0.3), t(1.2)),
    "LowRankMultivariateNormal": lambda D, t: D.LowRankMultivariateNormal(
        t([[0.5, -0.2, 0.1]] * 2), t([[0.4], [0.1], [-0.3]]), t([1.0, 0.5, 2.0])
    ),
    "MultivariateNormal": lambda D, t: D.MultivariateNormal(
        t([0.5, -0.2, 0.1]), t([[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 0.5]])
    ),
    "Normal": lambda D, t: D.Normal(t([0.3, -1.0, 2.0, 0.0]), t(1.7)),
    "OneHotCategorical": lambda D, t: D.OneHotCategorical(t([0.2, 0.3, 0.5])),
    "Pareto": lambda D, t: D.Pareto(t(0.5), t([1.5, 2.0, 3.0, 5.0])),
    "Poisson": lambda D, t: D.Poisson(t([0.5, 3.0, 8.0, 40.0])),
    "Uniform": lambda D, t: D.Uniform(t([-2.0, 0.0, 0.1, 0.5]), t([3.0, 2.0, 0.9, 1.0])),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_pairs(torch, oracle, kind):
    """p of the table against each q here, and the other way."""

    def program(lib):
        ours, found = DISTRIBUTIONS[kind](lib), {}
        for name, make in OTHERS.items():
            q = make(lib.distributions, lib.tensor)
            for title, pair in ((f"to {name}", (ours, q)), (f"from {name}", (q, ours))):
                try:
                    found[title] = lib.distributions.kl_divergence(*pair)
                except (NotImplementedError, RuntimeError, ValueError) as error:
                    found[title] = type(error).__name__
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program, torch, oracle, order=2)


def test_the_register_has_all_pairs(torch, oracle):
    def pairs(lib):
        return sorted((p.__name__, q.__name__) for p, q in lib.distributions.kl._KL_REGISTRY)

    assert pairs(torch) == pairs(oracle)


@pytest.mark.parametrize("kind", ["Normal", "Beta", "Gamma", "Laplace", "Exponential", "Gumbel"])
def test_a_divergence_is_the_mean_of_the_difference_of_logarithms(torch, kind):
    torch.manual_seed(0)
    q = OTHERS[kind](torch.distributions, torch.tensor)
    for p in (DISTRIBUTIONS[kind](torch), DISTRIBUTIONS["Uniform"](torch)):
        if kind == "Laplace" and type(p) is not type(q):
            continue  # the one pair that nothing is registered for
        exact = torch.distributions.kl_divergence(p, q)
        x = p.sample((4000,))
        inside = q.support.check(x)
        x = x.where(inside, x.new_tensor(0.5))
        drawn = (p.log_prob(x) - q.log_prob(x)).where(inside, x.new_tensor(math.inf))
        mean, error = drawn.mean(0), drawn.std(0) / 4000**0.5
        for a, b, e in zip(exact.tolist(), mean.tolist(), error.tolist()):
            assert a == b == math.inf or abs(a - b) <= 6 * e + 1e-5


def test_what_a_program_registers(torch):
    D = torch.distributions

    class Strange(D.Normal):
        pass

    p, q = Strange(torch.tensor(0.0), torch.tensor(1.0)), D.Normal(0.0, 2.0)
    plain = D.kl_divergence(D.Normal(0.0, 1.0), q)
    assert D.kl_divergence(p, q) == plain
    try:
        D.register_kl(Strange, D.Normal)(lambda p, q: torch.tensor(7.0))
        assert D.kl_divergence(p, q) == 7
        D.register_kl(D.Normal, Strange)(lambda p, q: torch.tensor(8.0))
        with pytest.warns(RuntimeWarning, match="Ambiguous kl_divergence"):
            assert D.kl_divergence(p, p) == 7
    finally:
        for pair in ((Strange, D.Normal), (D.Normal, Strange)):
            D.kl._KL_REGISTRY.pop(pair, None)
        D.kl._KL_MEMOIZE.clear()


def test_what_is_not_registered(torch):
    D = torch.distributions
    with pytest.raises(NotImplementedError, match="No KL"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Cauchy(0.0, 1.0))
    with pytest.raises(TypeError, match="Distribution subclass"):
        D.register_kl(1, D.Normal)
