"""Products of rows that a table repeats are products of the table."""

import numpy as np
import pytest

from bital.base import config
from bital.plan.fuse import reachable
from bital.plan.symbolic import Array
from bital.runtime.executor import cache
from tests.compiled import both
from tests.plan.evaluate import Evaluator
from tests.plan.test_fuse import Build

rng = np.random.default_rng(0)
NUMBERS = rng.integers(0, 5, (6, 4))  # number 5 is not among them
TABLE = rng.normal(size=(6, 32)).astype(np.float32)
TABLE[5] = np.inf
W = rng.normal(size=(32, 40)).astype(np.float32)
G = rng.normal(size=(24, 40)).astype(np.float32)


@pytest.fixture
def build():
    return Build()


def numbered(build):
    """The numbers as an input of the graph."""
    node = build.graph.input(build.count, NUMBERS.shape, "i64", NUMBERS.shape[1:] + (1,))
    build.count += 1
    return Array(build.xp, node)


def products(array):
    return [n.shape for n in reachable([array.node]) if n.word == "product"]


def taken(build):
    """Rows of a table, time first, as a layer is given those of an embedding."""
    found, numbers = build.input(*TABLE.shape), numbered(build)
    rows = build.xp.take_rows(found, numbers)
    return rows.swapaxes(0, 1).reshape(24, 32), TABLE[NUMBERS].swapaxes(0, 1).reshape(24, 32)


def test_rows_of_a_table_are_taken_of_its_product(build):
    rows, true = taken(build)
    w = build.input(*W.shape)
    out = build.xp.matmul(rows, w)
    assert products(out) == [(6, 40)]
    np.testing.assert_allclose(
        Evaluator([TABLE, NUMBERS, W], [])(out.node), true @ W, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("first", [False, True])
def test_a_weights_gradient_is_of_sums_by_row(build, first):
    rows, true = taken(build)
    g = build.input(*G.shape)
    out = build.xp.matmul(rows.T, g) if first else build.xp.matmul(g.T, rows)
    assert len(products(out)) == 1
    (special, _) = [n for n in reachable([out.node]) if n.word == "special"]
    assert special.shape[0] == 6
    found = Evaluator([TABLE, NUMBERS, G], [])(out.node)
    true = true.T @ G if first else G.T @ true
    assert np.isfinite(found).all()  # although the row that is not taken is infinite
    np.testing.assert_allclose(found, true, rtol=1e-4, atol=1e-4)


def test_a_tables_gradient_is_a_product_of_sums(build):
    g, w, numbers = build.input(*G.shape), build.input(40, 32), numbered(build)
    back = build.xp.matmul(g, w).reshape(4, 6, 32).swapaxes(0, 1)
    out = build.xp.put_rows(back, numbers, 6, how="add")
    assert products(out) == [(6, 32)]
    infinite = W.T.copy()
    infinite[0, 0] = np.inf
    found = Evaluator([G, infinite, NUMBERS], [])(out.node)
    true = np.zeros((6, 32), np.float32)
    with np.errstate(invalid="ignore"):
        np.add.at(true, NUMBERS, (G @ infinite).reshape(4, 6, 32).swapaxes(0, 1))
    assert not true[5].any() and not found[5].any()
    np.testing.assert_allclose(found[:, 1:], true[:, 1:], rtol=1e-4, atol=1e-4)


def test_a_large_table_is_left_alone(build):
    found, numbers, w = build.input(13, 32), numbered(build), build.input(32, 40)
    out = build.xp.matmul(build.xp.take_rows(found, numbers).reshape(24, 32), w)
    assert products(out) == [(24, 40)]
    g = build.xp.matmul(build.input(24, 40), build.input(40, 32))
    assert products(build.xp.put_rows(g, numbers, 13, how="add")) == [(24, 32)]


@pytest.mark.parametrize("padding", [None, 3])
@pytest.mark.parametrize("count", [9, 90])
def test_training_of_an_embedding(torch, padding, count):
    pytest.importorskip("llvmlite")
    cache.plans.clear()
    torch.manual_seed(0)
    table = torch.nn.Embedding(count, 32, padding_idx=padding)
    layer = torch.nn.Linear(32, 33)
    numbers = torch.randint(0, 8, (7, 11))
    with both(), config.override(compile="always"):
        out = layer(table(numbers).transpose(0, 1))
        (out * out).sum().backward()
        assert table.weight.grad.numpy().any() and layer.weight.grad.numpy().any()
        if padding is not None:
            assert not table.weight.grad[padding].numpy().any()
