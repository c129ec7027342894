"""Initialisers draw what PyTorch draws."""

import pytest

from tests.both import same

DRAWS = {
    "uniform_": lambda i, x, g: i.uniform_(x, -1, 2, generator=g),
    "normal_": lambda i, x, g: i.normal_(x, 1, 2, generator=g),
    "trunc_normal_": lambda i, x, g: i.trunc_normal_(x, generator=g),
    "trunc_normal_ narrow": lambda i, x, g: i.trunc_normal_(x, std=0.5, a=-0.2, b=0.3),
    "trunc_normal_ tail": lambda i, x, g: i.trunc_normal_(x, a=1.5, b=4.0, generator=g),
    "trunc_normal_ outside": lambda i, x, g: i.trunc_normal_(x, mean=9.0),
    "xavier_uniform_": lambda i, x, g: i.xavier_uniform_(x, 2.0, generator=g),
    "xavier_normal_": lambda i, x, g: i.xavier_normal_(x, generator=g),
    "kaiming_uniform_": lambda i, x, g: i.kaiming_uniform_(x, 0.1, generator=g),
    "kaiming_normal_": lambda i, x, g: i.kaiming_normal_(x, 0, "fan_out", "relu", generator=g),
    "orthogonal_": lambda i, x, g: i.orthogonal_(x, 2.0, generator=g),
    "sparse_": lambda i, x, g: i.sparse_(x, 0.3, generator=g),
    "constant_": lambda i, x, g: i.constant_(x, 3),
    "ones_": lambda i, x, g: i.ones_(x),
    "zeros_": lambda i, x, g: i.zeros_(x),
    "eye_": lambda i, x, g: i.eye_(x),
}

ERRORS = {
    "gain": lambda t: t.nn.init.calculate_gain("nope"),
    "slope": lambda t: t.nn.init.calculate_gain("leaky_relu", "a"),
    "fan": lambda t: t.nn.init.xavier_uniform_(t.zeros(3)),
    "mode": lambda t: t.nn.init.kaiming_uniform_(t.zeros(3, 3), mode="x"),
    "eye_": lambda t: t.nn.init.eye_(t.zeros(3)),
    "dirac_": lambda t: t.nn.init.dirac_(t.zeros(3)),
    "dirac_ groups": lambda t: t.nn.init.dirac_(t.zeros(3, 3, 3), groups=2),
    "orthogonal_": lambda t: t.nn.init.orthogonal_(t.zeros(3)),
    "sparse_": lambda t: t.nn.init.sparse_(t.zeros(3), 0.1),
    "uniform_": lambda t: t.nn.init.uniform_(t.zeros(3), 1, 0),
}


@pytest.mark.parametrize("shape", [(3, 5), (6, 4)])
@pytest.mark.parametrize("name", DRAWS)
def test_draws(name, shape, torch, oracle):
    def program(t):
        x = t.empty(shape, requires_grad=True)
        own = t.Generator().manual_seed(3)
        first = DRAWS[name](t.nn.init, x, None)
        results = [first is x, x.clone()]
        return results, DRAWS[name](t.nn.init, x, own).clone(), t.rand(2)

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, torch, oracle):
    same(ERRORS[name], torch, oracle)


def test_gains(torch, oracle):
    names = ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu")
    same(lambda t: [t.nn.init.calculate_gain(name) for name in names], torch, oracle)
    same(lambda t: t.nn.init.calculate_gain("leaky_relu", 0.3), torch, oracle)


def test_dirac(torch, oracle):
    for shape, groups in (((4, 2, 3), 2), ((2, 3, 3, 3), 1), ((2, 2, 1, 2, 3), 1)):
        same(lambda t, s=shape, g=groups: t.nn.init.dirac_(t.empty(s), g), torch, oracle)


def test_old_names(torch, oracle):
    same(lambda t: t.nn.init.xavier_uniform(t.empty(2, 2)), torch, oracle)
    with pytest.warns(FutureWarning, match="nn.init.constant_"):
        torch.nn.init.constant(torch.empty(1), 1)


def test_empty_tensors_warn(torch):
    with pytest.warns(UserWarning, match="zero-element"):
        torch.nn.init.kaiming_uniform_(torch.empty(0, 3))
