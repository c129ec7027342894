"""What must hold for every distribution, without PyTorch: densities, moments, quantiles."""

import math
import warnings

import numpy as np
import pytest

from tests.distributions.table import DISTRIBUTIONS, VALUES

COUNTED = ("Bernoulli", "Binomial", "Categorical", "OneHotCategorical")
#: discrete without an end, so that sums go up to a number that is hardly ever reached
ENDLESS = {"Geometric": 200, "NegativeBinomial": 200, "Poisson": 200}
#: with moments that samples estimate well, and events that are numbers
SAMPLED = (
    "Bernoulli", "Beta", "Binomial", "Chi2", "ContinuousBernoulli", "Exponential", "Gamma",
    "Gumbel", "HalfNormal", "Kumaraswamy", "Laplace", "MixtureSameFamily", "NegativeBinomial",
    "Normal", "Poisson", "Uniform", "Weibull", "Dirichlet", "Multinomial", "MultivariateNormal",
    "LowRankMultivariateNormal", "OneHotCategorical",
)  # fmt: skip
INVERTIBLE = (
    "Cauchy", "ContinuousBernoulli", "Exponential", "Gumbel", "HalfCauchy", "HalfNormal",
    "Kumaraswamy", "Laplace", "LogNormal", "Normal", "Pareto", "Uniform", "Weibull",
    "GeneralizedPareto", "TransformedDistribution",
)  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_probabilities_sum_to_one(torch, name):
    d = DISTRIBUTIONS[name](torch)
    total = d.log_prob(d.enumerate_support()).exp().sum(0)
    assert np.allclose(total.numpy(), 1, atol=1e-5)


@pytest.mark.parametrize("name", ENDLESS)
def test_probabilities_without_an_end_sum_to_one(torch, name):
    d = DISTRIBUTIONS[name](torch)
    counts = torch.arange(float(ENDLESS[name])).unsqueeze(-1)
    assert np.allclose(d.log_prob(counts).exp().sum(0).numpy(), 1, atol=1e-3)


@pytest.mark.parametrize("name", INVERTIBLE)
def test_quantiles_invert_the_distribution_function(torch, name):
    d = DISTRIBUTIONS[name](torch)
    for p in (0.1, 0.5, 0.9):
        quantile = d.icdf(torch.full(d.batch_shape, p))
        assert np.allclose(d.cdf(quantile).numpy(), p, atol=1e-4)


@pytest.mark.parametrize("name", [*INVERTIBLE, "Gamma", "Chi2"])
def test_the_density_is_the_slope_of_the_distribution_function(torch, name):
    d = DISTRIBUTIONS[name](torch)
    x = torch.tensor(VALUES[name], requires_grad=True)
    (slope,) = torch.autograd.grad(d.cdf(x).sum(), x)
    assert np.allclose(slope.numpy(), d.log_prob(x).exp().detach().numpy(), rtol=1e-3)


@pytest.mark.parametrize("name", SAMPLED)
def test_moments_of_samples(torch, name):
    torch.manual_seed(1)
    d, n = DISTRIBUTIONS[name](torch), 3000
    drawn = d.sample((n,)).double()
    mean, spread = d.mean.double(), d.stddev.double()
    error = (drawn.mean(0) - mean).abs() / (spread / math.sqrt(n) + 1e-9)
    assert error.where(spread > 0, error * 0).max() < 5
    assert np.allclose(drawn.std(0).numpy(), spread.numpy(), rtol=0.35, atol=1e-6)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS.keys() - {"RelaxedOneHotCategorical"}))
def test_draws_lie_in_the_support(torch, name):
    torch.manual_seed(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d = DISTRIBUTIONS[name](torch)
        drawn = d.sample((20,))
    assert tuple(drawn.shape) == (20, *d.batch_shape, *d.event_shape)
    assert d.support.check(drawn).all()
    assert not d.log_prob(drawn).isnan().any()


@pytest.mark.parametrize("name", ["Gamma", "Beta", "Dirichlet", "Chi2"])
def test_draws_move_with_their_parameters_as_their_moments_do(torch, name):
    """The mean gradient of draws is the gradient of the mean: implicit reparameterisation."""
    torch.manual_seed(3)
    leaves = []
    d, n = DISTRIBUTIONS[name](torch, leaves), 3000
    weights = torch.arange(math.prod(d.event_shape), dtype=torch.float64).reshape(d.event_shape)
    weights = weights + 1
    exact = torch.autograd.grad((d.mean * weights).sum(), leaves, retain_graph=True)
    drawn = torch.autograd.grad((d.rsample((n,)).mean(0) * weights).sum(), leaves)
    for a, b in zip(exact, drawn):
        assert np.allclose(a.numpy(), b.numpy(), rtol=0.2, atol=0.1)


def test_parameters_are_checked(torch):
    D = torch.distributions
    with pytest.raises(ValueError, match="Expected parameter scale .* GreaterThan"):
        D.Normal(0.0, torch.tensor(-1.0))
    with pytest.raises(ValueError, match="within the support"):
        D.Exponential(1.0).log_prob(torch.tensor(-1.0))
    with pytest.raises(ValueError, match="must be a Tensor"):
        D.Normal(0.0, 1.0).log_prob(0.5)
    with pytest.raises(ValueError, match="not broadcastable"):
        D.Normal(torch.zeros(2), 1.0).log_prob(torch.zeros(3))
    with pytest.raises(ValueError, match="right-most size"):
        D.Dirichlet(torch.ones(3)).log_prob(torch.ones(2) / 2)
    with pytest.raises(ValueError, match="but not both"):
        D.Bernoulli(0.5, logits=0.0)
    assert D.Normal(0.0, torch.tensor(-1.0), validate_args=False).scale == -1


def test_checking_can_be_switched_off(torch):
    D = torch.distributions
    try:
        D.Distribution.set_default_validate_args(False)
        assert D.Normal(0.0, torch.tensor(-1.0)).scale == -1
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError):
        D.Distribution.set_default_validate_args("maybe")


def test_subclasses_with_another_constructor_need_an_expand_of_their_own(torch):
    class Named(torch.distributions.Normal):
        def __init__(self, name):
            super().__init__(0.0, 1.0)
            self.name = name

    with pytest.raises(NotImplementedError, match="custom .expand"):
        Named("bell").expand((2,))


def test_unfinished_subclasses(torch):
    class Empty(torch.distributions.Distribution):
        pass

    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        empty = Empty()
    for call in (empty.sample, empty.entropy, lambda: empty.mean, lambda: empty.mode):
        with pytest.raises(NotImplementedError):
            call()
