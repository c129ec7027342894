"""Products: against NumPy in float64, on every kind of vector that this machine runs."""

import ctypes
import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from bital.base.stride import contiguous_strides
from bital.codegen import jit, target
from bital.codegen.cuts import plain_store
from bital.codegen.gemm import chosen, prefers_library
from bital.codegen.nest import Product
from bital.codegen.products import products
from bital.codegen.scalar import Builder, Reg
from bital.plan.fuse import Fusion
from bital.plan.graph import Graph
from bital.plan.node import KINDS

ATTRIBUTES = "attributes #0 = { nounwind }\n"


def targets():
    """The host, and what else of its family it runs."""
    host = target.host()
    if host.is_x86 and host.vector_bytes == 64:
        return [host, target.named("x86-64-v3"), target.named("x86-64-v2")]
    return [host]


def text_of(b):
    """A module with the kernel, and a function that runs one chunk of it."""
    declared = "".join(line + "\n" for line in sorted(b.declared))
    entry = (
        "define void @run(ptr %args, i64 %chunk) {\n  call void @kernel(ptr %args, i64 %chunk)\n"
    )
    return declared + b.text("kernel") + entry + "  ret void\n}\n" + ATTRIBUTES


def run(b, chunks, arrays, on=None):
    """Run the chunks of a kernel, last first: their order is nobody's business."""
    library = jit.Library([jit.compile_object(text_of(b), on or target.host())])
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(library.address("run"))
    table = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
    for chunk in reversed(range(chunks)):
        call(ctypes.addressof(table), chunk)


def strides(a):
    return tuple(s // a.itemsize for s in a.strides)


def kernels(a, b, on=None):
    """The kernels of a @ b, which work on a, b and the result."""
    graph = Graph()
    inputs = [graph.input(k, x.shape, KINDS[x.dtype], strides(x)) for k, x in enumerate((a, b))]
    whole = graph.product(*inputs)
    (group,) = Fusion(list(graph.table.values()), [whole], []).groups
    return products(group, on or target.host(), {whole}, None)


def multiply(a, b, on=None):
    """a @ b by our kernel."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.full((*batch, a.shape[-2], b.shape[-1]), 7, a.dtype)
    for kernel in kernels(a, b, on):
        run(kernel.builder, kernel.chunks, (a, b, out), on)
    return out


def written(p, on, epilogue):
    """The kernel of a product that an epilogue follows, and its number of chunks."""
    nest = chosen(p, on, epilogue)
    nest.write()
    return nest.b, nest.chunks


def check(a, b, on=None):
    """The error of each element is within that of a sum of its terms in blocks of 256."""
    got, exact = multiply(a, b, on), a.astype(np.float64) @ b.astype(np.float64)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    unit = np.finfo(a.dtype).eps / 2
    bound = size * unit * 4 * np.sqrt(1 + min(a.shape[-1], 256)) + 1e-300
    assert np.all(np.abs(got - exact) <= bound), (a.shape, a.strides, b.shape, b.strides)


def matrix(rng, shape, dtype, layout):
    """A random matrix: in rows, in columns, or a part of a larger one with steps in both axes."""
    *batch, m, n = shape
    if layout == "columns":
        return rng.standard_normal((*batch, n, m)).astype(dtype).swapaxes(-1, -2)
    if layout == "steps":
        return rng.standard_normal((*batch, 2 * m, 3 * n)).astype(dtype)[..., ::2, ::3]
    return rng.standard_normal((*batch, m, n)).astype(dtype)


LAYOUTS = ("rows", "columns", "steps")


@st.composite
def factors(draw, dtype):
    """Two factors of random shapes, batches that broadcast, and layouts."""
    m, n, k = (draw(st.integers(0, 70)) for _ in range(3))
    batch = draw(st.sampled_from([(), (2,), (2, 3)]))
    shared = batch[draw(st.integers(0, len(batch))) :]
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    left, right = draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(LAYOUTS))
    return matrix(rng, (*batch, m, k), dtype, left), matrix(rng, (*shared, k, n), dtype, right)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
def test_random_shapes(on, dtype):
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(factors(dtype))
    def agrees(pair):
        check(*pair, on)

    agrees()


@pytest.mark.parametrize(
    ("m", "k", "n", "left", "right"),
    [
        (32, 1000, 100, "rows", "rows"),
        (200, 32, 100, "columns", "rows"),
        (32, 100, 300, "rows", "columns"),
        (1, 784, 256, "rows", "columns"),
        (300, 600, 200, "rows", "columns"),
        (130, 700, 10, "columns", "columns"),
        (5, 300, 2, "rows", "rows"),
        (33, 1000, 7, "rows", "columns"),
        (20, 100, 333, "rows", "columns"),
        (30, 1200, 130, "columns", "columns"),
        (100, 32, 2, "columns", "rows"),
        (90, 1100, 5, "columns", "columns"),
        (37, 100, 1, "columns", "rows"),
        (40, 100, 2, "rows", "rows"),
        (200, 1300, 1, "rows", "rows"),
        (1, 1000, 1, "rows", "rows"),
        (100, 1, 100, "rows", "rows"),
        (90, 600, 90, "steps", "steps"),
    ],
)
def test_shapes_of_each_kind(m, k, n, left, right):
    rng = np.random.default_rng(1)
    for dtype in (np.float32, np.float64):
        check(matrix(rng, (m, k), dtype, left), matrix(rng, (k, n), dtype, right))


def fenced(a):
    """A copy that ends where memory that may not be read begins, and what keeps it alive."""
    page = mmap.PAGESIZE
    size = -(-a.nbytes // page) * page
    room = mmap.mmap(-1, size + page)
    start = np.frombuffer(room, np.uint8).ctypes.data
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    assert protect(ctypes.c_void_p(start + size), ctypes.c_size_t(page), 0) == 0
    out = np.frombuffer(room, a.dtype, a.size, size - a.nbytes).reshape(a.shape)
    out[...] = a
    return out


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="mprotect is of Unix")
@pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
def test_nothing_is_read_beyond_the_factors(on):
    rng = np.random.default_rng(6)
    shapes = [
        (1, 50, 33), (2, 19, 5), (9, 17, 20), (33, 40, 70), (20, 3, 17), (19, 600, 3), (130, 21, 50)
    ]  # fmt: skip
    for m, k, n in shapes:
        for turned in range(4):
            a = matrix(rng, (k, m) if turned & 1 else (m, k), np.float32, "rows")
            b = matrix(rng, (n, k) if turned & 2 else (k, n), np.float32, "rows")
            a, b = fenced(a), fenced(b)
            check(a.T if turned & 1 else a, b.T if turned & 2 else b, on)


def test_bits_do_not_depend_on_rows():
    rng = np.random.default_rng(2)
    a, b = matrix(rng, (80, 700), np.float32, "rows"), matrix(rng, (700, 100), np.float32, "rows")
    whole = multiply(a, b)
    assert np.array_equal(whole[17:40], multiply(a[17:40], b))
    assert np.array_equal(whole[:, 32:64], multiply(a, b[:, 32:64]))


def test_one_row_by_a_large_matrix_is_for_two_cores():
    """The matrix is read once: it comes from the cores' own caches, which takes them long."""
    for n, wanted in ((256, 2), (64, 1)):
        p = Product((), 1, n, 784, "f32", (784, 1), (1, 784))
        assert chosen(p, target.named("x86-64-v4"), plain_store((1, n))).chunks == wanted


@pytest.mark.parametrize(
    ("m", "n", "k", "way"),
    [(4, 256, 784, "Dots"), (64, 256, 784, "Tiles"), (8, 1000, 1000, "Dots")],
)
def test_columns_are_packed_where_rows_enough_share_them(m, n, k, way):
    p = Product((), m, n, k, "f32", (k, 1), (1, k))
    assert type(chosen(p, target.named("x86-64-v4"), plain_store((m, n)))).__name__ == way


def test_nothing_gives_zeros_or_no_kernel():
    assert np.array_equal(multiply(np.ones((3, 0)), np.ones((0, 5))), np.zeros((3, 5)))
    for m, n, batch in ((0, 3, ()), (3, 0, ()), (3, 3, (0,))):
        assert kernels(np.ones((*batch, m, 2)), np.ones((2, n))) == []


def test_special_values_stay_in_their_rows_and_columns():
    rng = np.random.default_rng(3)
    for left, right in (("rows", "rows"), ("rows", "columns"), ("columns", "rows")):
        a, b = matrix(rng, (19, 21), np.float32, left), matrix(rng, (21, 37), np.float32, right)
        a[3, 4], b[5, 36], b[7, 16] = np.nan, np.inf, -np.inf
        a[2, 5] = a[1, 7] = 1
        with np.errstate(invalid="ignore"):
            got, plain = multiply(a, b), a @ b
        assert np.array_equal(np.isnan(got), np.isnan(plain))
        assert np.array_equal(got[np.isinf(plain)], plain[np.isinf(plain)])


def test_denormals_are_kept():
    a, b = np.full((2, 3), 1e-20, np.float32), np.full((3, 20), 1e-20, np.float32)
    assert np.allclose(multiply(a, b), 3e-40, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("m", "n", "left", "right"),
    [
        (21, 53, "rows", "columns"),
        (21, 53, "rows", "rows"),
        (21, 530, "rows", "rows"),
        (3, 53, "rows", "columns"),
        (53, 3, "columns", "rows"),
        (53, 2, "rows", "rows"),
    ],
)
@pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
def test_a_long_epilogue_sees_each_element_once(m, n, left, right, on):
    rng = np.random.default_rng(4)
    a, b = matrix(rng, (m, 30), np.float32, left), matrix(rng, (30, n), np.float32, right)
    p = Product((), m, n, 30, "f32", strides(a), strides(b))
    out = np.zeros((m, n), np.float32)
    store = plain_store(out.shape)

    def epilogue(b: Builder, value: Reg, indices: tuple[Reg, ...], mask: Reg | None) -> None:
        row, col = indices
        old = b.load(b.argument(2), "f32", b.add(b.mul(row, b.index(n)), col), value.lanes, mask)
        for _ in range(60):
            value = b.add(value, b.cast(b.cast(row, "i32"), "f32"))
        store(b, b.add(value, old), indices, mask)

    run(*written(p, on, epilogue), (a, b, out), on)
    assert np.allclose(out, a @ b + 60 * np.arange(m, dtype=np.float32)[:, None], atol=1e-3)


def test_large_products_are_better_left_to_a_library():
    def square(size, kind="f32", batch=()):
        zeros = (0,) * len(batch)
        return Product(batch, size, size, size, kind, (*zeros, size, 1), (*zeros, size, 1))

    assert prefers_library(square(1024)) and prefers_library(square(800, "f64"))
    assert not prefers_library(square(512)) and not prefers_library(square(1024, batch=(2,)))
    assert not prefers_library(square(1024)._replace(N=32))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("x86-64-v4", "zmm"),
        ("x86-64-v3", "vfmadd"),
        ("x86-64-v2", "mulps"),
        ("aarch64-neon", "fmla"),
        ("apple-m1", "fmla"),
    ],
)
def test_each_target_multiplies_and_adds_vectors(name, word):
    on = target.named(name)
    for b_strides in ((40, 1), (1, 50)):
        p = Product((), 30, 40, 50, "f32", (50, 1), b_strides)
        body, _ = written(p, on, plain_store((30, 40)))
        lines = jit.assembly(text_of(body), on).splitlines()
        assert any(word in line for line in lines)
        assert not any("fmaf" in line for line in lines)


def test_tiles_are_wide_but_where_rows_want_the_same_places_of_the_cache():
    def vectors(p):
        return chosen(p, target.named("x86-64-v4"), plain_store((p.M, p.N))).split.panels.size

    weight = Product((), 64, 256, 128, "f32", (128, 1), (256, 1))  # rows of 1 KiB
    assert vectors(weight) < vectors(weight._replace(b=(272, 1)))
    # each row of a tile is begun: few long ones where the weight is packed
    assert vectors(Product((), 768, 384, 128, "f32", (128, 1), (1, 128))) >= 4


@pytest.mark.parametrize("columns", [480, 64])
def test_what_is_read_or_written_with_a_result_is_asked_for_while_it_is_computed(columns):
    """Where a core's own cache does not keep all that the kernel reads and writes."""
    graph = Graph()
    a, b, c = [
        graph.input(k, s, "f32", contiguous_strides(s))
        for k, s in enumerate([(512, 32), (32, columns), (512, columns)])
    ]
    whole = graph.product(a, b)
    alone, with_c = graph.map("exp", whole), graph.map("mul", whole, c)
    for found, arrays in (whole, 1), (alone, 1), (with_c, 2):
        (group,) = Fusion(list(graph.table.values()), [found], []).groups
        (kernel,) = products(group, target.host(), {found}, None)
        asked = kernel.builder.text("kernel").count("call void @llvm.prefetch")
        assert asked % arrays == 0 and (asked > 0) is (columns == 480)
