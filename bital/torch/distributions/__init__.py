"""torch.distributions: random variables, with draws, densities and gradients of both."""

from bital.base.errors import missing_attribute
from bital.torch.distributions import (  # noqa: F401 (the first two fill the register)
    _kl_mixed,
    _kl_same,
    constraints,
    kl,
    transforms,
)
from bital.torch.distributions.bernoulli import Bernoulli
from bital.torch.distributions.beta import Beta
from bital.torch.distributions.binomial import Binomial
from bital.torch.distributions.categorical import Categorical
from bital.torch.distributions.cauchy import Cauchy
from bital.torch.distributions.chi2 import Chi2
from bital.torch.distributions.constraint_registry import biject_to, transform_to
from bital.torch.distributions.continuous_bernoulli import ContinuousBernoulli
from bital.torch.distributions.dirichlet import Dirichlet
from bital.torch.distributions.distribution import Distribution
from bital.torch.distributions.exp_family import ExponentialFamily
from bital.torch.distributions.exponential import Exponential
from bital.torch.distributions.fishersnedecor import FisherSnedecor
from bital.torch.distributions.gamma import Gamma
from bital.torch.distributions.generalized_pareto import GeneralizedPareto
from bital.torch.distributions.geometric import Geometric
from bital.torch.distributions.gumbel import Gumbel
from bital.torch.distributions.half_cauchy import HalfCauchy
from bital.torch.distributions.half_normal import HalfNormal
from bital.torch.distributions.independent import Independent
from bital.torch.distributions.inverse_gamma import InverseGamma
from bital.torch.distributions.kl import kl_divergence, register_kl
from bital.torch.distributions.kumaraswamy import Kumaraswamy
from bital.torch.distributions.laplace import Laplace
from bital.torch.distributions.lkj_cholesky import LKJCholesky
from bital.torch.distributions.log_normal import LogNormal
from bital.torch.distributions.logistic_normal import LogisticNormal
from bital.torch.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from bital.torch.distributions.mixture_same_family import MixtureSameFamily
from bital.torch.distributions.multinomial import Multinomial
from bital.torch.distributions.multivariate_normal import MultivariateNormal
from bital.torch.distributions.negative_binomial import NegativeBinomial
from bital.torch.distributions.normal import Normal
from bital.torch.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from bital.torch.distributions.pareto import Pareto
from bital.torch.distributions.poisson import Poisson
from bital.torch.distributions.relaxed_bernoulli import RelaxedBernoulli
from bital.torch.distributions.relaxed_categorical import RelaxedOneHotCategorical
from bital.torch.distributions.studentT import StudentT
from bital.torch.distributions.transformed_distribution import TransformedDistribution
from bital.torch.distributions.transforms import *  # noqa: F403
from bital.torch.distributions.transforms import __all__ as _transforms
from bital.torch.distributions.uniform import Uniform
from bital.torch.distributions.von_mises import VonMises
from bital.torch.distributions.weibull import Weibull
from bital.torch.distributions.wishart import Wishart

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli",
    "Dirichlet", "Distribution", "Exponential", "ExponentialFamily", "FisherSnedecor", "Gamma",
    "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal",
    "LowRankMultivariateNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough",
    "Pareto", "Poisson", "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT",
    "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to",
    "kl_divergence", "register_kl", "transform_to", *_transforms,
]  # fmt: skip

__getattr__ = missing_attribute("torch.distributions")
