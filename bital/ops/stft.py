"""Short-time Fourier transforms: of windows of a signal, and the signal back from them.

Room: ops.
"""

from __future__ import annotations

import warnings
from typing import Any

from bital.base.dtype import FLOAT, LOW_PRECISION
from bital.ir.op import Op, same_as
from bital.ops.api import check_tensor, public
from bital.ops.axes import squeeze, transpose, unsqueeze
from bital.ops.create import ones
from bital.ops.fft import c2c, c2r, r2c
from bital.ops.pad import pad as padded
from bital.ops.part import narrow, unfold
from bital.ops.view import view_as_real
from bital.ops.window import spread
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

_SPECTRAL_LEAKAGE = (
    "A window was not provided. A rectangular window will be applied,which is known to cause "
    "spectral leakage. Other windows such as torch.hann_window or torch.hamming_window are "
    "recommended to reduce spectral leakage.To suppress this warning and use a rectangular window, "
    "explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
_NO_WINDOW = (
    "A window was not provided. A rectangular window will be applied.Please provide the same "
    "window used by stft to make the inversion lossless.To suppress this warning and use a "
    "rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
_SHORT_SIGNAL = (
    "The length of signal is shorter than the length parameter. Result is being padded with zeros "
    "in the tail. Please check your center and hop_length settings."
)
_ONESIDED = "Cannot have onesided output if window or input is complex"


def _called(fn: str, t: Tensor, what: str) -> RuntimeError:
    """PyTorch's way of saying what is wrong: the call first."""
    shown = f"{fn}({t._meta.dtype.legacy_name}Tensor{list(t._meta.shape)})"
    return RuntimeError(f"{shown} : {what}")


def _centred(x: Tensor, n_fft: int, pad_mode: str) -> Tensor:
    """The signal longer by half a window at both ends."""
    shape = tuple(x._meta.shape)
    three: Any = x.view((1,) * (3 - len(shape)) + shape)  # type: ignore[attr-defined]
    three = padded(three, (n_fft // 2, n_fft // 2), pad_mode)
    return three.view(three._meta.shape[3 - len(shape) :])


def _widened(window: Tensor, n_fft: int) -> Tensor:
    """The window with zeros on both sides, as wide as the transform."""
    size = window._meta.shape[0]
    left = (n_fft - size) // 2
    return window if size == n_fft else padded(window, (left, n_fft - size - left))


def _is_complex(t: Tensor | None) -> bool:
    return t is not None and t._meta.dtype.is_complex


@public(name="stft")
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The Fourier transforms of windows of a signal, (batch, frequencies, windows).

    input (batch, time) or (time,); windows of `n_fft` elements begin every `hop_length` (a quarter
    of n_fft); `window` (win_length,) multiplies each, in its middle. `center` makes the signal
    longer at both ends, so that windows stand around their times. Only frequencies from 0 on where
    `onesided`, as real signals have it by default. Without `return_complex` a last axis holds
    real and imaginary parts.
    """
    check_tensor(input, "stft")
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if window is None:
        warnings.warn(_SPECTRAL_LEAKAGE, UserWarning, stacklevel=2)
    x = _centred(input, n_fft, pad_mode) if center and input._meta.ndim < 3 else input
    if return_complex is None:
        return_complex = _is_complex(input) or _is_complex(window)
        if not return_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    _check_stft(x, n_fft, hop, size, window)
    if align_to_window:
        left = (n_fft - size) // 2
        x = padded(x, (left, n_fft - size - left))
    frames: Any = unfold(x if x._meta.ndim == 2 else unsqueeze(x, 0), -1, n_fft, hop)
    if window is not None or size < n_fft:
        d = x._meta.dtype.to_real()
        frames = frames * _widened(ones(size, dtype=d) if window is None else window, n_fft)
    norm = "ortho" if normalized else "backward"
    if _is_complex(frames):
        if onesided:
            raise RuntimeError(_ONESIDED)
        out = c2c(frames, (2,), norm, True)
    else:
        out = r2c(frames, (2,), norm, onesided is None or bool(onesided))
    out = transpose(out, 1, 2)
    out = out if x._meta.ndim == 2 else squeeze(out, 0)
    return out if return_complex else view_as_real(out)


def _check_stft(x: Tensor, n_fft: int, hop: int, size: int, window: Tensor | None) -> None:
    if x._meta.dtype.category < FLOAT:
        raise _called("stft", x, "expected a tensor of floating point or complex values")
    if x._meta.dtype in LOW_PRECISION:
        kind = x._meta.dtype.legacy_name
        raise RuntimeError(f"stft: FFT doesn't support tensors of type: {kind}")
    if x._meta.ndim not in (1, 2):
        raise _called("stft", x, "expected a 1D or 2D tensor")
    length = x._meta.shape[-1]
    if not 0 < n_fft <= length:
        raise _called("stft", x, f"expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop <= 0:
        raise _called("stft", x, f"expected hop_length > 0, but got hop_length={hop}")
    if not 0 < size <= n_fft:
        raise _called("stft", x, f"expected 0 < win_length <= n_fft, but got win_length={size}")
    if window is not None and tuple(window._meta.shape) != (size,):
        raise _called(
            "stft", x,
            f"expected a 1D window tensor of size equal to win_length={size}, but got window with "
            f"size {list(window._meta.shape)}",
        )  # fmt: skip


def _overlapping_impl(xp: Any, envelope: Any) -> Any:
    if not (abs(envelope) > 1e-11).all():
        raise RuntimeError("istft(): window overlap add min: 1: the windows leave a gap")
    return envelope


#: the sum of squared windows, which must be nowhere zero
_OVERLAPPING = Op(
    "istft_envelope", same_as, _overlapping_impl, vjp=(lambda g: g,), alias=True, fallible=True
)


def _added_up(frames: Tensor, hop: int) -> Tensor:
    """Overlapping frames (batch, frames, size), `hop` apart, added up: (batch, time)."""
    batch, count, size = frames._meta.shape
    length = size + hop * (count - 1)
    return spread(frames, (batch, length), (length, hop, 1), 0)


@public(name="istft")
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal of which `stft` is given: the windows' inverse transforms, weighted and added up.

    input (batch, frequencies, windows) or (frequencies, windows), complex. `length` cuts the
    result, or fills it up with zeros. RuntimeError where the windows leave a gap.
    """
    check_tensor(input, "istft")
    if window is None:
        warnings.warn(_NO_WINDOW, UserWarning, stacklevel=2)
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    onesided = _check_istft(input, n_fft, hop, size, window, onesided)
    if window is None:
        window = ones(size, dtype=input._meta.dtype.to_real())
    weight: Any = _widened(window, n_fft)
    batched = input if input._meta.ndim == 3 else unsqueeze(input, 0)
    spectra = transpose(batched, 1, 2)
    norm = "ortho" if normalized else "backward"
    if return_complex:
        if onesided:
            raise RuntimeError(_ONESIDED)
        frames: Any = c2c(spectra, (2,), norm, False)
    else:
        if _is_complex(window):
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
        spectra = spectra if onesided else narrow(spectra, -1, 0, n_fft // 2 + 1)
        frames = c2r(spectra, (2,), norm, n_fft)
    count = frames._meta.shape[1]
    signal = _added_up(frames * weight, hop)
    envelope = _added_up((weight * weight).expand(1, count, n_fft), hop)
    out = _trimmed(signal, envelope, n_fft // 2 if center else 0, center, length)
    return out if input._meta.ndim == 3 else squeeze(out, 0)


def _trimmed(
    signal: Tensor, envelope: Tensor, start: int, center: bool, length: int | None
) -> Tensor:
    """What was asked for of the signal, divided by the sum of the squared windows."""
    full = signal._meta.shape[1]
    end = full - start if length is None else start + length
    kept = max(min(end, full) - start, 0)
    whole = apply(_OVERLAPPING, (narrow(envelope, 1, start, kept),))
    out: Any = narrow(signal, 1, start, kept) / whole
    if end > full:
        warnings.warn(_SHORT_SIGNAL, UserWarning, stacklevel=3)
        out = padded(out, (0, end - full))
    return out


def _check_istft(
    x: Tensor, n_fft: int, hop: int, size: int, window: Tensor | None, onesided: bool | None
) -> bool:
    """Whether the spectra are halves, after all is found to fit."""
    if not x._meta.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if x._meta.ndim == 1:
        raise IndexError("Dimension out of range (expected to be in range of [-2, 1], but got -3)")
    if not x._meta.numel:
        raise _called("istft", x, "input tensor cannot be empty.")
    if x._meta.ndim not in (2, 3):
        raise _called(
            "istft", x,
            f"expected a tensor with 3 or 4 dimensions, but got {x._meta.ndim + 1}",
        )  # fmt: skip
    given = x._meta.shape[-2]
    onesided = given != n_fft if onesided is None else bool(onesided)
    if given != (n_fft // 2 + 1 if onesided else n_fft):
        raise _called(
            "istft", x,
            "expected the frequency dimension (3rd to the last) of the input tensor to match n_fft"
            f"{' / 2 + 1' if onesided else ''} when onesided={onesided}, but got {given}",
        )  # fmt: skip
    if not 0 < hop <= size:
        raise _called("istft", x, "expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        raise _called("istft", x, "expected 0 < win_length <= n_fft")
    if window is not None and tuple(window._meta.shape) != (size,):
        raise _called(
            "istft", x, "Invalid window shape. window has to be 1D and length of `win_length`"
        )
    return onesided
