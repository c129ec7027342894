"""Forward and backward hooks of one module and of all."""

import pytest

from tests.both import same


def run(t, register, requires_grad=True, call=None):
    """Register hooks on a small module with `register(module, log)`; its result, gradients, log."""
    m = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh())
    log = []
    register(m, log)
    x = t.ones(2, 2, requires_grad=requires_grad)
    out = m(x) if call is None else call(m, x)
    out.sum().backward()
    return out, x.grad, m[0].weight.grad, log


CASES = {
    "forward": lambda m, log: m.register_forward_hook(
        lambda mod, args, out: log.append((type(mod).__name__, len(args), out))
    ),
    "forward replaces": lambda m, log: m.register_forward_hook(lambda mod, args, out: out * 2),
    "forward order": lambda m, log: [
        m.register_forward_hook(lambda *a: log.append(1)),
        m.register_forward_hook(lambda *a: log.append(2), prepend=True),
    ],
    "pre": lambda m, log: m.register_forward_pre_hook(lambda mod, args: log.append(args)),
    "pre replaces": lambda m, log: m.register_forward_pre_hook(lambda mod, args: args[0] * 3),
    "pre with kwargs": lambda m, log: m[1].register_forward_pre_hook(
        lambda mod, args, kwargs: ((args[0] + 1,), kwargs), with_kwargs=True
    ),
    "pre with kwargs wrong": lambda m, log: m.register_forward_pre_hook(
        lambda mod, args, kwargs: 3, with_kwargs=True
    ),
    "with kwargs": lambda m, log: m.register_forward_hook(
        lambda mod, args, kwargs, out: log.append(kwargs), with_kwargs=True
    ),
    "backward": lambda m, log: m.register_full_backward_hook(
        lambda mod, gi, go: log.append((gi, go))
    ),
    "backward replaces": lambda m, log: m.register_full_backward_hook(
        lambda mod, gi, go: (gi[0] * 10,)
    ),
    "backward wrong number": lambda m, log: m.register_full_backward_hook(
        lambda mod, gi, go: (gi[0], gi[0])
    ),
    "backward pre": lambda m, log: m.register_full_backward_pre_hook(
        lambda mod, go: log.append(go)
    ),
    "backward pre replaces": lambda m, log: m.register_full_backward_pre_hook(
        lambda mod, go: (go[0] * 10,)
    ),
    "backward inside": lambda m, log: m[0].register_full_backward_hook(
        lambda mod, gi, go: log.append((gi, go))
    ),
    "mixed kinds": lambda m, log: (
        m.register_full_backward_hook(lambda *a: None),
        m.register_backward_hook(lambda *a: None),
    ),
}


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_like_torch(name, grad, torch, oracle):
    same(lambda t: run(t, CASES[name], grad), torch, oracle, order=1)


def test_result_behind_a_backward_hook_names_its_node(torch, oracle):
    def program(t):
        m = t.nn.Linear(1, 1)
        m.register_full_backward_hook(lambda *a: None)
        return type(m(t.ones(1, 1)).grad_fn).__name__

    same(program, torch, oracle)


def test_always_call(torch, oracle):
    def program(t):
        log = []
        m = t.nn.Linear(2, 2)
        m.register_forward_hook(lambda *a: log.append(a[2]), always_call=True)
        m.register_forward_hook(lambda *a: log.append("not called"))
        try:
            m(t.ones(3))
        except RuntimeError:
            log.append("raised")
        return log

    same(program, torch, oracle)


def test_removed(torch):
    log = []
    m = torch.nn.ReLU()
    with m.register_forward_hook(lambda *a: log.append(1), with_kwargs=False):
        m(torch.ones(1))
    handle = m.register_forward_hook(lambda *a: log.append(2), with_kwargs=True, always_call=True)
    handle.remove()
    handle.remove()
    m(torch.ones(1))
    assert log == [1]
    assert not m._forward_hooks_with_kwargs and not m._forward_hooks_always_called


def test_global_hooks(torch, oracle):
    def program(t):
        module = t.nn.modules.module
        log = []

        def name(kind):
            return lambda mod, *rest: log.append((kind, type(mod).__name__))

        handles = [
            module.register_module_forward_pre_hook(name("pre")),
            module.register_module_forward_hook(name("forward")),
            module.register_module_full_backward_hook(name("backward")),
            module.register_module_full_backward_pre_hook(name("backward pre")),
            module.register_module_parameter_registration_hook(name("parameter")),
            module.register_module_buffer_registration_hook(name("buffer")),
            module.register_module_module_registration_hook(name("module")),
        ]
        try:
            m = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2))
            m(t.eye(2)).sum().backward()
        finally:
            for handle in handles:
                handle.remove()
        m(t.eye(2))
        return log

    same(program, torch, oracle)


def test_plain_call_reads_the_instance_forward(torch):
    m = torch.nn.ReLU()
    m.forward = lambda x: "mine"
    assert m(torch.ones(1)) == "mine"
