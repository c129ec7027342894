"""torch.fft, stft and the windows: NumPy's and SciPy's numbers, and gradients by differences."""

import numpy as np
import pytest

from tests.both import same

ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY = ("fftn", "ifftn", "rfftn", "irfftn")
NORMS = (None, "backward", "ortho", "forward")
WINDOWS = (
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "hamming", "hann", "kaiser",
    "nuttall",
)  # fmt: skip
OF_REAL = ("rfft", "ihfft", "rfftn", "rfft2", "ihfft2", "ihfftn")


def given(name, shape=(3, 4), seed=0):
    """Numbers that `name` takes: real ones, or complex ones."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x if name in OF_REAL else x + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ONE)
def test_one_axis(torch, name, norm):
    x = given(name)
    for n in (None, 3, 6):
        for dim in (0, -1):
            ours = getattr(torch.fft, name)(torch.from_numpy(x), n, dim, norm).resolve_conj()
            assert np.allclose(ours.numpy(), getattr(np.fft, name)(x, n, dim, norm))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", MANY)
def test_several_axes(torch, name, norm):
    x = given(name, (2, 3, 4))
    for s, dim in ((None, None), ((3, 5), (0, 2)), ((2, 4), (1, 2))):
        ours = getattr(torch.fft, name)(torch.from_numpy(x), s, dim, norm)
        assert np.allclose(ours.numpy(), getattr(np.fft, name)(x, s, dim, norm=norm))


@pytest.mark.parametrize("n", [None, 3, 7])
@pytest.mark.parametrize("name", ONE)
def test_gradients(torch, name, n):
    x = torch.from_numpy(given(name)).requires_grad_()

    def fn(x):
        return getattr(torch.fft, name)(x, n, norm="ortho")

    assert torch.autograd.gradcheck(fn, (x,))
    assert torch.autograd.gradgradcheck(fn, (x,))


@pytest.mark.parametrize("name", ["rfft2", "irfft2", "hfft2", "ihfft2", "fftn"])
def test_gradients_over_two_axes(torch, name):
    x = torch.from_numpy(given(name, (3, 4))).requires_grad_()
    assert torch.autograd.gradcheck(getattr(torch.fft, name), (x,))


def test_precision_is_kept(torch):
    assert torch.fft.fft(torch.ones(4)).dtype is torch.complex64
    assert torch.fft.irfft(torch.ones(4, dtype=torch.complex128)).dtype is torch.float64
    assert torch.fft.rfft(torch.ones(4, dtype=torch.int32)).dtype is torch.complex64


def test_hermitian_transforms_of_several_axes_are_inverses(torch):
    x = torch.from_numpy(given("rfft", (3, 4)))
    back = torch.fft.hfftn(torch.fft.ihfftn(x), s=(3, 4))
    assert np.allclose(back.numpy(), x.numpy())
    back = torch.fft.hfft2(torch.fft.ihfft2(x, norm="ortho"), s=(3, 4), norm="ortho")
    assert np.allclose(back.numpy(), x.numpy())


def test_frequencies(torch):
    for n in (1, 4, 5):
        assert np.allclose(torch.fft.fftfreq(n, 0.5).numpy(), np.fft.fftfreq(n, 0.5))
        assert np.allclose(torch.fft.rfftfreq(n, 2.0).numpy(), np.fft.rfftfreq(n, 2.0))
        x = np.arange(n * 4.0).reshape(n, 4)
        for name in ("fftshift", "ifftshift"):
            ours = getattr(torch.fft, name)
            theirs = getattr(np.fft, name)
            assert np.array_equal(ours(torch.from_numpy(x)).numpy(), theirs(x))
            assert np.array_equal(ours(torch.from_numpy(x), dim=0).numpy(), theirs(x, 0))


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("size", [8, 6])
def test_a_signal_comes_back_from_its_windows(torch, size, center):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 40)))
    window = torch.hamming_window(size, dtype=torch.float64)
    options = {"hop_length": 2, "win_length": size, "window": window, "center": center}
    spectra = torch.stft(x, 8, return_complex=True, **options)
    assert tuple(spectra.shape) == (2, 5, 21 if center else 17)
    if center or size == 8:
        back = torch.istft(spectra, 8, length=40 if center else None, **options)
        assert np.allclose(back.numpy(), x.numpy()[:, : back.shape[1]])


def test_a_frame_is_the_transform_of_what_the_window_leaves(torch):
    x = np.random.default_rng(0).standard_normal(20)
    window = np.hanning(8)
    spectra = torch.stft(
        torch.from_numpy(x), 8, 3, window=torch.from_numpy(window), center=False,
        return_complex=True,
    )  # fmt: skip
    assert np.allclose(spectra[:, 2].numpy(), np.fft.rfft(x[6:14] * window))


def test_gradients_of_short_time_transforms(torch):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(12)).requires_grad_()
    window = torch.from_numpy(np.hamming(4)).requires_grad_()

    def there(x, w):
        return torch.stft(x, 4, 2, window=w, return_complex=True)

    def back(x, w):
        return torch.istft(there(x, w), 4, 2, window=w * 2, length=12)

    assert torch.autograd.gradcheck(there, (x, window))
    assert torch.autograd.gradcheck(back, (x, window))


def test_half_precision_is_refused(torch):
    with pytest.raises(RuntimeError, match="type: Half"):
        torch.stft(torch.ones(20).half(), 8, return_complex=True)


def test_windows_that_leave_a_gap_are_refused(torch):
    spectra = torch.ones(5, 3, dtype=torch.complex64)
    with pytest.raises(RuntimeError, match="window overlap add min"):
        torch.istft(spectra, 8, window=torch.zeros(8)).tolist()


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(torch, name, sym):
    from scipy.signal import windows

    options = {"gaussian": (1.0,), "kaiser": (12.0,)}.get(name, ())
    for m in (0, 1, 2, 7, 8):
        ours = getattr(torch.signal.windows, name)(m, sym=sym, dtype=torch.float64)
        assert np.allclose(ours.numpy(), getattr(windows, name)(m, *options, sym=sym))


PROGRAMS = {
    "half precision": lambda T: T.fft.fft(T.ones(3).half()),
    "no points": lambda T: T.fft.fft(T.ones(3), n=0),
    "unknown norm": lambda T: T.fft.rfft(T.ones(3), norm="unitary"),
    "complex input": lambda T: T.fft.rfft(T.ones(3) + 0j),
    "axis twice": lambda T: T.fft.fftn(T.ones(3, 3), dim=(0, 0)),
    "sizes without axes": lambda T: T.fft.fftn(T.ones(3, 3), s=(2,), dim=(0, 1)),
    "no axis": lambda T: T.fft.rfftn(T.ones(3, 3), dim=()),
    "axis of a scalar": lambda T: T.fft.fft(T.tensor(1.0)),
    "integer frequencies": lambda T: T.fft.fftfreq(3, dtype=T.int64),
    "onesided of complex": lambda T: T.stft(T.ones(20) + 0j, 8, onesided=True),
    "not complex": lambda T: T.istft(T.ones(5, 3), 8),
    "real or complex": lambda T: T.stft(T.ones(20), 8),
    "window length": lambda T: T.signal.windows.hann(-1),
    "window dtype": lambda T: T.signal.windows.hann(3, dtype=T.float16),
    "window deviation": lambda T: T.signal.windows.gaussian(3, std=-1),
    "no weights": lambda T: T.signal.windows.general_cosine(3, a=[]),
    "nodes": lambda T: [
        type(f(T.ones(4, requires_grad=True)).grad_fn).__name__
        for f in (T.fft.fft, T.fft.ifft, T.fft.rfft, T.fft.irfft, T.fft.ihfft, T.fft.fft2)[:5]
    ],
    "stft": lambda T: T.stft(
        T.arange(30.0).sin(), 8, 3, 6, T.hann_window(6), normalized=True, return_complex=True
    ),
    "stft aligned": lambda T: T.stft(
        T.arange(30.0).sin(), 8, 3, 5, T.hann_window(5), center=False, align_to_window=True,
        return_complex=True,
    ),
    "istft": lambda T: T.istft(
        T.arange(15.0).reshape(5, 3) + 1j, 8, 2, window=T.hamming_window(8), length=20
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_pytorch(torch, oracle, name):
    same(PROGRAMS[name], torch, oracle)
