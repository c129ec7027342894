"""Ten steps of each optimizer with each option, against PyTorch's."""

import copy

import numpy as np
import pytest

from tests.both import same
from tests.tolerance import MUON_STEP

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
    "Adadelta": [{}, {"rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True}],
    "Adagrad": [
        {},
        {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1},
        {"initial_accumulator_value": 0.1, "eps": 1e-3, "maximize": True, "foreach": True},
        {"fused": True},
    ],
    "Adamax": [{}, {"betas": (0.5, 0.9), "weight_decay": 0.1}, {"maximize": True, "lr": 0.1}],
    "ASGD": [
        {},
        {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1},
        {"maximize": True},
    ],
    "NAdam": [
        {},
        {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1, "maximize": True},
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "RAdam": [
        {},
        {"betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True},
        {"betas": (0.5, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.5, "momentum": 0.9, "maximize": True},
        {"centered": True, "weight_decay": 0.1, "momentum": 0.1},
        {"centered": True, "foreach": True},
    ],
    "Rprop": [{}, {"etas": (0.4, 1.5), "step_sizes": (0.005, 0.02)}, {"maximize": True}],
    "Adafactor": [
        {},
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-4, 1e-2), "d": 1.5, "weight_decay": 0.1},
        {"maximize": True},
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
        opt = getattr(t.optim, name)(m.parameters(), lr=rate)
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


@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"Adafactor"}))
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


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", OPTIONS)
def test_half_precision(name, dtype, torch, oracle):
    def program(t):
        p = t.nn.Parameter(t.linspace(-1, 1, 12).reshape(3, 4).to(getattr(t, dtype)))
        opt = getattr(t.optim, name)([p], lr=0.25)
        for k in range(4):
            p.grad = t.cos(p.detach().float() * (k + 1)).to(p.dtype)
            opt.step()
        return p.float(), p.dtype

    (ours, kind), (theirs, _) = program(torch), program(oracle)
    assert kind is getattr(torch, dtype)
    step = 2.0**-7 if dtype == "bfloat16" else 2.0**-10
    assert float((oracle.tensor(ours.tolist()) - theirs).abs().max()) <= 2 * step


@pytest.mark.parametrize("name", sorted(OPTIONS.keys() - {"Adafactor"}))
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


@pytest.mark.parametrize("amsgrad", [False, True])
def test_gradients_flow_to_rates_and_betas(amsgrad, torch, oracle):
    def program(t):
        numbers = [t.tensor(v, dtype=t.float64, requires_grad=True) for v in (0.1, 0.9, 0.99)]
        lr, *betas = [n.clone() for n in numbers]
        decay = t.tensor(0.1, dtype=t.float64, requires_grad=True)
        p = t.ones(2, dtype=t.float64, requires_grad=True).clone()
        opt = t.optim.Adam([p], lr, betas, weight_decay=decay, amsgrad=amsgrad, differentiable=True)
        for _ in range(1 if amsgrad else 3):  # the largest mean is written to in place
            p.grad = p.detach() * 2 + 1
            opt.step()
        p.sum().backward()
        return p, [n.grad for n in numbers], decay.grad

    same(program, torch, oracle, order=2)


@pytest.mark.parametrize("name", ["Adadelta", "Adam", "NAdam", "RAdam", "RMSprop", "Rprop"])
def test_capturable_is_for_other_devices(name, torch):
    p = torch.nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    opt = getattr(torch.optim, name)([p], capturable=True)
    with pytest.raises(AssertionError, match="capturable=True"):
        opt.step()


LBFGS = [
    {},
    {"lr": 0.1, "max_iter": 5, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "max_eval": 6},
    {"tolerance_grad": 10.0},
]


@pytest.mark.parametrize("options", LBFGS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_lbfgs(options, dtype, torch, oracle):
    def program(t):
        x = t.linspace(-1, 2, 5, dtype=t.float64).to(getattr(t, dtype)).requires_grad_()
        y = t.ones(2, dtype=t.float64, requires_grad=True)
        unused = t.ones(2, dtype=t.float64, requires_grad=True)
        opt = t.optim.LBFGS([x, y, unused], **options)

        def closure():
            opt.zero_grad()
            far = 5 * (x[1:] - x[:-1] ** 2).abs() ** 2 + (1 - x[:-1]).abs() ** 2
            loss = far.sum() + ((y - 3) ** 4).sum()
            loss.backward()
            return loss

        losses = [opt.step(closure) for _ in range(3)]
        return losses, x, y, opt.state_dict()

    same(program, torch, oracle, order=2)


MUON = [{}, {"lr": 0.1, "nesterov": False}, {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}]


@pytest.mark.parametrize("options", MUON, ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (6, 2)])
def test_muon(options, shape, torch, oracle):
    """The update is computed in bfloat16, so it agrees to about a hundredth of its size."""

    def program(t):
        w = t.nn.Parameter(t.linspace(-1, 1, shape[0] * shape[1]).reshape(shape).sin())
        opt = t.optim.Muon([w], **options)
        for k in range(3):
            w.grad = t.cos(w.detach() * (k + 2))
            opt.step()
        return w.detach(), opt.state[w]["momentum_buffer"]

    (w, buffer), (expected, theirs) = program(torch), program(oracle)
    near = oracle.testing.assert_close
    near(oracle.tensor(buffer.tolist()), theirs)
    near(oracle.tensor(w.tolist()), expected, rtol=0, atol=3 * MUON_STEP * options.get("lr", 1e-3))


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


@pytest.mark.parametrize("before", [0.0, 2.0**24 - 2, 2.0**24, 0.1])
def test_counts_are_what_their_dtype_holds(torch, before):
    p = torch.nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    opt = torch.optim.Adam([p])
    opt.step()
    step, wanted = opt.state[p]["step"].fill_(before), np.float32(before)
    for _ in range(2):
        opt.step()
        wanted = wanted + np.float32(1)
    assert step.item() == float(wanted)
    assert step.shape == () and step.dtype == torch.float32
