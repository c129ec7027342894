"""Products of several terms: against NumPy in float64, on every kind of vector."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.codegen.products import products
from bital.plan.fuse import Fusion
from bital.plan.graph import Graph
from bital.plan.node import KINDS
from bital.plan.sums import join
from tests.codegen.test_gemm import run, strides, targets


def add_products(pairs, on):
    """The sum of products by our kernel, all chunks of it."""
    graph = Graph()
    arrays = [a for pair in pairs for a in pair]
    kind = KINDS[arrays[0].dtype]
    inputs = [graph.input(k, x.shape, kind, strides(x)) for k, x in enumerate(arrays)]
    total = graph.product(*inputs[:2])
    for k in range(2, len(inputs), 2):
        total = graph.map("add", total, graph.product(*inputs[k : k + 2]))
    whole = join(graph, [total])[total]
    (group,) = Fusion(list(graph.table.values()), [whole], []).groups
    out = np.full(whole.shape, 7, arrays[0].dtype)
    (kernel,) = products(group, on, {whole}, None)
    run(kernel.builder, kernel.chunks, (*arrays, out), on)
    return out


# one column, one row, columns that do not fill a vector; depths that are one block, and several;
# depths at whose end the next term is fetched, and shorter ones
@pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    ("terms", "m", "k", "n"),
    [(2, 5, 3, 1), (3, 1, 40, 70), (31, 37, 32, 50), (7, 20, 100, 33), (2, 64, 512, 48)],
)
def test_terms_are_added_up(on, turned, terms, m, k, n):
    rng = np.random.default_rng(0)

    def draw(rows, columns, turn):
        if turn:
            return rng.standard_normal((columns, rows)).astype(np.float32).T
        return rng.standard_normal((rows, columns)).astype(np.float32)

    pairs = [(draw(m, k, turned[0]), draw(k, n, turned[1])) for _ in range(terms)]
    true = sum(a.astype(np.float64) @ b for a, b in pairs)
    got = add_products(pairs, on)
    assert np.abs(got - true).max() <= 40 * np.sqrt(terms * k) * np.finfo(np.float32).eps


def test_batches_and_doubles():
    rng = np.random.default_rng(0)
    pairs = [(rng.standard_normal((3, 6, 40)), rng.standard_normal((3, 40, 20))) for _ in range(20)]
    true = sum(a @ b for a, b in pairs)
    np.testing.assert_allclose(add_products(pairs, targets()[0]), true, rtol=1e-12, atol=1e-12)
