"""Fused layers, modules without drawing, stateless calls, members by name, memory formats."""

from importlib import import_module

import pytest

from tests.both import same


def trained_norm(t, kind, size):
    bn = getattr(t.nn, kind)(size)
    bn.running_mean.normal_()
    bn.running_var.uniform_(0.5, 2)
    t.nn.init.normal_(bn.weight)
    t.nn.init.normal_(bn.bias)
    return bn.eval()


@pytest.mark.parametrize("bias", [False, True])
def test_fused(bias, torch, oracle):
    def program(t):
        u = t.nn.utils
        x = t.randn(2, 3, 5, 5)
        conv = t.nn.Conv2d(3, 4, 2, bias=bias).eval()
        turned = t.nn.ConvTranspose2d(3, 4, 2, bias=bias).eval()
        linear = t.nn.Linear(5, 4, bias=bias).eval()
        bn, flat = trained_norm(t, "BatchNorm2d", 4), trained_norm(t, "BatchNorm1d", 4)
        fused = [
            u.fuse_conv_bn_eval(conv, bn), u.fuse_conv_bn_eval(turned, bn, transpose=True),
            u.fuse_linear_bn_eval(linear, flat),
        ]  # fmt: skip
        assert t.allclose(fused[0](x), bn(conv(x)), atol=1e-5)
        assert t.allclose(fused[1](x), bn(turned(x)), atol=1e-5)
        assert t.allclose(fused[2](x[0, 0]), flat(linear(x[0, 0])), atol=1e-5)
        parameters = [p for m in fused for p in m.parameters()]
        return [repr(m) for m in fused], parameters, [p.requires_grad for p in parameters]

    same(program, torch, oracle, order=1)


def test_skip_init(torch, oracle):
    def program(t):
        m = t.nn.utils.skip_init(t.nn.Linear, 3, 2, device="cpu")
        return repr(m), m.weight.shape, t.rand(2)

    same(program, torch, oracle)


class Net:
    """A network with a shared weight and a buffer, made in either library."""

    @staticmethod
    def make(t):
        class Made(t.nn.Module):
            def __init__(self):
                super().__init__()
                self.first = t.nn.Linear(2, 2)
                self.second = t.nn.Linear(2, 2)
                self.second.weight = self.first.weight
                self.register_buffer("count", t.zeros(()))

            def forward(self, x, scale=1):
                self.count = self.count + 1
                return self.second(self.first(x)) * scale

        return Made()


def test_stateless(torch, oracle):
    def program(t):
        stateless = import_module(t.__name__ + ".nn.utils.stateless")
        func = import_module(t.__name__ + ".func")
        m, x = Net.make(t), t.ones(1, 2)
        new = {"first.weight": t.eye(2).requires_grad_(), "count": t.tensor(5.0)}
        out = func.functional_call(m, new, x, {"scale": 3})
        untied = func.functional_call(m, [dict(new), {}], (x,), tie_weights=False)
        older = stateless.functional_call(m, new, (x,))
        grad = t.autograd.grad(out.sum(), new["first.weight"])
        return out, untied, older, grad, new["count"], m.count, m.state_dict()

    same(program, torch, oracle, order=1)


def test_members(torch, oracle):
    def program(t):
        name = ".nn.utils._named_member_accessor"
        accessor = import_module(t.__name__ + name).NamedMemberAccessor(Net.make(t))
        old = accessor.swap_tensor("first.bias", t.ones(2))
        accessor.set_tensors(["second.bias"], [t.zeros(2)])
        before, missing = accessor.swap_tensors_dict({"count": t.ones(()), "no": t.ones(1)}, True)
        accessor.del_tensors(["no"])
        swapped = accessor.swap_submodule("second", t.nn.Identity())
        return [
            old, accessor.get_tensors(["first.bias", "count"]), before["count"], missing,
            repr(swapped), repr(accessor.get_submodule("second")),
            accessor.check_keys(["first.weight", "x"]), [n for n, _ in accessor.named_tensors()],
            [n for n, _ in accessor.named_modules()],
        ]  # fmt: skip

    same(program, torch, oracle)


def call(t, *args, **kw):
    return import_module(t.__name__ + ".func").functional_call(Net.make(t), *args, **kw)


def members(t):
    name = ".nn.utils._named_member_accessor"
    return import_module(t.__name__ + name).NamedMemberAccessor(Net.make(t))


ERRORS = {
    "strict": lambda t: call(t, {"first.bias": t.ones(2), "x": t.ones(1)}, (), strict=True),
    "tied": lambda t: call(t, {"first.weight": t.ones(2, 2), "second.weight": t.ones(2, 2)}, ()),
    "twice": lambda t: call(t, [{"first.bias": t.ones(2)}, {"first.bias": t.ones(2)}], ()),
    "list": lambda t: call(t, [1], ()),
    "dict": lambda t: call(t, 1, ()),
    "no member": lambda t: members(t).get_tensor("first.x"),
    "no module": lambda t: members(t).get_submodule("third"),
    "no tensor": lambda t: members(t).set_tensor("first.bias", 1),
    "nothing to swap": lambda t: members(t).swap_tensor("first.x", t.ones(1)),
    "missing": lambda t: members(t).swap_tensors_dict({"x": t.ones(1)}),
    "no submodule": lambda t: members(t).swap_submodule("third", t.nn.Identity()),
    "training": lambda t: t.nn.utils.fuse_linear_bn_eval(t.nn.Linear(2, 2), t.nn.BatchNorm1d(2)),
    "features": lambda t: t.nn.utils.fuse_linear_bn_eval(
        t.nn.Linear(2, 3).eval(), t.nn.BatchNorm1d(2).eval()
    ),
    "no statistics": lambda t: t.nn.utils.fuse_linear_bn_eval(
        t.nn.Linear(2, 2).eval(), t.nn.BatchNorm1d(2, track_running_stats=False).eval()
    ),
    "no class": lambda t: t.nn.utils.skip_init(dict),
    "no device": lambda t: t.nn.utils.skip_init(t.nn.ReLU),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name, torch, oracle):
    same(ERRORS[name], torch, oracle)


def test_memory_format(torch, oracle):
    def program(t):
        m = t.nn.Sequential(t.nn.Conv2d(3, 4, 2), t.nn.Conv3d(3, 4, 2))
        t.nn.utils.convert_conv2d_weight_memory_format(m, t.channels_last)
        t.nn.utils.convert_conv3d_weight_memory_format(m, t.channels_last_3d)
        return m[0].weight.stride(), m[1].weight.stride(), m.state_dict()

    same(program, torch, oracle)
