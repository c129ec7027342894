"""Module: registration, look-up, traversal, conversion, printing."""

import copy
import pickle

import pytest

from tests.both import same


def nested(torch):
    """Modules, parameters, buffers (one not saved), something shared and something missing."""
    nn = torch.nn

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 3)
            self.register_buffer("count", torch.zeros(2))
            self.register_buffer("scratch", torch.ones(1), persistent=False)
            self.register_parameter("absent", None)

        def forward(self, x):
            return self.linear(x)

        def extra_repr(self):
            return "extra=1"

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Inner()
            self.again = self.first
            self.scale = nn.Parameter(torch.ones(()))
            self.tail = nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False))
            self.nothing = None

        def forward(self, x):
            return self.tail(self.first(x)) * self.scale

    return Outer()


PROGRAMS = {
    "named_parameters": lambda t: dict(nested(t).named_parameters()),
    "named_parameters duplicates": lambda t: [
        n for n, _ in nested(t).named_parameters(remove_duplicate=False)
    ],
    "named_parameters own": lambda t: [
        n for n, _ in nested(t).named_parameters("p", recurse=False)
    ],
    "named_buffers": lambda t: dict(nested(t).named_buffers(prefix="p")),
    "buffers": lambda t: list(nested(t).buffers()),
    "named_modules": lambda t: [(n, type(m).__name__) for n, m in nested(t).named_modules()],
    "named_modules duplicates": lambda t: [
        n for n, _ in nested(t).named_modules(prefix="p", remove_duplicate=False)
    ],
    "named_children": lambda t: [n for n, _ in nested(t).named_children()],
    "modules": lambda t: len(list(nested(t).modules())),
    "state_dict": lambda t: nested(t).state_dict(),
    "state_dict prefix": lambda t: list(nested(t).state_dict(prefix="x.")),
    "metadata": lambda t: nested(t).state_dict()._metadata,
    "repr": lambda t: repr(nested(t)),
    "repr of a bare module": lambda t: repr(t.nn.Module()),
    "dir": lambda t: [n for n in dir(nested(t)) if n in ("first", "scale", "tail", "count")],
    "forward": lambda t: nested(t)(t.ones(4, 2)),
    "get_submodule": lambda t: repr(nested(t).get_submodule("first.linear")),
    "get_submodule itself": lambda t: repr(nested(t).get_submodule("")),
    "get_submodule missing": lambda t: nested(t).get_submodule("first.nope"),
    "get_submodule no module": lambda t: nested(t).get_submodule("scale"),
    "get_parameter": lambda t: nested(t).get_parameter("first.linear.bias"),
    "get_parameter missing": lambda t: nested(t).get_parameter("first.linear.nope"),
    "get_parameter no parameter": lambda t: nested(t).get_parameter("first.count"),
    "get_buffer": lambda t: nested(t).get_buffer("first.count"),
    "get_buffer no buffer": lambda t: nested(t).get_buffer("scale"),
    "set_submodule no name": lambda t: nested(t).set_submodule("", t.nn.ReLU()),
    "set_submodule no module": lambda t: nested(t).set_submodule("first", 3),
    "set_submodule strict": lambda t: nested(t).set_submodule("a", t.nn.ReLU(), strict=True),
    "train": lambda t: nested(t).train(3),
    "eval": lambda t: [m.training for m in nested(t).eval().modules()],
    "requires_grad_": lambda t: [
        p.requires_grad for p in nested(t).requires_grad_(False).parameters()
    ],
    "to integers": lambda t: nested(t).to(t.int32),
    "to float64": lambda t: nested(t).to(t.float64).state_dict(),
    "to a tensor": lambda t: nested(t).to(t.zeros(1, dtype=t.float64)).state_dict(),
    "half": lambda t: nested(t).half().state_dict(),
    "bfloat16": lambda t: nested(t).bfloat16().state_dict(),
    "double then float": lambda t: nested(t).double().float().state_dict(),
    "type": lambda t: nested(t).type(t.float64).state_dict(),
    "cuda": lambda t: t.nn.ReLU().cuda() and None,
    "to_empty": lambda t: list(nested(t).to_empty(device="cpu").state_dict()),
    "called without forward": lambda t: t.nn.Module()(1),
    "unknown attribute": lambda t: nested(t).nope,
    "unexpected argument": lambda t: t.nn.Module(a=1),
    "unexpected position": lambda t: t.nn.Module(1, 2),
    "parameter name": lambda t: t.nn.Module().register_parameter("a.b", None),
    "parameter empty name": lambda t: t.nn.Module().register_parameter("", None),
    "parameter number": lambda t: t.nn.Module().register_parameter(3, None),
    "parameter taken": lambda t: t.nn.Module().register_parameter("train", None),
    "parameter tensor": lambda t: t.nn.Module().register_parameter("a", t.zeros(1)),
    "buffer name": lambda t: t.nn.Module().register_buffer("a.b", None),
    "buffer empty name": lambda t: t.nn.Module().register_buffer("", None),
    "buffer number": lambda t: t.nn.Module().register_buffer("a", 3),
    "buffer taken": lambda t: nested(t).register_buffer("scale", None),
    "module name": lambda t: nested(t).add_module("a.b", t.nn.ReLU()),
    "module empty name": lambda t: nested(t).add_module("", t.nn.ReLU()),
    "module taken": lambda t: nested(t).add_module("train", t.nn.ReLU()),
    "module number": lambda t: nested(t).add_module("a", 3),
    "parameter := number": lambda t: setattr(t.nn.Linear(1, 1), "weight", 3),
    "parameter := tensor": lambda t: setattr(t.nn.Linear(1, 1), "weight", t.zeros(1)),
    "buffer := number": lambda t: setattr(nested(t).first, "count", 3),
    "module := number": lambda t: setattr(nested(t), "first", 3),
    "delete unknown": lambda t: delattr(nested(t), "nope"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_torch(name, torch, oracle):
    same(PROGRAMS[name], torch, oracle)


@pytest.mark.parametrize("kind", ["Parameter", "Buffer", "Linear"])
def test_assigned_before_init(kind, torch, oracle):
    def program(t):
        class Early(t.nn.Module):
            def __init__(self):
                made = t.nn.Linear(1, 1) if kind == "Linear" else getattr(t.nn, kind)(t.zeros(1))
                self.early = made

        return Early()

    same(program, torch, oracle)


def test_assignment_moves_names(torch, oracle):
    def program(t):
        m = nested(t)
        m.nothing = t.nn.Parameter(t.zeros(1))
        m.first = None
        m.tail = t.nn.ReLU()
        m.kept = t.nn.Buffer(t.zeros(1))
        m.local = t.nn.Buffer(t.ones(1), persistent=False)
        m.again.count = t.nn.Parameter(t.ones(2))
        del m.scale
        return m.state_dict(), repr(m), [n for n, _ in m.named_buffers()]

    same(program, torch, oracle)


def test_apply_visits_children_first(torch):
    seen = []
    nested(torch).apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Inner", "ReLU", "Linear", "Sequential", "Outer"]


def test_conversion_keeps_parameters_and_their_gradients(torch):
    m = torch.nn.Linear(2, 2)
    weight = m.weight
    m(torch.ones(1, 2)).sum().backward()
    m.double()
    assert m.weight is weight
    assert weight.dtype == weight.grad.dtype == torch.float64
    assert isinstance(weight, torch.nn.Parameter) and weight.is_leaf


def test_zero_grad(torch):
    m = torch.nn.Linear(2, 2)
    m(torch.ones(1, 2)).sum().backward()
    m.zero_grad(set_to_none=False)
    assert m.weight.grad.abs().sum().item() == 0
    m.zero_grad()
    assert m.weight.grad is None


def test_deepcopy_is_independent_and_keeps_sharing(torch):
    m = nested(torch)
    twin = copy.deepcopy(m)
    assert twin.again is twin.first and twin.first is not m.first
    with torch.no_grad():
        twin.scale.fill_(7)
    assert m.scale.item() == 1
    assert repr(twin) == repr(m)


def test_pickle(torch):
    m = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    twin = pickle.loads(pickle.dumps(m))
    assert repr(twin) == repr(m)
    for ours, theirs in zip(m.parameters(), twin.parameters(), strict=True):
        assert isinstance(theirs, torch.nn.Parameter) and theirs.requires_grad
        assert torch.equal(ours, theirs)


def test_parameter(torch, oracle):
    same(lambda t: repr(t.nn.Parameter(t.ones(2))), torch, oracle)
    same(lambda t: repr(t.nn.Parameter(t.arange(2), requires_grad=False)), torch, oracle)
    same(lambda t: repr(copy.deepcopy(t.nn.Parameter(t.ones(2)))), torch, oracle)
    same(lambda t: t.nn.Parameter([1.0]), torch, oracle)
    same(lambda t: t.nn.Parameter(t.arange(2)), torch, oracle)
    same(lambda t: [type(t.nn.Parameter(t.ones(1)) * 2), t.nn.Parameter().shape], torch, oracle)


def test_parameter_shares_memory(torch):
    data = torch.zeros(2)
    p = torch.nn.Parameter(data)
    data[0] = 5
    assert p[0].item() == 5


def test_buffer_is_known(torch):
    buffer = torch.nn.Buffer(torch.zeros(1))
    assert isinstance(buffer, torch.nn.Buffer) and type(buffer) is torch.Tensor
    assert not isinstance(torch.zeros(1), torch.nn.Buffer)


def test_missing_names_say_so(torch):
    with pytest.raises(AttributeError, match="bital lacks it"):
        torch.nn.NoSuchModule  # noqa: B018


def test_names_of_nested_shared_and_overridden(torch, oracle):
    def program(t):
        nn = t.nn

        class Renamed(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(1, 1)

            def named_modules(self, memo=None, prefix="", remove_duplicate=True):
                for name, module in super().named_modules(memo, prefix, remove_duplicate):
                    yield f"<{name}>", module

        shared = nn.Linear(2, 2)
        net = nn.Sequential(nn.Sequential(shared, nn.ReLU()), Renamed(), shared, Renamed())
        net.empty = None
        net.register_module("nothing", None)
        return [
            [name for name, _ in net.named_modules()],
            [name for name, _ in net.named_modules(prefix="p", remove_duplicate=False)],
            [name for name, _ in net.named_parameters()],
            [name for name, _ in net.named_parameters(remove_duplicate=False)],
            len(list(net.parameters())), len(list(net.modules())),
        ]  # fmt: skip

    same(program, torch, oracle)
