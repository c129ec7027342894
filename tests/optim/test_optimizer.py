"""The base of optimizers: groups, errors, printing, state, hooks."""

import pytest

from tests.both import same


def param(t, n=2):
    return t.nn.Parameter(t.ones(n))


def sgd(t, **options):
    return t.optim.SGD([param(t)], **options)


PROGRAMS = {
    "empty": lambda t: t.optim.SGD([], lr=1),
    "a tensor": lambda t: t.optim.SGD(param(t)),
    "a number": lambda t: t.optim.SGD([3]),
    "a list": lambda t: t.optim.SGD([[param(t)]]),
    "no leaf": lambda t: t.optim.SGD([param(t) * 2]),
    "set in a group": lambda t: t.optim.SGD([{"params": {param(t)}}]),
    "no params": lambda t: t.optim.SGD([{"lr": 1}]),
    "group number": lambda t: sgd(t).add_param_group(3),
    "some names": lambda t: t.optim.SGD([("a", param(t)), param(t)]),
    "names": lambda t: t.optim.SGD([("a", param(t))]).state_dict(),
    "names missing": lambda t: t.optim.SGD([("a", param(t))]).add_param_group(
        {"params": [param(t)]}
    ),
    "names too many": lambda t: sgd(t).add_param_group({"params": [("a", param(t))]}),
    "lr": lambda t: sgd(t, lr=-1),
    "momentum": lambda t: sgd(t, momentum=-1),
    "weight_decay": lambda t: sgd(t, weight_decay=-1),
    "nesterov": lambda t: sgd(t, nesterov=True),
    "tensor lr": lambda t: sgd(t, lr=t.ones(2)),
    "fused and foreach": lambda t: sgd(t, fused=True, foreach=True),
    "fused and differentiable": lambda t: sgd(t, fused=True, differentiable=True),
    "eps": lambda t: t.optim.Adam([param(t)], eps=-1),
    "beta1": lambda t: t.optim.Adam([param(t)], betas=(1, 1)),
    "beta2": lambda t: t.optim.Adam([param(t)], betas=(0.9, 1.0)),
    "integer betas": lambda t: t.optim.Adam([param(t)], betas=(0, 0.9)),
    "foreach and tensor lr": lambda t: t.optim.Adam([param(t)], lr=t.tensor(1.0), foreach=True),
    "repr": lambda t: repr(sgd(t)),
    "repr of AdamW": lambda t: repr(t.optim.AdamW([param(t)])),
    "defaults": lambda t: [t.optim.Adam([param(t)]).defaults, t.optim.AdamW([param(t)]).defaults],
    "groups": lambda t: repr(
        t.optim.SGD([{"params": param(t), "lr": 3}, {"params": [param(t)], "x": 1}], lr=0.1)
    ),
    "group options": lambda t: t.optim.SGD(
        [{"params": param(t), "lr": 3}, {"params": [param(t), param(t)]}]
    ).state_dict(),
    "load nothing": lambda t: sgd(t).load_state_dict({}),
    "load groups": lambda t: sgd(t).load_state_dict({"state": {}, "param_groups": []}),
    "load params": lambda t: sgd(t).load_state_dict(
        {"state": {}, "param_groups": [{"params": [0, 1]}]}
    ),
    "bare step": lambda t: t.optim.Optimizer([param(t)], {}).step(),
    "pre hook wrong": lambda t: (
        (o := sgd(t)).register_step_pre_hook(lambda *a: 3), o.step()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_torch(name, torch, oracle):
    same(PROGRAMS[name], torch, oracle)


def test_shared_parameter(torch, oracle):
    def program(t):
        p = param(t)
        t.optim.SGD([{"params": [p]}, {"params": [p]}])

    same(program, torch, oracle)


def test_duplicates_warn(torch):
    p = param(torch)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        torch.optim.SGD([p, p])


def test_zero_grad(torch):
    opt = sgd(torch)
    p = opt.param_groups[0]["params"][0]
    p.grad = torch.ones(2)
    opt.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    opt.zero_grad()
    assert p.grad is None


def test_hooks(torch, oracle):
    def program(t):
        log = []
        o = sgd(t, lr=0.5)

        def pre(opt, args, kwargs):
            log.append(("pre", args[0] is opt, len(args), kwargs))

        o.register_step_pre_hook(pre)
        o.register_step_post_hook(lambda opt, args, kwargs: log.append(("post", len(args))))
        o.register_state_dict_pre_hook(lambda opt: log.append("save"))
        o.register_state_dict_post_hook(lambda opt, state: log.append(sorted(state)))
        o.register_load_state_dict_pre_hook(lambda opt, state: log.append("load"))
        o.register_load_state_dict_pre_hook(lambda opt, state: log.append("first"), prepend=True)
        o.register_load_state_dict_post_hook(lambda opt: log.append("loaded"))
        o.step()
        o.step(closure=None)
        o.load_state_dict(o.state_dict())
        return log

    same(program, torch, oracle)


def test_global_hooks(torch, oracle):
    def program(t):
        import importlib

        name = t.__name__ + ".optim.optimizer"
        module = importlib.import_module(name)
        log = []
        handles = [
            module.register_optimizer_step_pre_hook(lambda *a: log.append("pre")),
            module.register_optimizer_step_post_hook(lambda *a: log.append("post")),
        ]
        opt = sgd(t)
        opt.step()
        for handle in handles:
            handle.remove()
        opt.step()
        return log

    same(program, torch, oracle)


def test_a_users_optimizer(torch, oracle):
    """A subclass as tutorials write it: state by hand, no decorator of ours."""

    def program(t):
        class Signed(t.optim.Optimizer):
            def __init__(self, params, lr):
                super().__init__(params, {"lr": lr})

            @t.no_grad()
            def step(self, closure=None):
                for group in self.param_groups:
                    for p in group["params"]:
                        state = self.state[p]
                        state["n"] = state.get("n", 0) + 1
                        p.add_(p.grad.sign(), alpha=-group["lr"])

        p = param(t)
        opt = Signed([p], 0.5)
        for _ in range(3):
            opt.zero_grad()
            (p**2).sum().backward()
            opt.step()
        return p, opt.state_dict(), repr(opt)

    same(program, torch, oracle)


def test_state_takes_the_parameters_dtype(torch, oracle):
    def program(t):
        p = param(t)
        opt = t.optim.Adam([p])
        p.grad = t.ones(2)
        opt.step()
        state = opt.state_dict()
        q = t.nn.Parameter(t.ones(2, dtype=t.float64))
        other = t.optim.Adam([q])
        other.load_state_dict(state)
        return other.state_dict()

    same(program, torch, oracle)
