"""Long sums compiled: no chain of additions is so long that digits are lost."""

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

from bital.base import config
from bital.codegen import kernel
from bital.runtime.executor import cache

#: of the largest result: some units in the last place (float32)
LIMIT = 6e-7


def random(*shape):
    """Numbers of one sign, of which errors add up rather than cancel."""
    return np.random.default_rng(0).random(shape, np.float32)


def compiled(torch, function, *arrays):
    """What a function of tensors gives when it is compiled."""
    cache.plans.clear()
    with config.override(compile="always"):
        return function(torch, *map(torch.from_numpy, arrays)).numpy()


def gap(got, exact):
    return np.abs(got - exact).max() / np.abs(exact).max()


SUMS = {
    "columns": ((20_000, 3), 0),
    "many columns": ((4_000, 300), 0),
    "rows": ((3, 300_000), 1),
    "middle": ((3, 70_000, 5), 1),
    "around the middle": ((3_000, 4, 30), (0, 2)),
    "planes of images": ((300, 2, 20, 21), (0, 2, 3)),
    "all": ((1_000_003,), 0),
}


@pytest.mark.parametrize("shape, axes", SUMS.values(), ids=SUMS)
@pytest.mark.parametrize("chunks", [False, True], ids=["whole", "in chunks"])
def test_sums(torch, monkeypatch, shape, axes, chunks):
    if not chunks:
        monkeypatch.setattr(kernel, "_MOST_CHUNKS", 1)
    x = random(*shape)
    exact = x.astype(np.float64).sum(axes)
    assert gap(compiled(torch, lambda torch, x: x.sum(axes), x), exact) < LIMIT
    transposed = np.asfortranarray(x)
    assert gap(compiled(torch, lambda torch, x: x.sum(axes), transposed), exact) < LIMIT


def test_several_reductions_at_once(torch):
    x = random(9_000, 40)

    def function(torch, x):
        return torch.stack([x.sum(0), x.amax(0), (2 * x).sum(0), x.amin(0)])

    exact = x.astype(np.float64).sum(0)
    found = compiled(torch, function, x)
    assert gap(found[0], exact) < LIMIT and gap(found[2], 2 * exact) < LIMIT
    assert (found[1] == x.max(0)).all() and (found[3] == x.min(0)).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_variances(torch, axis):
    x = 10 + random(*((40_000, 5) if axis == 0 else (5, 40_000)))
    exact = x.astype(np.float64).var(axis, ddof=1)
    assert gap(compiled(torch, lambda torch, x: x.var(axis), x), exact) < LIMIT


PRODUCTS = {
    "both along k": (lambda torch, x, y: x.T @ y.T, (50_000, 9), (7, 50_000)),
    "few": (lambda torch, x, y: x @ y.T, (4, 400_000), (4, 400_000)),
    "matrix and vector": (lambda torch, x, y: x @ y, (5, 100_000), (100_000,)),
    "vector along rows": (lambda torch, x, y: y @ x, (100_000, 5), (100_000,)),
    "sweep": (lambda torch, x, y: (x @ y) @ x, (70_000, 130), (130,)),
    "dot": (lambda torch, x, y: x @ y, (300_000,), (300_000,)),
}


@pytest.mark.parametrize("function, first, second", PRODUCTS.values(), ids=PRODUCTS)
def test_products(torch, function, first, second):
    arrays = [random(*first), random(*second)]
    exact = function(None, *(a.astype(np.float64) for a in arrays))
    assert gap(compiled(torch, function, *arrays), exact) < 2 * LIMIT


def test_convolutions(torch):
    x, w = random(1, 2_000, 5, 5), random(3, 2_000, 3, 3)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (3, 3), (2, 3))
    exact = np.einsum("bcijkl,ockl->boij", windows, w)
    found = compiled(torch, lambda torch, x, w: torch.nn.functional.conv2d(x, w), x, w)
    assert gap(found, exact) < LIMIT
