"""Each distribution against PyTorch's: every method, on the parameters and values of the table."""

import warnings

import pytest

from tests.both import same
from tests.distributions.table import DISTRIBUTIONS, VALUES

PROPERTIES = ("mean", "mode", "variance", "stddev", "batch_shape", "event_shape", "has_rsample")
#: what is computed by factors of matrices in single precision
LOOSE = {"Wishart", "LowRankMultivariateNormal", "MultivariateNormal precision"}
#: where PyTorch 2.13 cannot differentiate: it mixes dtypes, or writes to what it has saved
NO_GRADIENT = {"GeneralizedPareto", "Wishart"}


def order(name):
    """How many roundings a result of this distribution has gone through."""
    return 2 if name in LOOSE or name.startswith(("Multivariate", "VonMises", "LKJ")) else 1


def attempt(call):
    """What `call` returns, or the class of its error."""
    try:
        return call()
    except (NotImplementedError, AttributeError, RuntimeError) as error:
        return type(error).__name__


def each(test):
    """A test of one distribution; its program gets the namespace, the distribution and values."""

    @pytest.mark.parametrize("name", DISTRIBUTIONS)
    def run(torch, oracle, name):
        def program(lib):
            return test(lib, DISTRIBUTIONS[name](lib), lib.tensor(VALUES[name]))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same(program, torch, oracle, order=order(name))

    return run


@each
def test_properties(lib, d, values):
    found = {name: attempt(lambda n=name: getattr(d, n)) for name in PROPERTIES}
    return found | {"support": repr(d.support), "parameters": repr(d.arg_constraints)}


@each
def test_repr(lib, d, values):
    return repr(d)


@each
def test_log_prob(lib, d, values):
    return d.log_prob(values)


@each
def test_cdf(lib, d, values):
    return attempt(lambda: d.cdf(values))


@each
def test_icdf(lib, d, values):
    quantiles = lib.full(d.batch_shape, 0.3)
    return attempt(lambda: d.icdf(quantiles))


@each
def test_entropy(lib, d, values):
    return attempt(d.entropy), attempt(d.perplexity)


@each
def test_sample(lib, d, values):
    return d.sample(), d.sample((5,)), d.sample((2, 3)), lib.rand(2)


@each
def test_rsample(lib, d, values):
    return attempt(lambda: d.rsample((3,))), lib.rand(2)


@each
def test_enumerate_support(lib, d, values):
    return attempt(d.enumerate_support), attempt(lambda: d.enumerate_support(expand=False))


@each
def test_expand(lib, d, values):
    wide = d.expand((3, *d.batch_shape))
    return wide.batch_shape, wide.sample(), wide.log_prob(values), repr(wide)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS.keys() - NO_GRADIENT))
def test_gradients(torch, oracle, name):
    """Of densities and, where draws move with their parameters, of those."""

    def program(lib):
        leaves = []
        d = DISTRIBUTIONS[name](lib, leaves)
        values = lib.tensor(VALUES[name], dtype=lib.float64)
        found = [gradients(lib, d.log_prob(values), leaves)]
        if d.has_rsample:
            drawn = d.rsample((2,))
            weights = lib.arange(drawn.numel(), dtype=lib.float64).reshape(drawn.shape).sin()
            found.append(gradients(lib, drawn * weights, leaves))
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(program, torch, oracle, order=2)


def gradients(lib, out, leaves):
    """What `out` adds to the gradients of the leaves."""
    return list(lib.autograd.grad(out.sum(), leaves, allow_unused=True, retain_graph=True))
