"""Sweeps: a matrix is read once for a product along its rows and one along its columns."""

import numpy as np
import pytest

from bital.codegen import sweep as writer
from bital.plan import sweep
from bital.runtime.executor import cache
from tests.compiled import both

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")


@pytest.fixture(autouse=True)
def fresh():
    cache.plans.clear()


def kinds():
    """The kinds of the groups of the plans that were compiled."""
    plans = [p.compiler.native for p in cache.plans.values() if p.compiler and p.compiler.native]
    return [call.group.kind for native in plans for call in native.calls if call.group.nodes]


def gradient(torch, x, w, t):
    """Of a linear model with an error of its own."""
    w = w.detach().requires_grad_()
    y = x @ w
    error = torch.tanh(y - t) * y.sigmoid()
    (g,) = torch.autograd.grad(error.square().sum(), w)
    return y.detach().numpy(), g.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "rows, columns", [(2048, 16), (1003, 100), (129, 300), (401, 83), (30001, 3), (140, 1000)]
)
def test_any_shape(torch, dtype, rows, columns):
    torch.manual_seed(0)
    x = torch.randn(rows, columns, dtype=getattr(torch, dtype)) / columns**0.5
    w, t = torch.randn(columns, dtype=x.dtype), torch.randn(rows, dtype=x.dtype)
    with both():
        gradient(torch, x, w, t)
    assert kinds().count("sweep") == 2


def test_linear_layers_with_one_result(torch):
    torch.manual_seed(0)
    layer, x, t = torch.nn.Linear(90, 1), torch.randn(500, 90), torch.randn(500, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    with both():
        for _ in range(3):
            loss = torch.nn.functional.mse_loss(layer(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert "sweep" in kinds()


def test_a_matrix_that_is_computed(torch):
    torch.manual_seed(0)
    base, v = torch.randn(300, 200), torch.randn(200)
    with both():
        a = base.exp().detach()
        for _ in range(3):
            v = a.t() @ (a @ v)
            v = v / v.norm()
        v.sum().item()
    assert kinds().count("sweep") == 6


def test_several_products_with_one_matrix(torch):
    """A Gauss-Newton product: the second factor is made of two products along the rows."""
    torch.manual_seed(0)
    x, w, v = torch.randn(400, 100), torch.randn(100), torch.randn(100)
    with both():
        x = x * 1.0
        y = x @ w
        curved = torch.exp(-y * y)
        z = (x @ v) * curved
        (x.t() @ z).sum().item()
    assert kinds().count("sweep") == 2 and kinds().count("product") == 1


def test_a_square_matrix_is_not_mistaken(torch):
    torch.manual_seed(0)
    x, v = torch.randn(256, 256), torch.randn(256)
    with both():
        x = x * 0.1
        y = x @ v
        z = x.t() @ y.tanh()
        (z * y + z.exp()).sum().item()
    assert kinds().count("sweep") == 2


def test_a_factor_that_needs_all_rows_is_not_joined(torch):
    torch.manual_seed(0)
    x, v = torch.randn(400, 100), torch.randn(100)
    with both():
        x = x * 1.0
        y = x @ v
        (x.t() @ (y / y.sum())).sum().item()
        (x.t() @ y.softmax(0)).sum().item()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_with_any_number_of_threads(torch, threads):
    torch.manual_seed(0)
    x, w, t = torch.randn(6000, 200), torch.randn(200), torch.randn(6000)
    before = torch.get_num_threads()
    try:
        results = []
        for count in (1, threads):
            torch.set_num_threads(count)
            for _ in range(14):
                got = gradient(torch, x, w, t)
            results.append([np.array(each).tobytes() for each in got])
    finally:
        torch.set_num_threads(before)
    assert results[0] == results[1]


def test_small_matrices_are_not_swept(torch):
    torch.manual_seed(0)
    with both():
        gradient(torch, torch.randn(64, 30), torch.randn(30), torch.randn(64))
    assert "sweep" not in kinds()


def test_blocks_fit_what_the_writer_takes():
    assert sweep._FEWEST % writer._ROWS == 0 and sweep._MOST >= writer._ROWS
