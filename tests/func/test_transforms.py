"""What must hold of transforms of functions whatever PyTorch gives; without PyTorch."""

import gc

import numpy as np
import pytest

from bital import torch
from bital.ir.trace import local
from bital.ops import lanes
from bital.runtime.executor import cache
from bital.tensor.node import Node
from tests.structure.source import ROOT, python_files

F = torch.nn.functional


@pytest.fixture
def network():
    """(loss of parameters and an example, parameters, inputs, classes), in float64."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.LayerNorm(6), torch.nn.Linear(6, 3)
    ).double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(p, x, y):
        return F.cross_entropy(torch.func.functional_call(model, p, (x[None],)), y[None])

    return loss, parameters, torch.randn(5, 4).double(), torch.arange(5) % 3


def _moved(f, x, direction, eps=1e-6):
    """The central difference of f at x along a direction."""
    up, down = f(x + eps * direction), f(x - eps * direction)
    return ((up - down) / (2 * eps)).numpy()


def test_derivatives_are_differences(network):
    loss, p, x, y = network
    w = p["0.weight"]
    direction = torch.randn_like(w)

    def f(w):
        return torch.stack([loss({**p, "0.weight": w}, a, b) for a, b in zip(x, y)])

    expected = _moved(f, w, direction)
    forward = torch.func.jvp(f, (w,), (direction,))[1]
    backward = (torch.func.jacrev(f)(w) * direction).sum((1, 2))
    columns = (torch.func.jacfwd(f)(w) * direction).sum((1, 2))
    each = torch.vmap(torch.func.grad(loss), (None, 0, 0))(p, x, y)["0.weight"]
    for found in (forward, backward, columns, (each * direction).sum((1, 2))):
        np.testing.assert_allclose(found.numpy(), expected, 1e-6, 1e-8)


def test_hessian_is_a_difference_of_gradients(network):
    loss, p, x, y = network
    b = p["3.bias"]

    def f(b):
        return torch.vmap(loss, (None, 0, 0))({**p, "3.bias": b}, x, y).mean()

    hessian = torch.func.hessian(f)(b)
    for k in range(3):
        row = _moved(torch.func.grad(f), b, torch.eye(3).double()[k])
        np.testing.assert_allclose(hessian[k].numpy(), row, 1e-6, 1e-8)


def test_results_have_no_history_without_a_reason(network):
    loss, p, x, y = network
    results = [
        torch.func.grad(loss)(p, x[0], y[0])["0.weight"],
        torch.func.grad_and_value(loss)(p, x[0], y[0])[1],
        torch.func.jvp(torch.sin, (x,), (x,))[1],
        torch.func.vjp(torch.sin, x)[0],
        torch.func.linearize(torch.sin, x)[1](x),
        torch.func.jacrev(torch.sin)(x[0]),
    ]
    assert not any(t.requires_grad for t in results)


def test_levels_are_used_again():
    def once():
        return torch.vmap(torch.vmap(lambda a: a * 2))(torch.ones(2, 3))

    once()
    before = lanes._known
    for _ in range(5):
        once()
    assert lanes._known == before
    assert not local.trace.levels and not local.trace.tapes and not local.trace.forwards


def test_levels_live_as_long_as_their_graphs():
    w = torch.ones(3, requires_grad=True)
    y = torch.vmap(lambda a: (a * w).sum())(torch.arange(6.0).reshape(2, 3))
    # a level of its own, though the other call of vmap has ended
    rows = torch.vmap(lambda v: torch.autograd.grad(y, w, v, retain_graph=True)[0])(torch.eye(2))
    np.testing.assert_array_equal(rows.numpy(), [[0, 1, 2], [3, 4, 5]])


def test_the_same_program_is_the_same_plan(network):
    loss, p, x, y = network

    def step():
        return torch.vmap(torch.func.grad(loss), (None, 0, 0))(p, x, y)["3.bias"].sum().item()

    for _ in range(3):
        step()
    misses = cache.misses
    for _ in range(3):
        step()
    assert cache.misses == misses


def test_state_is_restored_after_errors():
    def fails(a):
        raise ValueError("mine")

    for transform in (torch.vmap, torch.func.grad, torch.func.jacfwd):
        with pytest.raises(ValueError, match="mine"):
            transform(fails)(torch.ones(3))
    with pytest.raises(ValueError, match="mine"), torch.autograd.forward_ad.dual_level():
        raise ValueError("mine")
    trace = local.trace
    assert (trace.levels, trace.tapes, trace.forwards, trace.grad) == ((), 0, 0, True)


def test_graphs_are_freed():
    def f(x):
        return (x.sin() * x).sum()

    def once():
        torch.func.hessian(f)(torch.ones(3))
        torch.func.jvp(f, (torch.ones(3),), (torch.ones(3),))

    def living():
        gc.collect()
        return sum(isinstance(each, (Node, torch.Tensor)) for each in gc.get_objects())

    once()
    before = living()
    for _ in range(5):
        once()
    assert living() == before


def test_what_vmap_shows():
    seen = []
    torch.vmap(lambda a: (seen.append(repr(a)), a)[1])(torch.ones(2, 1))
    expected = "BatchedTensor(lvl=1, bdim=0, value=\n    tensor([[1.],\n            [1.]])\n)"
    assert seen == [expected]


def test_no_batch_and_one_element():
    assert torch.vmap(lambda a: a.sum())(torch.ones(0, 3)).shape == (0,)
    assert torch.vmap(lambda a: a.sum())(torch.ones(1, 3)).tolist() == [3.0]


def test_metas_know_their_device():
    """A result whose meta is made without its operands' device would lose vmap's lanes."""
    found = []
    for path in python_files("bital"):
        if path.parts[1] not in ("ops", "tensor") or path.name in ALONE:
            continue
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1):
            if "meta_of(" in line and "_meta.dtype)" in line.partition("meta_of(")[2]:
                found.append(f"{path}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


#: files that make tensors of arrays, which no vmap knows
ALONE = ("mask.py",)
