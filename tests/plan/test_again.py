"""What is a few cheap words away from memory is computed again, not stored."""

import numpy as np
import pytest

from bital.plan.memory import Layout
from bital.runtime.executor import cache
from tests.compiled import both
from tests.plan.test_fuse import Build


@pytest.fixture
def build():
    return Build()


def forward_and_backward(build, rows, word=lambda xp, c: c):
    """A row's differences from its mean, used by one kernel and, after a product, by another."""
    xp, x, w = build.xp, build.input(rows, 128), build.input(128, 128)
    c = word(xp, x - xp.sum(x, axis=1, keepdims=True) / 128)
    y = xp.matmul(c * 2.0, w)
    return xp, c, y, xp.sum(y * c, axis=1), xp.sum(c, axis=1)


def keeper(fusion, array):
    return [g for g in fusion.groups if array.node in g.stored]


def holders(fusion, array):
    return [g for g in fusion.groups if array.node in g.nodes]


def test_a_difference_is_computed_again(build):
    _, c, *_, out, other = forward_and_backward(build, 512)
    fusion = build.fusion(out, other)
    assert not keeper(fusion, c) and len(holders(fusion, c)) == 2
    first = fusion.group_of[c.node]
    assert any(n.word == "map" and n.shape == (512, 1) for n in first.stored)  # the mean
    _, again = holders(fusion, c)
    assert build.graph.table and c.node.inputs[0] in again.leaves and c.node not in again.leaves
    layout = Layout(fusion, (False, False))
    assert layout.order.index(first) < layout.order.index(again)


def test_what_is_small_dear_or_a_result_is_stored(build):
    _, c, *_, out, other = forward_and_backward(build, 64)
    assert keeper(build.fusion(out, other), c)
    _, c, *_, out, other = forward_and_backward(build, 512, lambda xp, c: xp.exp(c))
    assert keeper(build.fusion(out, other), c)
    _, c, *_, out, other = forward_and_backward(build, 512)
    assert keeper(build.fusion(out, other, c), c)


def test_what_takes_two_large_arrays_is_stored(build):
    z = build.input(512, 128)
    _, c, *_, out, other = forward_and_backward(build, 512, lambda xp, c: c * z)
    assert keeper(build.fusion(out, other), c)


def test_what_a_product_reads_is_stored(build):
    xp, c, _, out, other = forward_and_backward(build, 512)
    again = xp.matmul(c, build.input(128, 8))
    assert keeper(build.fusion(out, other, again), c)


@pytest.mark.parametrize("kind", ["layer", "batch"])
def test_norms_forward_and_backward(torch, kind):
    pytest.importorskip("llvmlite")
    cache.plans.clear()
    torch.manual_seed(0)
    norm = torch.nn.LayerNorm(96) if kind == "layer" else torch.nn.BatchNorm1d(96)
    layer = torch.nn.Linear(96, 96)
    x = torch.randn(400, 96, requires_grad=True)
    with both():
        for _ in range(2):
            y = layer(norm(x).relu())
            (y * y).mean().backward()
            with torch.no_grad():
                for p in (x, *norm.parameters(), *layer.parameters()):
                    p -= p.grad
                    p.grad = None
        assert np.isfinite(x.detach().numpy()).all()
