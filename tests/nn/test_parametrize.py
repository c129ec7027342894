"""Parametrizations: registered, set, cached, removed; orthogonal, weight and spectral norm."""

import copy
import pickle

import pytest

from tests.both import same


def symmetric(t):
    class Symmetric(t.nn.Module):
        def forward(self, X):
            return X.triu() + X.triu(1).mT

        def right_inverse(self, A):
            return A.triu()

    return Symmetric()


def scaled(t, factor):
    class Scaled(t.nn.Module):
        def forward(self, X):
            return X * factor

        def right_inverse(self, X):
            return X / factor

    return Scaled()


def rank_one(t):
    class RankOne(t.nn.Module):
        def forward(self, x, y):
            return x.unsqueeze(-1) @ y.unsqueeze(-2)

        def right_inverse(self, Z):
            U, S, Vh = t.linalg.svd(Z, full_matrices=False)
            return U[..., :, 0].abs() * S[..., 0], Vh[..., 0, :].abs()

    return RankOne()


def test_several(torch, oracle):
    def program(t):
        P = t.nn.utils.parametrize
        m = t.nn.Linear(3, 3)
        P.register_parametrization(m, "weight", symmetric(t))
        P.register_parametrization(m, "weight", scaled(t, 2.0))
        P.register_parametrization(m, "bias", scaled(t, 3.0))
        x = t.randn(2, 3)
        m(x).sum().backward()
        grads = [p.grad for p in m.parameters()]
        m.weight = t.arange(9.0).view(3, 3)
        with P.cached():
            once = m.weight is m.weight
        found = [repr(m), m.state_dict(), grads, m.weight, once, m.weight is m.weight]
        found += [P.is_parametrized(m), P.is_parametrized(m, "weight"), P.is_parametrized(m, "b")]
        found += [P.type_before_parametrizations(m).__name__, type(m).__name__]
        twin = copy.deepcopy(m)
        found += [type(twin) is type(m), twin(x), [n for n, _ in twin.named_parameters()]]
        P.remove_parametrizations(m, "weight")
        P.remove_parametrizations(m, "bias", leave_parametrized=False)
        found += [repr(m), m.state_dict(), type(m).__name__, P.is_parametrized(m), twin.weight]
        return found

    same(program, torch, oracle, order=1)


def test_several_originals(torch, oracle):
    def program(t):
        P = t.nn.utils.parametrize
        m = t.nn.Linear(3, 2)
        P.register_parametrization(m, "weight", rank_one(t))
        other = P.transfer_parametrizations_and_params(m, t.nn.Linear(3, 2))
        names = [n for n, _ in m.named_parameters()]
        m.weight = t.ones(2, 3)
        found = [m.state_dict(), names, m.weight, other.weight, other.state_dict()]
        P.remove_parametrizations(m, "weight")
        return found, m.weight, type(m.weight).__name__, m.weight.requires_grad

    same(program, torch, oracle, order=1)


MAPS = ["matrix_exp", "cayley", "householder"]


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_orthogonal(name, trivial, shape, torch, oracle):
    def program(t):
        m = t.nn.Linear(*shape)
        if not trivial and name == "householder":
            t.nn.init.orthogonal_(m.weight)
        t.nn.utils.parametrizations.orthogonal(m, "weight", name, use_trivialization=trivial)
        (
            m.weight * t.linspace(0, 1, 8 if 3 not in shape else 9).view(m.weight.shape)
        ).sum().backward()
        tall = m.weight if m.weight.shape[0] >= m.weight.shape[1] else m.weight.mT
        whole = (tall.mT @ tall - t.eye(tall.shape[1])).abs().max() < 1e-5
        return m.weight, m.parametrizations.weight.original.grad, whole, m.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("older", [False, True])
def test_weight_norm(dim, older, torch, oracle):
    def program(t):
        utils = t.nn.utils
        m = t.nn.Conv1d(3, 4, 2)
        fn = utils.weight_norm if older else utils.parametrizations.weight_norm
        m = fn(m, "weight", dim)
        m(t.ones(1, 3, 5)).pow(2).sum().backward()
        found = [repr(m), m.state_dict(), [p.grad for p in m.parameters()]]
        if older:
            new = utils.parametrizations.weight_norm(t.nn.Conv1d(3, 4, 2), "weight", dim)
            found += [new.load_state_dict(m.state_dict()), new.weight]
            return found, repr(utils.remove_weight_norm(m)), m.state_dict()
        return found, repr(utils.parametrize.remove_parametrizations(m, "weight")), m.state_dict()

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("kind", ["Linear", "ConvTranspose1d"])
def test_spectral_norm(older, kind, torch, oracle):
    def program(t):
        utils = t.nn.utils
        m = t.nn.Linear(3, 5) if kind == "Linear" else t.nn.ConvTranspose1d(3, 5, 2)
        fn = utils.spectral_norm if older else utils.parametrizations.spectral_norm
        fn(m, n_power_iterations=2)
        x = t.randn(4, 3) if kind == "Linear" else t.randn(4, 3, 6)
        m(x).pow(2).sum().backward()
        found = [repr(m), m.state_dict(), [p.grad for p in m.parameters()], m.eval()(x)]
        twin = t.nn.Linear(3, 5) if kind == "Linear" else t.nn.ConvTranspose1d(3, 5, 2)
        found += [str(fn(twin).load_state_dict(m.state_dict())), twin.eval()(x)]
        if older:
            found += [m.state_dict()._metadata, repr(utils.remove_spectral_norm(m))]
            return found, m.state_dict(), len(m._forward_pre_hooks), len(m._state_dict_hooks)
        return found

    same(program, torch, oracle, order=1)


def wrong(t, forward):
    class Wrong(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.forward = forward

    return Wrong()


REGISTER = {
    "name": lambda t: ("weights", scaled(t, 2.0)),
    "type": lambda t: ("weight", wrong(t, lambda x: 1)),
    "dtype": lambda t: ("weight", wrong(t, lambda x: x.double())),
    "shape": lambda t: ("weight", wrong(t, lambda x: x[0])),
}


@pytest.mark.parametrize("name", REGISTER)
@pytest.mark.parametrize("again", [False, True])
def test_refused(name, again, torch, oracle):
    def program(t):
        m = t.nn.Linear(2, 3)
        P = t.nn.utils.parametrize
        if again:
            P.register_parametrization(m, "weight", scaled(t, 2.0))
        P.register_parametrization(m, *REGISTER[name](t))

    same(program, torch, oracle)


ERRORS = {
    "pickle": lambda t, u: pickle.dumps(u.parametrizations.weight_norm(t.nn.Linear(2, 3))),
    "assign": lambda t, u: setattr(
        u.parametrize.register_parametrization(
            t.nn.Linear(2, 3), "weight", wrong(t, lambda x: x)
        ), "weight", t.ones(3, 2),
    ),
    "remove": lambda t, u: u.parametrize.remove_parametrizations(t.nn.Linear(2, 3), "weight"),
    "leave": lambda t, u: u.parametrize.remove_parametrizations(
        u.parametrizations.weight_norm(t.nn.Linear(2, 3)), "weight", leave_parametrized=False
    ),
    "orthogonal name": lambda t, u: u.parametrizations.orthogonal(t.nn.Linear(2, 3), "w"),
    "orthogonal vector": lambda t, u: u.parametrizations.orthogonal(t.nn.Linear(2, 3), "bias"),
    "orthogonal map": lambda t, u: u.parametrizations.orthogonal(
        t.nn.Linear(2, 3), orthogonal_map="qr"
    ),
    "spectral dim": lambda t, u: u.parametrizations.spectral_norm(t.nn.Linear(2, 3), dim=2),
    "spectral count": lambda t, u: u.parametrizations.spectral_norm(
        t.nn.Linear(2, 3), n_power_iterations=0
    ),
    "older twice": lambda t, u: u.weight_norm(u.weight_norm(t.nn.Linear(2, 3))),
    "older spectral twice": lambda t, u: u.spectral_norm(u.spectral_norm(t.nn.Linear(2, 3))),
    "older none": lambda t, u: u.remove_weight_norm(t.nn.Linear(2, 3)),
    "older spectral none": lambda t, u: u.remove_spectral_norm(t.nn.Linear(2, 3)),
    "empty": lambda t, u: u.parametrize.ParametrizationList([], t.ones(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(lambda t: ERRORS[name](t, t.nn.utils), torch, oracle)
