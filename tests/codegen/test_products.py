"""Products whose chunks are parts of k, and which axis chunks divide."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import bital
from bital.base import config, cores
from bital.codegen import gemm, target
from bital.codegen.cuts import plain_store
from bital.codegen.nest import Product
from bital.codegen.products import Joined
from bital.codegen.show import ir
from bital.codegen.split import FAR, Homes
from bital.runtime.executor import cache
from tests.codegen.test_gemm import run, targets, written


@pytest.fixture(autouse=True)
def always():
    cache.plans.clear()
    before = cores.get_threads()
    with config.override(compile="always"):
        yield
    cores.set_threads(before)


# rows of 100, whose last vector lacks lanes; a single column; f64; k that has no fitting parts
@pytest.mark.parametrize(
    ("m", "k", "n", "dtype", "parts"),
    [
        (32, 1000, 100, np.float32, True),
        (20, 1200, 160, np.float32, True),
        (32, 1000, 100, np.float64, True),
        (32, 1009, 100, np.float32, False),
    ],
)
def test_what_lies_in_order_of_k_is_cut_along_k(torch, m, k, n, dtype, parts):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (n,))]
    exact = np.maximum(arrays[0].astype(np.float64) @ arrays[1] + arrays[2], 0)
    got = []
    for number in (1, 2, 3):
        cores.set_threads(number)
        x, w, bias = map(torch.from_numpy, arrays)
        got.append((x @ w + bias).relu().numpy())
    kernels = max((plan.kernels for plan in bital.plans()), key=len)
    assert len(kernels) == (2 if parts else 1)
    assert got[0].tobytes() == got[1].tobytes() == got[2].tobytes()
    assert np.abs(got[0] - exact).max() <= 40 * np.sqrt(k) * np.finfo(dtype).eps


@pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 50])
def test_parts_are_added_up(on, columns):
    p = Product((), 9, columns, 300, "f32", (300, 1), (columns, 1))
    parts = np.random.default_rng(0).standard_normal((3, 9, columns)).astype(np.float32)
    out = np.zeros((9, columns), np.float32)

    joined = Joined(p, 3, on, plain_store(out.shape, 1))
    joined.write()
    run(joined.b, joined.chunks, (parts, out), on)
    assert out.tobytes() == (parts[0] + parts[1] + parts[2]).tobytes()


def test_a_core_reads_what_it_has_written():
    def by_columns(p):
        return gemm.chosen(p, target.host(), plain_store((p.M, p.N))).by_columns

    # a layer's weight, of which each core has rows, and its gradient's product
    assert by_columns(Product((), 64, 256, 784, "f32", (784, 1), (1, 784)))
    gradient = Product((), 256, 784, 64, "f32", (1, 256), (784, 1), (True, False), (6, 0))
    assert not by_columns(gradient)
    assert by_columns(gradient._replace(results=(0, 6)))


def test_cycles_for_what_other_cores_have_written():
    homes = Homes(True, False, 1, 2)
    assert homes.far((100, 10, 1), by_rows=True) == FAR * (10 + 2)
    assert homes.far((100, 10, 1), by_rows=False) == FAR * (100 + 10 + 1)


def test_a_learning_rate_is_read_once(torch):
    x, g, w = torch.randn(9, 80), torch.randn(9, 50), torch.randn(80, 50)
    got = (w - 0.1 * (x.T @ g)).numpy()
    assert np.allclose(got, w.numpy() - 0.1 * (x.numpy().T @ g.numpy()), atol=1e-5)
    (text,) = [
        ir(plan.llvm_ir)[kernel.function]
        for plan in bital.plans()
        for kernel in plan.kernels
        if kernel.kind == "product"
    ]
    assert text.count("fptrunc double") == 1


# 36 columns: two vectors and four numbers; 37: a vector that lacks lanes
@pytest.mark.parametrize(("columns", "masked"), [(36, False), (37, True), (32, False)])
def test_few_columns_that_are_a_vector_are_stored_without_a_mask(columns, masked):
    on = target.named("x86-64-v4")
    p = Product((), 200, columns, 32, "f32", (1, 200), (columns, 1))
    body, _ = written(p, on, plain_store((200, columns)))
    assert ("masked.store" in body.text("kernel")) is masked
