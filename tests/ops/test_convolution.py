"""Convolutions, pooling and resampling against their definitions, without PyTorch."""

import itertools

import numpy as np
import pytest

from bital import torch
from tests.tolerance import difference, limits

F = torch.nn.functional
RNG = np.random.default_rng(0)


def close(ours, wanted):
    assert difference(ours, wanted, *limits("float64")) is None


def draw(*shape):
    return torch.tensor(RNG.standard_normal(shape), requires_grad=True)


def correlated(x, w, stride, padding, dilation, groups):
    """A convolution of (N, C, H, W), number by number."""
    n, c, h, v = x.shape
    o, each, high, wide = w.shape
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    rows = (h + 2 * padding - dilation * (high - 1) - 1) // stride + 1
    columns = (v + 2 * padding - dilation * (wide - 1) - 1) // stride + 1
    out = np.zeros((n, o, rows, columns))
    for m, i, j in itertools.product(range(o), range(rows), range(columns)):
        first = m // (o // groups) * each
        for a, b in itertools.product(range(high), range(wide)):
            at = x[:, first : first + each, i * stride + a * dilation, j * stride + b * dilation]
            out[:, m, i, j] += at @ w[m, :, a, b]
    return out


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 2, 2, 4), (1, 1, 1, 4)],
)
def test_convolution_and_its_transpose(stride, padding, dilation, groups):
    x, w = draw(2, 4, 7, 6), draw(8, 4 // groups, 3, 2)
    out = F.conv2d(x, w, None, stride, padding, dilation, groups)
    wanted = correlated(x.detach().numpy(), w.detach().numpy(), stride, padding, dilation, groups)
    close(out.detach().numpy(), wanted)
    # <conv(x), g> = <x, transposed(g)>
    g = draw(*out.shape)
    more = [
        size - ((n - 1) * stride - 2 * padding + dilation * (k - 1) + 1)
        for size, n, k in zip((7, 6), out.shape[2:], (3, 2), strict=True)
    ]
    back = F.conv_transpose2d(g, w, None, stride, padding, more, groups, dilation)
    assert (out * g).sum().item() == pytest.approx((x * back).sum().item())
    assert torch.allclose(torch.autograd.grad(out, x, g)[0], back)


@pytest.mark.parametrize("transposed", [False, True])
def test_derivatives_of_convolutions(transposed):
    fn = F.conv_transpose1d if transposed else F.conv1d
    x, w, b = draw(2, 2, 5), draw(2, 2, 3), draw(2)
    assert torch.autograd.gradcheck(lambda *t: fn(*t, stride=2, padding=1), (x, w, b))
    assert torch.autograd.gradgradcheck(lambda *t: fn(*t, stride=2, padding=1), (x, w, b))


def test_blocks_make_no_difference(monkeypatch):
    x, w = draw(2, 3, 9, 8), draw(4, 3, 3, 3)

    def results():
        out = F.conv2d(x, w, padding=1)
        return [t.detach().numpy() for t in (out, *torch.autograd.grad(out.sin().sum(), (x, w)))]

    whole = results()
    monkeypatch.setattr("bital.ops.convolve._BLOCK_BYTES", 1)
    for one, other in zip(whole, results(), strict=True):
        close(one, other)


def windows(size, kernel, stride, padding):
    for start in range(-padding, size + padding - kernel + 1, stride):
        yield [k for k in range(start, start + kernel) if 0 <= k < size]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pooling(kernel, stride, padding):
    x = draw(2, 3, 7, 6)
    array = x.detach().numpy()
    largest, index = F.max_pool2d(x, kernel, stride, padding, return_indices=True)
    mean = F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)
    rows, columns = (list(windows(n, kernel, stride, padding)) for n in (7, 6))
    for (i, a), (j, b) in itertools.product(enumerate(rows), enumerate(columns)):
        part = array[:, :, a][..., b].reshape(2, 3, -1)
        np.testing.assert_array_equal(largest[:, :, i, j].detach().numpy(), part.max(-1))
        close(mean[:, :, i, j].detach().numpy(), part.mean(-1))
    np.testing.assert_array_equal(
        np.take_along_axis(array.reshape(2, 3, -1), index.numpy().reshape(2, 3, -1), -1),
        largest.detach().numpy().reshape(2, 3, -1),
    )
    for pool in (F.max_pool2d, F.avg_pool2d):
        assert torch.autograd.gradcheck(lambda t, p=pool: p(t, kernel, stride, padding), (x,))


def test_the_first_of_equals_and_the_last_nan_win():
    x = torch.tensor([[[[1.0, 1.0, np.nan, 0.0], [1.0, 0.0, 2.0, np.nan]]]], requires_grad=True)
    F.max_pool2d(x, 2).nan_to_num().sum().backward()
    _, index = F.max_pool2d(x, 2, return_indices=True)
    assert index.flatten().tolist() == [0, 7]
    assert x.grad.flatten().tolist()[:2] == [1.0, 0.0]


@pytest.mark.parametrize("out", [1, 2, 3, 5, 8])
def test_adaptive_pooling(out):
    x = draw(2, 5)
    means, peaks = F.adaptive_avg_pool1d(x, out), F.adaptive_max_pool1d(x, out)
    for k in range(out):
        part = x[:, k * 5 // out : -(-(k + 1) * 5 // out)]
        assert torch.allclose(means[:, k], part.mean(-1))
        assert torch.equal(peaks[:, k], part.amax(-1))
    assert torch.autograd.gradcheck(lambda t: F.adaptive_avg_pool1d(t, out), (x,))


def test_unpooling_undoes_pooling():
    x = draw(1, 2, 4, 6)
    peaks, index = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(peaks, index, 2)
    assert torch.equal(F.max_pool2d(back.clamp(min=0), 2), peaks.clamp(min=0))
    with pytest.raises(RuntimeError, match="invalid max index"):
        F.max_unpool2d(peaks, index + 100, 2).tolist()


def test_fold_is_the_transpose_of_unfold():
    x = draw(2, 3, 5, 6)
    columns = F.unfold(x, (2, 3), padding=1, stride=2)
    g = draw(*columns.shape)
    back = F.fold(g, (5, 6), (2, 3), padding=1, stride=2)
    assert (columns * g).sum().item() == pytest.approx((x * back).sum().item())


@pytest.mark.parametrize("mode", ["linear", "bilinear", "bicubic", "trilinear"])
def test_a_ramp_stays_a_ramp(mode):
    axes = {"linear": 1, "trilinear": 3}.get(mode, 2)
    ramp = torch.arange(5.0, dtype=torch.float64).expand(1, 1, *[5] * axes)
    made = F.interpolate(ramp, size=[9] * axes, mode=mode, align_corners=True)
    inside = slice(2, -2) if mode == "bicubic" else slice(None)
    wanted = torch.linspace(0, 4, 9, dtype=torch.float64)[inside].expand(made[..., inside].shape)
    assert torch.allclose(made[..., inside], wanted)


@pytest.mark.parametrize("mode", ["nearest", "linear", "area"])
def test_derivatives_of_resampling(mode):
    x = draw(1, 2, 5)
    assert torch.autograd.gradcheck(lambda t: F.interpolate(t, 8, mode=mode), (x,))
    assert torch.autograd.gradgradcheck(lambda t: F.interpolate(t, 3, mode=mode), (x,))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_identity_reads_the_image(mode, aligned):
    x = draw(2, 3, 4, 5)
    theta = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=aligned)
    assert torch.allclose(F.grid_sample(x, grid, mode, align_corners=aligned), x)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_derivatives_of_grid_sample(mode, padding):
    x = draw(1, 2, 3, 4)
    grid = torch.tensor(RNG.uniform(-1.2, 1.2, (1, 2, 2, 2)), requires_grad=True)

    def read(x, grid):
        return F.grid_sample(x, grid, mode, padding, align_corners=False)

    assert torch.autograd.gradcheck(read, (x, grid))
    assert torch.autograd.gradgradcheck(read, (x, grid))


def test_shuffles_are_undone():
    x = draw(2, 8, 3, 3)
    assert torch.equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), x)
    assert torch.equal(F.channel_shuffle(F.channel_shuffle(x, 2), 4), x)
