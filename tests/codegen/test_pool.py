"""Pooling: against NumPy's, windows of every kind, ties, NaN and infinities."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.base.dtype import float32, float64
from bital.codegen import jit, target
from bital.codegen.cuts import plain_store
from bital.codegen.pool import max_backward, max_forward, mean_backward, mean_forward
from bital.ir.meta import meta_of
from bital.ops.avg_pool import _average, _spread
from bital.ops.max_pool import _to_winners, _values
from bital.ops.pool_size import Numbers, plain_windows
from bital.plan.spatial import Mean, Pool
from tests.codegen.test_gemm import run, targets, text_of

EACH = pytest.mark.parametrize("on", targets(), ids=lambda t: t.name)


def pooling(kind, shape, numbers):
    """The pool of a shape, and the windows that NumPy's functions know."""
    dtype = float32 if kind == "f32" else float64
    axes = plain_windows(meta_of(shape, dtype), 2, numbers, "max_pool2d")
    fields = ("size", "out", "kernel", "stride", "padding", "dilation")
    return Pool(kind, shape[:-2], *[tuple(getattr(w, f) for w in axes) for f in fields]), axes


def data(p, seed, special):
    """x and g; few different numbers, so that there are ties, and perhaps infinities and NaN."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if p.kind == "f32" else np.float64
    x = rng.integers(-3, 4, (*p.lead, *p.size)).astype(dtype)
    if special:
        for value in (np.inf, -np.inf, np.nan, -0.0):
            x[rng.random(x.shape) < 0.15] = value
    return x, rng.standard_normal((*p.lead, *p.out)).astype(dtype)


def computed(writer, arrays, shape, on=None):
    out = np.full(shape, 77, arrays[0].dtype)
    written = writer(on or target.host(), plain_store(shape, len(arrays)))
    run(*written, (*arrays, out), on)
    return out


def check_max(p, axes, seed, special, on=None):
    x, g = data(p, seed, special)
    peak = _values(np, x, axes=axes)
    got = computed(lambda *a: max_forward(p, *a), (x,), peak.shape, on)
    assert np.array_equal(got, peak, equal_nan=True), p
    back = computed(lambda *a: max_backward(p, *a), (g, x, got), x.shape, on)
    expected = _to_winners(np, g, x, peak, axes=axes)
    assert np.allclose(back, expected, rtol=1e-5, atol=1e-6), p


def check_mean(p, axes, seed, mean, on=None):
    x, g = data(p, seed, False)
    attrs = {"axes": axes, "with_padding": mean.with_padding, "divisor": mean.divisor}
    got = computed(lambda *a: mean_forward(p, mean, *a), (x,), g.shape, on)
    assert np.allclose(got, _average(np, x, **attrs), rtol=1e-5, atol=1e-6), (p, mean)
    back = computed(lambda *a: mean_backward(p, mean, *a), (g,), x.shape, on)
    assert np.allclose(back, _spread(np, g, **attrs), rtol=1e-5, atol=1e-6), (p, mean)


def random_pooling(rng, dilated):
    def pair(choices):
        return tuple(int(k) for k in rng.choice(choices, 2))

    kernel = pair([1, 2, 2, 3, 3, 4])
    stride = kernel if rng.random() < 0.4 else pair([1, 2, 3])
    dilation = pair([1, 1, 2]) if dilated else (1, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    padding = tuple(int(rng.integers(0, r // 2 + 1)) if rng.random() < 0.5 else 0 for r in reach)
    shape = [(2,), (3, 2), (1, 5)][rng.integers(3)]
    size = tuple(r + int(rng.choice([0, 1, 3, 8, 13, 25, 40])) for r in reach)
    ceil = bool(rng.random() < 0.3)
    kind = "f64" if rng.random() < 0.3 else "f32"
    return pooling(kind, (*shape, *size), Numbers(kernel, stride, padding, dilation, ceil))


@EACH
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_max_of_random_windows(seed, special, on):
    p, axes = random_pooling(np.random.default_rng(seed), True)
    check_max(p, axes, seed, special, on)


@EACH
@pytest.mark.parametrize("seed", range(10))
def test_mean_of_random_windows(seed, on):
    rng = np.random.default_rng(seed)
    p, axes = random_pooling(rng, False)
    mean = Mean([None, None, 3][rng.integers(3)], bool(rng.integers(2)))
    check_mean(p, axes, seed, mean, on)


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ((32, 16, 28, 28), Numbers(2)),
        ((3, 5, 10, 10), Numbers(2)),
        ((3, 5, 11, 11), Numbers(2)),
        ((2, 3, 17, 75), Numbers((3, 2))),
        ((2, 3, 9, 40), Numbers((2, 1))),
        ((2, 3, 56, 56), Numbers(3, 2, 1)),
        ((4, 8, 9), Numbers(5)),
        ((1, 1, 300, 300), Numbers(2)),
        ((1, 1, 100, 100), Numbers(3, 1, 1)),
        ((2, 1, 3), Numbers((1, 3), 1)),
        ((2, 1, 4), Numbers((1, 3), 2)),
    ],
    ids=str,
)
def test_shapes_of_each_kind(shape, numbers):
    p, axes = pooling("f32", shape, numbers)
    check_max(p, axes, 1, False)
    check_max(p, axes, 2, True)
    check_mean(p, axes, 3, Mean(None, True))


def test_what_is_unusual_is_left_alone():
    large, _ = pooling("f32", (1, 1, 20, 20), Numbers(6))
    high, _ = pooling("f32", (1, 1, 400, 400), Numbers(3, 1))
    assert not large.fits and high.fits and not high.spreads
    assert not high._replace(lead=(0, 1)).fits


@pytest.mark.parametrize("name", ["x86-64-v2", "aarch64-neon"])
def test_other_processors(name):
    p, _ = pooling("f32", (2, 3, 13, 13), Numbers(3, 2, 1))
    on, store = target.named(name), plain_store((2, 3, 13, 13))
    mean = Mean(None, False)
    for written in (
        max_forward(p, on, store), max_backward(p, on, store),
        mean_forward(p, mean, on, store), mean_backward(p, mean, on, store),
    ):  # fmt: skip
        assert jit.compile_object(text_of(written[0]), on)
