"""Hooks of every kind together: their order, what they see of odd outputs, and errors inside."""

import copy

import pytest

from tests.both import same


def net(t):
    return t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 2))


def odd(t):
    """A module whose output is a dictionary, or two tensors for two inputs."""

    class Odd(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = t.nn.Linear(3, 2)

        def forward(self, x, y=None, *, scale=1):
            if y is None:
                return {"a": self.inner(x) * scale, "b": (x.sum(), 3)}
            return self.inner(x), y * 2

    return Odd()


def backward_of_dictionary(t, log):
    m = odd(t)
    m.register_full_backward_hook(lambda mod, gi, go: log.append((gi, go)))
    x = t.ones(2, 3, requires_grad=True)
    m(x)["a"].sum().backward()
    return x.grad


def backward_of_one_output(t, log):
    m = odd(t)
    m.register_full_backward_hook(lambda mod, gi, go: log.append((gi, go)))
    m.register_full_backward_pre_hook(lambda mod, go: log.append(go))
    x, y = t.ones(2, 3, requires_grad=True), t.ones(2, requires_grad=True)
    m(x, y)[0].sum().backward()
    return x.grad, y.grad


def written_in_place_after(t, log):
    m = net(t)
    m.register_full_backward_hook(lambda mod, gi, go: None)
    return m(t.ones(2, 3, requires_grad=True)).add_(1)


def written_in_place_inside(t, log):
    m = t.nn.Sequential(t.nn.Linear(3, 3), t.nn.ReLU(inplace=True))
    m[1].register_full_backward_hook(lambda mod, gi, go: None)
    return m(t.ones(2, 3, requires_grad=True))


def called_after_an_error(t, log):
    m = net(t)
    m.register_forward_hook(lambda mod, a, o: log.append(o), always_call=True)
    m.register_forward_hook(
        lambda mod, a, k, o: log.append((k, o)), always_call=True, with_kwargs=True, prepend=True
    )
    with pytest.raises(RuntimeError):
        m(t.ones(2, 4))


def an_error_in_a_hook(t, log):
    def bad(mod, args, out):
        log.append("bad")
        raise ValueError("bad hook")

    m = net(t)
    m.register_forward_hook(bad, always_call=True)
    m.register_forward_hook(lambda mod, a, o: log.append("ok"), always_call=True)
    return m(t.ones(2, 3))


def keywords(t, log):
    m = odd(t)
    m.register_forward_pre_hook(lambda mod, a, k: (a, {**k, "scale": 3}), with_kwargs=True)
    m.register_forward_pre_hook(lambda mod, a: log.append(len(a)), prepend=True)
    m.register_forward_hook(lambda mod, a, k, o: log.append(k), with_kwargs=True)
    m.register_forward_hook(lambda mod, a, o: {"a": o["a"] + 1})
    return m(t.ones(1, 3), scale=2)


def all_orders(t, log):
    m = net(t)
    for name, each in m.named_modules():
        for letter, add in (
            ("b", each.register_full_backward_hook), ("p", each.register_full_backward_pre_hook),
            ("f", each.register_forward_hook), ("g", each.register_forward_pre_hook),
        ):  # fmt: skip
            add(lambda *_, word=letter + name: log.append(word))
    m(t.ones(2, 3, requires_grad=True)).sum().backward()


def registrations(t, log):
    hooks = t.nn.modules.module
    handles = [
        getattr(hooks, f"register_module_{kind}_registration_hook")(
            lambda mod, name, value, kind=kind: log.append((kind, name))
        )
        for kind in ("parameter", "buffer", "module")
    ]
    t.nn.Sequential(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2))
    for handle in handles:
        handle.remove()


def states(t, log):
    m = net(t)
    m.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append((prefix, keep)))
    m[0].register_state_dict_post_hook(lambda mod, sd, prefix, meta: sd.update({prefix + "x": 1}))
    m._register_state_dict_hook(lambda mod, sd, prefix, meta: log.append((list(sd), prefix)))
    m[2].register_load_state_dict_pre_hook(
        lambda mod, sd, prefix, *rest: log.append((type(mod).__name__, prefix, rest[1]))
    )
    m.register_load_state_dict_post_hook(lambda mod, keys: log.append(list(keys.unexpected_keys)))
    m[0].register_load_state_dict_post_hook(lambda mod, keys: keys.unexpected_keys.clear())
    return list(m.state_dict(prefix="y.")), str(m.load_state_dict(m.state_dict(), strict=False))


def in_copies(t, log):
    m = net(t)
    m.register_forward_hook(lambda mod, a, o: log.append(1))
    copy.deepcopy(m)(t.ones(1, 3))
    m(t.ones(1, 3))


def on_parameters(t, log):
    m = net(t)
    m[0].weight.register_hook(lambda g: g * 2)
    m[0].weight.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.clone()))
    m(t.ones(2, 3)).sum().backward()
    return m[0].weight.grad


CASES = [
    backward_of_dictionary, backward_of_one_output, written_in_place_after,
    written_in_place_inside, called_after_an_error, an_error_in_a_hook, keywords, all_orders,
    registrations, states, in_copies, on_parameters,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_like_torch(case, torch, oracle):
    def program(t):
        log = []
        try:
            return case(t, log), log
        except (RuntimeError, ValueError) as error:
            return type(error).__name__, str(error), log

    same(program, torch, oracle, order=1)


def test_gradients_of_convolutions(torch, oracle):
    def program(t):
        found = []
        for n in (1, 2, 3):
            x, w = t.randn(2, 4, *[5] * n), t.randn(6, 2, *[3] * n)
            out = getattr(t.nn.functional, f"conv{n}d")(x, w, None, 2, 1, 1, 2)
            g = t.ones_like(out)
            of_input = getattr(t.nn.grad, f"conv{n}d_input")
            of_weight = getattr(t.nn.grad, f"conv{n}d_weight")
            found += [of_input(x.shape, w, g, 2, 1, 1, 2), of_weight(x, w.shape, g, 2, 1, 1, 2)]
        return found

    same(program, torch, oracle, order=1)


@pytest.mark.parametrize(
    "kwargs", [None, {"device": "cpu"}, {"factory_kwargs": {"dtype": 1}, "device": 2}, {"x": 1},
               {"factory_kwargs": {"dtype": 1}, "dtype": 2}]
)  # fmt: skip
def test_factory_kwargs(kwargs, torch, oracle):
    same(lambda t: t.nn.factory_kwargs(kwargs), torch, oracle)


def test_container(torch, oracle):
    same(lambda t: repr(t.nn.Container(a=t.nn.ReLU())), torch, oracle)
