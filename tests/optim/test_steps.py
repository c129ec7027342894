"""Ten steps of each optimizer with each option, against PyTorch's."""

import copy

import pytest

from tests.both import same

OPTIONS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "maximize": True},
        {"lr": 0.1, "foreach": False},
        {"lr": 0.1, "momentum": 0.9, "foreach": True},
        {"lr": 0.1, "momentum": 0.9, "fused": True},
    ],
    "Adam": [
        {},
        {"lr": 0.1},
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.1, "amsgrad": True},
        {"lr": 0.1, "maximize": True, "amsgrad": True, "weight_decay": 0.01},
        {"lr": 0.1, "foreach": True},
        {"lr": 0.1, "fused": True},
    ],
    "AdamW": [
        {},
        {"lr": 0.1, "weight_decay": 0.5},
        {"lr": 0.1, "amsgrad": True},
        {"lr": 0.1, "maximize": True},
    ],
}
CASES = [(name, options) for name, many in OPTIONS.items() for options in many]
IDS = [f"{name} {options}" for name, options in CASES]


def problem(t, dtype="float32"):
    """A small network, its data, and a parameter that never has a gradient."""
    m = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 1))
    m.unused = t.nn.Parameter(t.ones(2))
    m.to(getattr(t, dtype))
    x = t.randn(8, 3, dtype=getattr(t, dtype))
    return m, x, x.sum(1, keepdim=True)


def train(t, m, x, y, opt, steps):
    losses = []
    for _ in range(steps):
        opt.zero_grad()
        loss = ((m[:3](x) - y) ** 2).mean()
        loss.backward()
        opt.step()
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_ten_steps(name, options, torch, oracle):
    def program(t):
        m, x, y = problem(t)
        opt = getattr(t.optim, name)(m.parameters(), **options)
        losses = train(t, m, x, y, opt, 10)
        return losses, m.state_dict(), opt.state_dict(), repr(opt)

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", OPTIONS)
def test_float64(name, torch, oracle):
    def program(t):
        m, x, y = problem(t, "float64")
        opt = getattr(t.optim, name)(m.parameters(), lr=0.01)
        return train(t, m, x, y, opt, 10), opt.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", OPTIONS)
def test_tensor_lr(name, torch, oracle):
    def program(t):
        m, x, y = problem(t)
        rate = t.tensor(0.05)
        opt = getattr(t.optim, name)(m.parameters(), lr=rate, weight_decay=0.1)
        first = train(t, m, x, y, opt, 3)
        rate.fill_(0.01)
        return first, train(t, m, x, y, opt, 3), m.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("fresh", [True, False])
def test_saved_and_loaded(name, fresh, torch, oracle):
    """Five steps, then five with the state loaded, into another optimizer or the same."""

    def program(t):
        m, x, y = problem(t)
        opt = getattr(t.optim, name)(m.parameters(), lr=0.05)
        train(t, m, x, y, opt, 5)
        state = copy.deepcopy(opt.state_dict())
        if fresh:
            opt = getattr(t.optim, name)(m.parameters(), lr=1.0)
        else:
            train(t, m, x, y, opt, 1)
        opt.load_state_dict(state)
        return train(t, m, x, y, opt, 5), opt.state_dict(), m.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_a_step_written_by_the_user_counts(name, torch, oracle):
    def program(t):
        m, x, y = problem(t)
        opt = getattr(t.optim, name)(m.parameters(), lr=0.05)
        train(t, m, x, y, opt, 2)
        for state in opt.state.values():
            state["step"].fill_(50)
        train(t, m, x, y, opt, 1)
        opt.state[m[0].weight]["step"] = t.tensor(7.0)
        return train(t, m, x, y, opt, 2), opt.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", OPTIONS)
def test_deepcopy_goes_on_by_itself(name, torch, oracle):
    def program(t):
        m, x, y = problem(t)
        opt = getattr(t.optim, name)(m.parameters(), lr=0.05)
        train(t, m, x, y, opt, 2)
        m2, opt2 = copy.deepcopy((m, opt))
        train(t, m2, x, y, opt2, 2)
        return m.state_dict(), m2.state_dict(), opt2.state_dict()

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_complex_parameters(name, torch, oracle):
    def program(t):
        p = t.nn.Parameter(t.randn(3, dtype=t.complex64))
        opt = getattr(t.optim, name)([p], lr=0.1)
        for _ in range(5):
            opt.zero_grad()
            (p * p.conj()).real.sum().backward()
            opt.step()
        return p

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", OPTIONS)
def test_differentiable(name, torch, oracle):
    """A gradient flows through a step to what the gradient of the step was made of."""

    def program(t):
        start = t.ones(2, requires_grad=True)
        scale = t.tensor(3.0, requires_grad=True)
        p = start.clone()
        opt = getattr(t.optim, name)([p], lr=0.1, differentiable=True)
        p.grad = start.detach() * scale
        opt.step()
        p.sum().backward()
        return p, start.grad, scale.grad

    same(program, torch, oracle, order=2)


def test_closure(torch, oracle):
    def program(t):
        m, x, y = problem(t)
        opt = t.optim.SGD(m.parameters(), lr=0.1)

        def closure():
            opt.zero_grad()
            loss = ((m[:3](x) - y) ** 2).mean()
            loss.backward()
            return loss

        return [opt.step(closure) for _ in range(3)], t.is_grad_enabled()

    same(program, torch, oracle, order=1)


def test_step_leaves_the_gradient_mode(torch):
    p = torch.nn.Parameter(torch.ones(1))
    opt = torch.optim.SGD([p], lr=1.0)
    with torch.no_grad():
        opt.step()
        assert not torch.is_grad_enabled()
    opt.step()
    assert torch.is_grad_enabled()
    with pytest.raises(ZeroDivisionError):
        opt.step(lambda: 1 / 0)
    assert torch.is_grad_enabled()
