"""GradScaler: the protocol of an iteration, what it does with infinities, and its state."""

import copy
import pickle

import pytest

from tests.both import same


def setting(t, **options):
    p = t.nn.Parameter(t.ones(3))
    return p, t.optim.SGD([p], lr=0.5), t.amp.GradScaler("cpu", init_scale=4.0, **options)


def iterate(t, p, opt, scaler, factor):
    opt.zero_grad()
    scaler.scale((p * factor).sum()).backward()
    result = scaler.step(opt)
    scaler.update()
    return result


def test_the_scale_follows(torch, oracle):
    def program(t):
        p, opt, scaler = setting(t, growth_interval=2)
        seen = [scaler.get_scale()]
        for factor in (1.0, 2.0, float("inf"), 1.0, float("nan"), 1.0, 1.0, 1.0):
            iterate(t, p, opt, scaler, factor)
            seen.append((p.detach().clone(), scaler.get_scale(), scaler._get_growth_tracker()))
        return seen, scaler.state_dict()

    same(program, torch, oracle)


def test_a_scale_stays_finite(torch, oracle):
    def program(t):
        p, opt, scaler = setting(t, growth_interval=1, growth_factor=1e30)
        for _ in range(3):
            iterate(t, p, opt, scaler, 1.0)
        return scaler.state_dict(), p

    same(program, torch, oracle)


def test_unscaled_gradients(torch, oracle):
    def program(t):
        p, opt, scaler = setting(t)
        scaler.scale((p * 3).sum()).backward()
        scaled = p.grad.clone()
        scaler.unscale_(opt)
        found = list(scaler._found_inf_per_device(opt).values())
        norm = t.nn.utils.clip_grad_norm_([p], 1.0)
        scaler.step(opt)
        scaler.update(16.0)
        return scaled, found, norm, p, scaler.get_scale(), scaler.scale([p, (p,)])

    same(program, torch, oracle)


ERRORS = {
    "step first": lambda t, p, opt, s: s.step(opt),
    "update first": lambda t, p, opt, s: s.update(),
    "unscale first": lambda t, p, opt, s: s.unscale_(opt),
    "no gradients": lambda t, p, opt, s: (s.scale(p), s.step(opt)),
    "nothing stepped": lambda t, p, opt, s: (s.scale(p), s.update()),
    "unscaled twice": lambda t, p, opt, s: (
        s.scale(p.sum()).backward(),
        s.unscale_(opt),
        s.unscale_(opt),
    ),
    "stepped twice": lambda t, p, opt, s: (
        s.scale(p.sum()).backward(),
        s.step(opt),
        s.step(opt),
    ),
    "unscaled after a step": lambda t, p, opt, s: (
        s.scale(p.sum()).backward(),
        s.step(opt),
        s.unscale_(opt),
    ),
    "closure": lambda t, p, opt, s: (s.scale(p), s.step(opt, closure=abs)),
    "no tensor": lambda t, p, opt, s: s.scale(3),
    "empty state": lambda t, p, opt, s: s.load_state_dict({}),
    "growth": lambda t, p, opt, s: t.amp.GradScaler("cpu", growth_factor=1.0),
    "backoff": lambda t, p, opt, s: t.amp.GradScaler("cpu", backoff_factor=1.0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, torch, oracle):
    same(lambda t: str(ERRORS[name](t, *setting(t))), torch, oracle)


def test_halves_are_refused(torch, oracle):
    def program(t):
        p = t.nn.Parameter(t.ones(3, dtype=t.float16))
        scaler = t.amp.GradScaler("cpu")
        p.grad = scaler.scale(t.ones(3, dtype=t.float16))
        scaler.step(t.optim.SGD([p], lr=0.5))

    same(program, torch, oracle)


def test_state(torch, oracle):
    def program(t):
        p, opt, scaler = setting(t, growth_interval=3)
        iterate(t, p, opt, scaler, 1.0)
        iterate(t, p, opt, scaler, 1.0)
        other = t.amp.GradScaler("cpu")
        other.load_state_dict(copy.deepcopy(scaler.state_dict()))
        iterate(t, p, opt, other, 1.0)
        again = pickle.loads(pickle.dumps(scaler)) if t is torch else copy.deepcopy(scaler)
        scaler.set_growth_factor(3.0)
        scaler.set_backoff_factor(0.25)
        scaler.set_growth_interval(7)
        return other.state_dict(), again.state_dict(), scaler.state_dict()

    same(program, torch, oracle)


def test_disabled(torch, oracle):
    def program(t):
        p, opt, scaler = setting(t, enabled=False)
        loss = (p * 2).sum()
        assert scaler.scale(loss) is loss
        loss.backward()
        scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        old = t.cuda.amp.GradScaler()
        state = scaler.state_dict(), scaler.get_scale(), scaler.is_enabled(), old.is_enabled()
        return p, state, t.cpu.amp.GradScaler().is_enabled()

    same(program, torch, oracle)
