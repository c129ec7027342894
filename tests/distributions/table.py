"""Distributions with their parameters, and values to ask densities of, as functions of a namespace.

`DISTRIBUTIONS[name](torch)` makes a distribution; `VALUES[name]` are numbers of its support. With
a list `leaves` its parameters are float64, require gradients, and are added to the list.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

POSITIVE = [0.1, 0.7, 1.5, 4.0]
UNIT = [0.05, 0.3, 0.5, 0.95]
REAL = [-2.5, -0.3, 0.4, 3.0]
COUNTS = [0.0, 1.0, 2.0, 3.0]
PARTS = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]
ONE_HOT = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
VECTORS = [[0.5, -1.0, 0.3], [2.0, 0.1, -0.7]]
COVARIANCE = [[2.0, 0.5, 0.1], [0.5, 1.5, -0.3], [0.1, -0.3, 1.0]]
FACTOR = np.linalg.cholesky(COVARIANCE).tolist()
CORRELATION = [[[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.36, 0.48, 0.8]]]

Make = Callable[[Any], Any]
DISTRIBUTIONS: dict[str, Make] = {}
VALUES: dict[str, list] = {}


def add(name: str, values: list, make: Callable) -> None:
    """`make(D, t)` gets the namespaces torch.distributions and a function list -> tensor."""

    def made(torch: Any, leaves: list | None = None) -> Any:
        def t(data: Any) -> Any:
            if leaves is None:
                return torch.tensor(data)
            leaves.append(torch.tensor(data, dtype=torch.float64, requires_grad=True))
            return leaves[-1]

        return make(torch.distributions, t)

    DISTRIBUTIONS[name] = made
    VALUES[name] = values


add("Bernoulli", [0.0, 1.0, 1.0, 0.0], lambda D, t: D.Bernoulli(t([0.2, 0.5, 0.7, 1.0])))
add("Bernoulli logits", [0.0, 1.0, 1.0, 0.0], lambda D, t: D.Bernoulli(logits=t(REAL)))
add("Beta", UNIT, lambda D, t: D.Beta(t([0.5, 1.0, 2.0, 9.0]), t([0.7, 2.0, 2.0, 8.0])))
add("Binomial", COUNTS, lambda D, t: D.Binomial(3, t([0.1, 0.5, 0.8, 0.3])))
add("Binomial logits", COUNTS, lambda D, t: D.Binomial(20, logits=t(REAL)))
add("Categorical", [0, 2], lambda D, t: D.Categorical(t([[0.1, 0.6, 0.3], [2.0, 1.0, 1.0]])))
add("Categorical logits", [1, 2], lambda D, t: D.Categorical(logits=t(VECTORS)))
add("Cauchy", REAL, lambda D, t: D.Cauchy(t(0.5), t([1.0, 2.0, 0.3, 1.5])))
add("Chi2", POSITIVE, lambda D, t: D.Chi2(t([1.0, 2.0, 5.0, 9.0])))
add("ContinuousBernoulli", UNIT, lambda D, t: D.ContinuousBernoulli(t([0.1, 0.4995, 0.5, 0.9])))
add("Dirichlet", PARTS, lambda D, t: D.Dirichlet(t([[0.5, 1.0, 2.0], [3.0, 0.7, 9.0]])))
add("Exponential", POSITIVE, lambda D, t: D.Exponential(t([0.5, 1.0, 2.0, 3.0])))
add("FisherSnedecor", POSITIVE, lambda D, t: D.FisherSnedecor(t([1.0, 3.0, 5.0, 9.0]), t(6.0)))
add("Gamma", POSITIVE, lambda D, t: D.Gamma(t([0.5, 1.0, 3.0, 20.0]), t([1.0, 2.0, 0.5, 4.0])))
add(
    "GeneralizedPareto", [1.2, 1.4, 1.6, 2.0],
    lambda D, t: D.GeneralizedPareto(t(1.0), t(2.0), t([-0.5, 0.0, 0.2, 1.5])),
)  # fmt: skip
add("Geometric", COUNTS, lambda D, t: D.Geometric(t([0.1, 0.5, 0.8, 1.0])))
add("Gumbel", REAL, lambda D, t: D.Gumbel(t([0.0, 1.0, -1.0, 0.5]), t(1.5)))
add("HalfCauchy", POSITIVE, lambda D, t: D.HalfCauchy(t([0.5, 1.0, 2.0, 3.0])))
add("HalfNormal", POSITIVE, lambda D, t: D.HalfNormal(t([0.5, 1.0, 2.0, 3.0])))
add("Independent", [REAL] * 2, lambda D, t: D.Independent(D.Normal(t([REAL] * 2), t(1.5)), 1))
add("InverseGamma", POSITIVE, lambda D, t: D.InverseGamma(t([0.5, 1.5, 3.0, 4.0]), t(2.0)))
add("Kumaraswamy", UNIT, lambda D, t: D.Kumaraswamy(t([0.5, 1.0, 2.0, 3.0]), t(2.5)))
add("LKJCholesky", CORRELATION, lambda D, t: D.LKJCholesky(3, t([0.7])))
add("Laplace", REAL, lambda D, t: D.Laplace(t(0.2), t([0.5, 1.0, 2.0, 3.0])))
add("LogNormal", POSITIVE, lambda D, t: D.LogNormal(t(REAL), t(0.8)))
add("LogisticNormal", PARTS, lambda D, t: D.LogisticNormal(t([[0.1, 0.5], [1.0, -1.0]]), t(0.7)))
add(
    "LowRankMultivariateNormal", VECTORS,
    lambda D, t: D.LowRankMultivariateNormal(
        t([0.1, 0.2, 0.3]), t([[1.0, 0.1], [0.5, 0.3], [-0.2, 0.7]]), t([0.5, 1.0, 0.7])
    ),
)  # fmt: skip
add(
    "MixtureSameFamily", REAL,
    lambda D, t: D.MixtureSameFamily(
        D.Categorical(t([0.3, 0.7])), D.Normal(t([-1.0, 1.0]), t([0.5, 1.5]))
    ),
)  # fmt: skip
add(
    "MixtureSameFamily of vectors", VECTORS,
    lambda D, t: D.MixtureSameFamily(
        D.Categorical(t([[0.3, 0.7], [0.5, 0.5]])),
        D.Independent(D.Normal(t([[VECTORS[0]] * 2] * 2), t(1.5)), 1),
    ),
)  # fmt: skip
add(
    "Multinomial", [[1.0, 2.0, 1.0], [0.0, 4.0, 0.0]],
    lambda D, t: D.Multinomial(4, t([[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]])),
)  # fmt: skip
add("MultivariateNormal", VECTORS, lambda D, t: D.MultivariateNormal(t(VECTORS), t(COVARIANCE)))
add(
    "MultivariateNormal precision", VECTORS,
    lambda D, t: D.MultivariateNormal(t(VECTORS[0]), precision_matrix=t(COVARIANCE)),
)  # fmt: skip
add(
    "MultivariateNormal factor", VECTORS,
    lambda D, t: D.MultivariateNormal(t(VECTORS), scale_tril=t([FACTOR] * 2)),
)  # fmt: skip
add("NegativeBinomial", COUNTS, lambda D, t: D.NegativeBinomial(t([0.5, 3.0, 9.0, 2.0]), t(0.4)))
add("Normal", REAL, lambda D, t: D.Normal(t([0.0, 1.0, -1.0, 0.5]), t([1.0, 2.0, 0.3, 1.5])))
add("OneHotCategorical", ONE_HOT, lambda D, t: D.OneHotCategorical(t(PARTS)))
add(
    "OneHotCategoricalStraightThrough", ONE_HOT,
    lambda D, t: D.OneHotCategoricalStraightThrough(logits=t(VECTORS)),
)  # fmt: skip
add("Pareto", [1.1, 2.0, 3.0, 4.0], lambda D, t: D.Pareto(t(1.0), t([0.5, 1.5, 2.5, 4.0])))
add("Poisson", COUNTS, lambda D, t: D.Poisson(t([0.3, 2.0, 9.0, 30.0])))
add("RelaxedBernoulli", UNIT, lambda D, t: D.RelaxedBernoulli(t(0.7), t([0.1, 0.5, 0.8, 0.3])))
add(
    "RelaxedOneHotCategorical", PARTS,
    lambda D, t: D.RelaxedOneHotCategorical(t(0.7), logits=t(VECTORS)),
)  # fmt: skip
add("StudentT", REAL, lambda D, t: D.StudentT(t([0.7, 1.5, 3.0, 9.0]), t(0.5), t(2.0)))
add(
    "TransformedDistribution", UNIT,
    lambda D, t: D.TransformedDistribution(
        D.Normal(t(REAL), t(1.5)), [D.AffineTransform(t(1.0), t(-2.0)), D.SigmoidTransform()]
    ),
)  # fmt: skip
add("Uniform", UNIT, lambda D, t: D.Uniform(t([-1.0, 0.0, 0.1, 0.0]), t([1.0, 2.0, 3.0, 1.0])))
add("VonMises", REAL, lambda D, t: D.VonMises(t(REAL), t([0.1, 1.0, 5.0, 50.0])))
add("Weibull", POSITIVE, lambda D, t: D.Weibull(t([0.5, 1.0, 2.0, 3.0]), t([0.7, 1.0, 2.0, 5.0])))
add("Wishart", [COVARIANCE], lambda D, t: D.Wishart(t([4.5]), t(COVARIANCE)))
