"""`torch._foreach_…`: lists of tensors at once."""

import pytest

from tests.both import same


def lists(t):
    return [t.linspace(0.1, 0.9, 4), t.tensor([[0.5, 0.25]])], [t.ones(4) * 2, t.ones(1, 2) * 3]


CASES = {
    "add": lambda t, a, b: t._foreach_add(a, b, alpha=2),
    "add a number": lambda t, a, b: t._foreach_add(a, 1.5),
    "add numbers": lambda t, a, b: t._foreach_add(a, [1.0, 2.0]),
    "add a tensor": lambda t, a, b: t._foreach_add(a, t.tensor(2.0)),
    "sub": lambda t, a, b: t._foreach_sub(a, b),
    "mul": lambda t, a, b: t._foreach_mul(a, 0.5),
    "mul in place": lambda t, a, b: [t._foreach_mul_(a, b), a],
    "div": lambda t, a, b: t._foreach_div(a, b),
    "lerp": lambda t, a, b: t._foreach_lerp(a, b, 0.25),
    "lerp in place": lambda t, a, b: [t._foreach_lerp_(a, b, 0.75), a],
    "addcdiv": lambda t, a, b: t._foreach_addcdiv(a, b, b, [1.0, 2.0]),
    "addcdiv by a tensor": lambda t, a, b: t._foreach_addcdiv(a, a, b, t.tensor([1.0, 2.0])),
    "addcmul": lambda t, a, b: t._foreach_addcmul(a, b, b, value=3),
    "addcmul in place": lambda t, a, b: t._foreach_addcmul_(a, b, b, -0.5),
    "pow": lambda t, a, b: t._foreach_pow(a, [2, 3]),
    "number to powers": lambda t, a, b: t._foreach_pow(2.0, a),
    "norm": lambda t, a, b: [t._foreach_norm(a), t._foreach_norm(a, 1)],
    "max": lambda t, a, b: t._foreach_max(a),
    "clamp": lambda t, a, b: t._foreach_clamp_min(a, 0.4),
    "maximum": lambda t, a, b: t._foreach_maximum(a, b),
    "minimum of a number": lambda t, a, b: t._foreach_minimum(a, 0.4),
    "maximum in place": lambda t, a, b: [t._foreach_maximum_(a, b), a],
    "copy": lambda t, a, b: [t._foreach_copy_(a, b), a],
    "zero": lambda t, a, b: [t._foreach_zero_(a), a],
    "clone": lambda t, a, b: t._foreach_clone(a),
    **{
        name: lambda t, a, b, name=name: [
            getattr(t, f"_foreach_{name}")(a), getattr(t, f"_foreach_{name}_")(a)
        ]
        for name in ("abs", "exp", "log", "neg", "sqrt", "rsqrt", "reciprocal", "tanh", "sign")
    },
    "lengths": lambda t, a, b: t._foreach_add(a, b[:1]),
    "nothing": lambda t, a, b: t._foreach_add([], 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_lists(name, torch, oracle):
    same(lambda t: CASES[name](t, *lists(t)), torch, oracle)


def test_no_list(torch):
    with pytest.raises(TypeError, match="tuple of Tensors"):
        torch._foreach_add(torch.ones(2), 1)
