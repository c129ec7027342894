"""Products that are added up are one product, and factors that many read turned are turned once."""

import numpy as np
import pytest

from bital.plan.fuse import reachable
from bital.plan.sums import join, turn
from tests.plan.evaluate import Evaluator
from tests.plan.test_fuse import Build

rng = np.random.default_rng(0)


@pytest.fixture
def build():
    return Build()


def inputs(build, *shapes):
    """Inputs of the graph, and arrays for them."""
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    return [build.input(*shape) for shape in shapes], arrays


def terms(node):
    """How many terms each product has that leads to a node."""
    found = [n for n in reachable([node]) if n.word == "product"]
    return sorted(len(n.inputs) // 2 for n in found)


def joined(build, out, arrays, by=join):
    """The node after a rewriting, which changes no value."""
    node = out.node
    after = by(build.graph, [node]).get(node, node)
    assert set(reachable([after])) <= set(build.graph.table.values())
    true = Evaluator(arrays, [])(node)
    np.testing.assert_allclose(Evaluator(arrays, [])(after), true, rtol=1e-4, atol=1e-4)
    return after


def test_a_sum_of_products_is_one_product(build):
    shapes = [(5, 4), (5, 6)] * 3 + [(6,)]
    xs, arrays = inputs(build, *shapes)
    total = xs[0].T @ xs[1] + xs[2].T @ xs[3] + xs[6] + xs[4].T @ xs[5]
    assert terms(joined(build, total, arrays)) == [3]


def test_what_lies_otherwise_is_a_product_of_its_own(build):
    xs, arrays = inputs(build, (5, 4), (4, 6), (5, 7), (7, 6), (5, 4), (4, 6))
    total = xs[0] @ xs[1] + xs[2] @ xs[3] + xs[4] @ xs[5]
    assert terms(joined(build, total, arrays)) == [1, 2]


def test_a_product_that_is_used_otherwise_stays(build):
    xs, arrays = inputs(build, (5, 4), (4, 6), (5, 4), (4, 6))
    first = xs[0] @ xs[1]
    total = first + xs[2] @ xs[3]
    total = build.xp.exp(total) * first
    assert terms(joined(build, total, arrays)) == [1, 1]


def test_long_products_stay(build):
    xs, arrays = inputs(build, (2, 600), (600, 3), (2, 600), (600, 3))
    assert terms(joined(build, xs[0] @ xs[1] + xs[2] @ xs[3], arrays)) == [1, 1]


@pytest.mark.parametrize(("steps", "copies"), [(7, 0), (8, 1)])
def test_what_many_read_turned_is_turned_once(build, steps, copies):
    xs, arrays = inputs(build, (3, 5), (5, 5))
    h = xs[0]
    for _ in range(steps):
        h = build.xp.tanh(h @ xs[1].T)
    after = joined(build, h, arrays, turn)
    found = reachable([after])
    assert sum(n.word == "map" and n.attrs[0] == "copy" for n in found) == copies
    assert sum(n.attrs[1] for n in found if n.word == "product") == steps * (1 - copies)
