"""state_dict and load_state_dict: keys, messages, hooks, extra state."""

import pytest

from tests.both import same


def pair(t):
    return t.nn.Sequential(t.nn.Linear(2, 3), t.nn.ReLU(), t.nn.Linear(3, 1))


def with_extra(t):
    class Extra(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = t.nn.Linear(1, 1)
            self.seen = None

        def get_extra_state(self):
            return {"n": 5}

        def set_extra_state(self, state):
            self.seen = state

    return Extra()


def loaded(t, changes, **options):
    """The outcome of loading the state of `pair` with some entries changed or taken out."""
    m = pair(t)
    state = pair(t).state_dict()
    for key, value in changes.items():
        if value is None:
            del state[key]
        else:
            state[key] = value(t)
    result = m.load_state_dict(state, **options)
    return repr(result), m.state_dict()


CASES = {
    "all": ({}, {}),
    "missing": ({"0.weight": None, "2.bias": None}, {}),
    "unexpected": ({"x": lambda t: 1, "0.y": lambda t: 1, "5.z": lambda t: 1}, {}),
    "both": ({"0.weight": None, "x": lambda t: 1}, {}),
    "not strict": ({"0.weight": None, "x": lambda t: 1}, {"strict": False}),
    "shape": ({"0.weight": lambda t: t.zeros(2, 2)}, {}),
    "shape not strict": ({"0.weight": lambda t: t.zeros(2, 2)}, {"strict": False}),
    "no tensor": ({"0.weight": lambda t: 3}, {}),
    "assign": ({"0.weight": lambda t: t.zeros(3, 2, dtype=t.float64)}, {"assign": True}),
    "copied dtype": ({"0.weight": lambda t: t.zeros(3, 2, dtype=t.float64)}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_load(name, torch, oracle):
    changes, options = CASES[name]
    same(lambda t: loaded(t, changes, **options), torch, oracle)


def test_not_a_mapping(torch, oracle):
    same(lambda t: pair(t).load_state_dict(3), torch, oracle)


def test_extra_state(torch, oracle):
    def program(t):
        m = with_extra(t)
        m.load_state_dict(m.state_dict())
        return m.state_dict(), m.seen

    same(program, torch, oracle)
    same(lambda t: with_extra(t).load_state_dict({}), torch, oracle)


def test_old_scalars_are_accepted(torch, oracle):
    def program(t):
        m = t.nn.Module()
        m.a = t.nn.Parameter(t.zeros(()))
        return repr(m.load_state_dict({"a": t.ones(1)})), m.a

    same(program, torch, oracle)


def test_assign_keeps_requires_grad(torch, oracle):
    def program(t):
        m = t.nn.Linear(1, 1).requires_grad_(False)
        m.load_state_dict({"weight": t.ones(1, 1), "bias": t.ones(1)}, assign=True)
        return [p.requires_grad for p in m.parameters()], type(m.weight).__name__

    same(program, torch, oracle)


def test_state_shares_memory_and_keep_vars(torch):
    m = torch.nn.Linear(1, 1)
    state = m.state_dict()
    with torch.no_grad():
        m.weight.fill_(3)
    assert state["weight"].item() == 3 and not state["weight"].requires_grad
    assert m.state_dict(keep_vars=True)["weight"] is m.weight


def test_hooks(torch, oracle):
    def program(t):
        log = []
        m = pair(t)
        m.register_state_dict_pre_hook(lambda mod, prefix, keep: log.append(("pre", prefix, keep)))
        m.register_state_dict_post_hook(
            lambda mod, state, prefix, meta: log.append(("post", list(state), prefix, dict(meta)))
        )
        m[0].register_load_state_dict_pre_hook(
            lambda mod, state, prefix, *rest: log.append(("load", type(mod).__name__, prefix))
        )

        def forgive(mod, keys):
            log.append(("keys", list(keys.missing_keys)))
            keys.missing_keys.clear()

        m.register_load_state_dict_post_hook(forgive)
        state = m.state_dict()
        del state["0.bias"]
        return repr(m.load_state_dict(state)), log

    same(program, torch, oracle)


def test_post_hook_must_return_nothing(torch, oracle):
    def program(t):
        m = pair(t)
        m.register_state_dict_post_hook(lambda *args: {})
        m.state_dict()

    same(program, torch, oracle)
