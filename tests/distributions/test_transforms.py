"""Transforms and constraints: inverses, Jacobians, registers, and all against PyTorch's."""

import numpy as np
import pytest

from tests.both import same
from tests.distributions.table import COVARIANCE, FACTOR

REAL = [[-1.5, -0.2, 0.4], [0.9, 2.0, -0.6]]
POSITIVE = [[0.2, 1.0, 3.0], [0.5, 2.0, 0.1]]
UNIT = [[0.2, 0.6, 0.9], [0.5, 0.05, 0.3]]
MATRIX = [[0.5, 9.0, 9.0], [0.1, -0.3, 9.0], [0.7, 0.2, 0.4]]

#: name -> (what it is given, how it is made from torch.distributions and tensors)
TRANSFORMS = {
    "exp": (REAL, lambda D, t: D.ExpTransform()),
    "inverse of exp": (POSITIVE, lambda D, t: D.ExpTransform().inv),
    "power": (POSITIVE, lambda D, t: D.PowerTransform(t(2.5))),
    "sigmoid": (REAL, lambda D, t: D.SigmoidTransform()),
    "softplus": (REAL, lambda D, t: D.SoftplusTransform()),
    "tanh": (REAL, lambda D, t: D.TanhTransform()),
    "abs": (REAL, lambda D, t: D.AbsTransform()),
    "affine": (REAL, lambda D, t: D.AffineTransform(1.5, t([2.0, -1.0, 0.5]))),
    "affine of vectors": (REAL, lambda D, t: D.AffineTransform(0.5, -2.0, event_dim=1)),
    "compose": (
        REAL,
        lambda D, t: D.ComposeTransform([D.AffineTransform(0.5, 2.0), D.SigmoidTransform()]),
    ),
    "compose to vectors": (
        REAL,
        lambda D, t: D.ComposeTransform([D.TanhTransform(), D.StickBreakingTransform()]),
    ),
    "identity": (REAL, lambda D, t: D.identity_transform),
    "independent": (REAL, lambda D, t: D.IndependentTransform(D.ExpTransform(), 1)),
    "reshape": (REAL, lambda D, t: D.ReshapeTransform((3,), (3, 1))),
    "softmax": (REAL, lambda D, t: D.SoftmaxTransform()),
    "stick breaking": (REAL, lambda D, t: D.StickBreakingTransform()),
    "correlations": (REAL, lambda D, t: D.CorrCholeskyTransform()),
    "lower Cholesky": (MATRIX, lambda D, t: D.LowerCholeskyTransform()),
    "positive definite": (MATRIX, lambda D, t: D.PositiveDefiniteTransform()),
    "cat": (REAL, lambda D, t: D.CatTransform([D.ExpTransform(), D.TanhTransform()], 1, [1, 2])),
    "stack": (REAL, lambda D, t: D.StackTransform([D.ExpTransform(), D.TanhTransform()], 0)),
    "distribution function": (
        REAL,
        lambda D, t: D.CumulativeDistributionTransform(D.Normal(t(0.5), t(1.5))),
    ),
}
NOT_INVERTED = {"abs", "softmax", "positive definite", "lower Cholesky"}
JACOBIANS = sorted(TRANSFORMS.keys() - NOT_INVERTED)


def made(lib, name, dtype=None):
    data, make = TRANSFORMS[name]
    return make(lib.distributions, lib.tensor), lib.tensor(data, dtype=dtype)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_like_pytorch(torch, oracle, name):
    def program(lib):
        t, x = made(lib, name)
        y = t(x)
        found = [y, t.inv(y), t.forward_shape(x.shape), t.inverse_shape(y.shape), repr(t)]
        found += [repr(t.inv), t.bijective, t == made(lib, name)[0], repr(t.domain)]
        found += [repr(t.codomain), t.inv.inv is t]
        if name in JACOBIANS:
            found += [t.log_abs_det_jacobian(x, y), t.inv.log_abs_det_jacobian(y, x)]
        return found

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("name", sorted(TRANSFORMS.keys() - NOT_INVERTED))
def test_inverses(torch, name):
    t, x = made(torch, name, torch.float64)
    assert np.allclose(t.inv(t(x)).numpy(), x.numpy(), atol=1e-9)


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians(torch, name):
    t, x = made(torch, name, torch.float64)
    if t.domain.event_dim or t.codomain.event_dim:
        if t.codomain.event_dim != 1 or "compose" in name or "stick" in name:
            return  # events change size: compared with PyTorch above
    x.requires_grad_()
    (slope,) = torch.autograd.grad(t(x).sum(), x)
    expected = slope.abs().log()
    ours = t.log_abs_det_jacobian(x, t(x))
    if t.domain.event_dim:
        expected = expected.sum(-1)
    assert np.allclose(ours.detach().numpy(), expected.numpy(), atol=1e-9)


def test_a_cache_gives_back_the_very_tensor(torch):
    t = torch.distributions.TanhTransform(cache_size=1)
    x = torch.tensor([30.0])  # whose tanh is 1, which the inverse would make infinite
    assert t.inv(t(x)) is x
    assert t.with_cache(0)._cache_size == 0
    with pytest.raises(ValueError, match="cache_size"):
        torch.distributions.TanhTransform(cache_size=2)


CONSTRAINTS = {
    "boolean": ([0.0, 1.0, 0.5], lambda c: c.boolean),
    "one_hot": ([[0.0, 1.0], [1.0, 1.0]], lambda c: c.one_hot),
    "nonnegative_integer": ([0.0, 2.0, -1.0, 1.5], lambda c: c.nonnegative_integer),
    "positive_integer": ([0.0, 2.0], lambda c: c.positive_integer),
    "integer_interval": ([0.0, 2.0, 4.0], lambda c: c.integer_interval(1, 3)),
    "real": ([0.0, float("nan"), float("inf")], lambda c: c.real),
    "real_vector": ([[0.0, 1.0], [float("nan"), 2.0]], lambda c: c.real_vector),
    "positive": ([0.0, 1.0], lambda c: c.positive),
    "nonnegative": ([0.0, -1.0], lambda c: c.nonnegative),
    "greater_than": ([0.0, 3.0], lambda c: c.greater_than(2.0)),
    "greater_than_eq": ([2.0, 1.0], lambda c: c.greater_than_eq(2.0)),
    "less_than": ([2.0, 1.0], lambda c: c.less_than(2.0)),
    "unit_interval": ([0.0, 1.0, 1.1], lambda c: c.unit_interval),
    "interval": ([0.0, 3.0], lambda c: c.interval(-1.0, 2.0)),
    "half_open_interval": ([0.0, 2.0], lambda c: c.half_open_interval(0.0, 2.0)),
    "simplex": ([[0.3, 0.7], [0.5, 0.6]], lambda c: c.simplex),
    "multinomial": ([[1.0, 2.0], [3.0, 2.0]], lambda c: c.multinomial(4)),
    "lower_triangular": ([FACTOR, COVARIANCE], lambda c: c.lower_triangular),
    "lower_cholesky": ([FACTOR, COVARIANCE], lambda c: c.lower_cholesky),
    "corr_cholesky": (
        [[[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.6, 0.9]]], lambda c: c.corr_cholesky
    ),
    "square": ([[1.0, 2.0]], lambda c: c.square),
    "symmetric": ([FACTOR, COVARIANCE], lambda c: c.symmetric),
    "positive_semidefinite": ([COVARIANCE, COVARIANCE], lambda c: c.positive_semidefinite),
    "positive_definite": ([COVARIANCE, [[-v for v in r] for r in COVARIANCE]],
                          lambda c: c.positive_definite),
    "independent": ([[0.5, 2.0], [-1.0, 3.0]], lambda c: c.independent(c.positive, 1)),
    "cat": ([[0.5, -2.0], [-1.0, 3.0]], lambda c: c.cat([c.positive, c.real], 1)),
    "stack": ([[0.5, -2.0], [-1.0, 3.0]], lambda c: c.stack([c.positive, c.real], 1)),
    "mixture": ([0.5, -2.0], lambda c: c.MixtureSameFamilyConstraint(c.positive)),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_like_pytorch(torch, oracle, name):
    data, make = CONSTRAINTS[name]

    def program(lib):
        c = make(lib.distributions.constraints)
        found = [c.check(lib.tensor(data)), repr(c), c.event_dim, c.is_discrete]
        for register in (lib.distributions.biject_to, lib.distributions.transform_to):
            try:
                found.append(repr(register(c)))
            except NotImplementedError as error:
                found.append(str(error))
        return found

    same(program, torch, oracle)


@pytest.mark.parametrize(
    "name",
    ["positive", "greater_than", "less_than", "interval", "unit_interval", "simplex", "real",
     "corr_cholesky", "cat", "independent"],
)  # fmt: skip
def test_transforms_reach_their_constraint(torch, name):
    constraint = CONSTRAINTS[name][1](torch.distributions.constraints)
    for register in (torch.distributions.biject_to, torch.distributions.transform_to):
        x = torch.tensor([[-1.5, 0.3], [0.9, 2.0]] if name == "cat" else REAL)
        assert constraint.check(register(constraint)(x)).all()


def test_dependent_constraints(torch):
    constraints = torch.distributions.constraints
    assert constraints.is_dependent(torch.distributions.Uniform.support)
    assert not constraints.is_dependent(constraints.real)
    with pytest.raises(ValueError, match="dependent"):
        constraints.dependent.check(torch.ones(1))
    with pytest.raises(NotImplementedError, match="event_dim"):
        assert constraints.dependent.event_dim
    assert constraints.dependent(event_dim=1).event_dim == 1


def test_registers_refuse_what_is_no_constraint(torch):
    with pytest.raises(TypeError, match="Constraint"):
        torch.distributions.biject_to.register(int, lambda c: None)
