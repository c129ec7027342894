"""Convolutions: against those of NumPy in float64, on every kind of vector this machine runs."""

import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.codegen import jit, target
from bital.codegen.conv import backward_input, forward
from bital.codegen.conv_weight import backward_weight
from bital.codegen.cuts import plain_store
from bital.ops.convolve import Taps, correlate, spread, weigh
from bital.plan.spatial import Conv
from tests.codegen.test_gemm import run, targets, text_of

EACH = pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)
DTYPES = {"f32": np.float32, "f64": np.float64}


def conv(kind, n, c, size, o, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1,
         fewer=(0, 0)):  # fmt: skip
    """A convolution, with `fewer` places at the ends than there could be."""
    taps = Taps(kernel, stride, padding, dilation, groups)
    out = tuple(k - f for k, f in zip(taps.out_size(size), fewer))
    return Conv(kind, n, c, size, o, out, kernel, stride, padding, dilation, groups)


def operands(c, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (c.n, c.c, *c.size), (c.o, c.c // c.groups, *c.kernel), (c.n, c.o, *c.out)
    return [rng.standard_normal(shape).astype(DTYPES[c.kind]) for shape in shapes]


def passes(c, x, w, g):
    """Per pass its writer, operands, and the function of NumPy."""
    taps = Taps(c.kernel, c.stride, c.padding, c.dilation, c.groups)
    return [
        (forward, (x, w), lambda x, w: correlate(np, x, w, taps, c.out)),
        (backward_input, (g, w), lambda g, w: spread(np, g, w, taps, c.size)),
        (backward_weight, (g, x), lambda g, x: weigh(np, x, g, taps)),
    ]


def computed(c, writer, arrays, shape, on, epilogue=None):
    shape = (shape[0], -1) if writer is backward_weight else shape
    out = np.full(shape if -1 not in shape else (shape[0], c.c // c.groups * np.prod(c.kernel)),
                  np.nan, DTYPES[c.kind])  # fmt: skip
    written = writer(c, on, epilogue or plain_store(out.shape))
    run(*written, (*arrays, out), on)
    return out


def check(c, on, seed=0):
    """Every element is as near as a sum in some order is, and none is missing."""
    for writer, arrays, function in passes(c, *operands(c, seed)):
        exact = function(*[a.astype(np.float64) for a in arrays])
        size = function(*[np.abs(a).astype(np.float64) for a in arrays])
        got = computed(c, writer, arrays, exact.shape, on).reshape(exact.shape)
        bound = size * np.finfo(DTYPES[c.kind]).eps * 40 + 1e-300
        assert np.all(np.abs(got - exact) <= bound), (writer.__name__, c)


def random_conv(rng):
    kind = rng.choice(["f32", "f64"], p=[0.7, 0.3])
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, o = (groups * int(rng.choice([1, 1, 2, 3, 5, 8, 16])) for _ in range(2))

    def pair(choices):
        return tuple(int(k) for k in rng.choice(choices, 2))

    kernel, stride, dilation = pair([1, 2, 3, 3, 5]), pair([1, 1, 1, 2, 3]), pair([1, 1, 2])
    padding = pair([0, 1, 2, 3])
    # as large as the kernel reaches, or a little more
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding)]
    size = tuple(n + int(rng.choice([0, 1, 2, 5, 9, 14])) for n in least)
    full = conv(kind, 1, c, size, o, kernel, stride, padding, dilation, groups)
    fewer = tuple(int(rng.integers(0, 2)) if n > 1 else 0 for n in full.out)
    n = int(rng.choice([1, 2, 3, 5]))
    return conv(kind, n, c, size, o, kernel, stride, padding, dilation, groups, fewer)


@EACH
@pytest.mark.parametrize("seed", range(10))
def test_random_shapes(on, seed):
    check(random_conv(np.random.default_rng(seed)), on, seed)


@EACH
@pytest.mark.parametrize(
    "c",
    [
        conv("f32", 4, 1, (28, 28), 16, (5, 5), padding=(2, 2)),
        conv("f32", 3, 16, (14, 14), 32, (5, 5)),
        conv("f32", 2, 64, (8, 8), 64, (3, 3), padding=(1, 1)),
        conv("f32", 2, 16, (32, 32), 32, (3, 3), (2, 2), (1, 1)),
        conv("f32", 2, 32, (16, 16), 64, (1, 1), (2, 2)),
        conv("f32", 3, 48, (12, 12), 48, (3, 3), padding=(1, 1), groups=48),
        conv("f32", 1, 3, (64, 64), 8, (7, 7), (2, 2), (3, 3)),
        conv("f32", 1, 3, (31, 37), 24, (6, 6), (3, 3)),
        conv("f32", 2, 4, (1, 3000), 6, (1, 5), padding=(0, 2)),
        conv("f32", 1, 2, (3, 1200), 3, (2, 5), (2, 2), padding=(1, 2)),
        conv("f64", 1, 300, (9, 9), 70, (3, 3), padding=(1, 1)),
        conv("f32", 40, 5, (1, 1), 7, (1, 1)),
    ],
    ids=str,
)
def test_shapes_of_each_kind(c, on):
    check(c, on)


def test_infinities_stay_where_they_are():
    """A place whose windows do not meet an infinity or NaN is a number, in every pass."""
    c = conv("f32", 2, 3, (11, 11), 4, (3, 3), padding=(1, 1))
    x, w, g = operands(c)
    x[0, 1, 0, 10], g[1, 2, 10, 0] = np.inf, np.nan
    for writer, arrays, function in passes(c, x, w, g):
        with np.errstate(invalid="ignore"):
            exact = function(*arrays)
        got = computed(c, writer, arrays, exact.shape, target.host()).reshape(exact.shape)
        assert np.array_equal(np.isfinite(got), np.isfinite(exact)), writer.__name__


def test_epilogues_see_every_element_once():
    """Adding indices to what is there already, in place: nothing is handed over twice."""
    c = conv("f32", 3, 5, (13, 19), 11, (3, 3), (2, 2), (1, 1))
    for writer, arrays, function in passes(c, *operands(c)):
        exact = function(*arrays)
        exact = exact.reshape(exact.shape[0], -1) if writer is backward_weight else exact
        out = np.zeros(exact.shape, np.float32)
        plain = plain_store(out.shape)

        def add(b, value, indices, mask, shape=out.shape, plain=plain):
            steps = [int(np.prod(shape[k + 1 :])) for k in range(len(shape))]
            there = b.load(b.argument(2), "f32", b.affine(0, *zip(indices, steps)), value.lanes,
                           mask)  # fmt: skip
            lane = b.add(b.iota("i64", value.lanes), b.splat(indices[-1], value.lanes))
            more = b.splat(b.affine(0, (indices[0], 7)), value.lanes)
            more = b.cast(b.add(more, lane), "f32")
            plain(b, b.add(b.add(there, value), more), indices, mask)

        run(*writer(c, target.host(), add), (*arrays, out))
        numbers = np.indices(out.shape)
        assert np.allclose(out, exact + numbers[0] * 7 + numbers[-1], atol=1e-3), writer.__name__


def test_bits_do_not_depend_on_the_batch():
    one, many = (conv("f32", n, 7, (9, 9), 6, (3, 3), padding=(1, 1)) for n in (1, 5))
    x, w, _ = operands(many)
    alone = computed(one, forward, (x[3:4].copy(), w), (1, 6, 9, 9), target.host())
    together = computed(many, forward, (x, w), (5, 6, 9, 9), target.host())
    assert np.array_equal(alone[0], together[3])


def test_what_is_too_large_or_empty_is_left_alone():
    assert not conv("f32", 1, 1, (1, 60000), 1, (1, 40000)).fits
    assert not conv("f32", 0, 1, (4, 4), 1, (3, 3)).fits
    assert conv("f32", 1, 3, (224, 224), 64, (7, 7), (2, 2), (3, 3)).fits


@pytest.mark.parametrize(
    "c",
    [
        conv("f64", 2, 256, (8, 31), 1024, (3, 1), (1, 4)),
        conv("f32", 9, 37, (5001, 31), 256, (3, 3), (2, 1), (1, 1)),
        conv("f32", 9, 64, (703, 34), 256, (3, 64), (2, 1), (0, 15)),
        conv("f64", 1, 64, (33, 31), 64, (3, 31), (3, 3), (0, 23)),
        conv("f32", 1, 6, (2, 5000), 6, (2, 7), (1, 2), (1, 3), (1, 2)),
        conv("f32", 100, 1, (1, 1), 16384, (1, 1)),
    ],
    ids=str,
)
def test_scratch_and_text_are_bounded(c):
    assert c.fits
    for writer in (forward, backward_input, backward_weight):
        b, _ = writer(c, target.host(), plain_store((1,) * 4))
        sizes = re.findall(r"alloca \[(\d+) x (float|double)\]", "\n".join(b.entry))
        assert sum(int(n) * {"float": 4, "double": 8}[kind] for n, kind in sizes) <= 256 << 10
        assert len(b.lines) < 6000


@pytest.mark.parametrize("name", ["x86-64-v2", "aarch64-neon"])
def test_other_processors(name):
    c = conv("f32", 2, 4, (9, 9), 6, (3, 3), (2, 2), (1, 1))
    on = target.named(name)
    for writer in (forward, backward_input, backward_weight):
        b, _ = writer(c, on, plain_store((2, 6, 5, 5)))
        assert jit.compile_object(text_of(b), on)
