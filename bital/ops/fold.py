"""unfold and fold: windows of images as columns, and columns added up to images.

Room: ops. Each is the other's gradient.
"""

from __future__ import annotations

from math import prod
from typing import Any

from bital.base.dtype import INT
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import check_tensor, public, type_error
from bital.ops.convolve import Ints, Taps, inside, padded
from bital.ops.family import check_dtype
from bital.ops.reduce import widened
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _pair(value: Any, fn: str, name: str, position: int) -> Ints:
    """Two ints from one or two; PyTorch's errors for anything else."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if not all(hasattr(n, "__index__") for n in values):
        raise type_error(fn, name, position, value, "tuple of ints")
    numbers = tuple([n.__index__() for n in values])
    if len(numbers) == 1:
        return numbers * 2
    if len(numbers) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(numbers)}")
    return numbers


def _check_taps(taps: Taps) -> None:
    for name, given in (
        ("kernel size", taps.kernel), ("dilation", taps.dilation), ("stride", taps.stride),
    ):  # fmt: skip
        if min(given) <= 0:
            raise RuntimeError(f"{name} should be greater than zero, but got {list(given)}")
    if min(taps.padding) < 0:
        raise RuntimeError(f"padding should be non-negative, but got {list(taps.padding)}")


def _numbers(taps: Taps) -> str:
    return (
        f"kernel_size={taps.kernel}, dilation={taps.dilation}, padding={taps.padding}, "
        f"stride={taps.stride}"
    )


def _unfold_rule(x: Meta, taps: Taps) -> tuple[Meta, dict]:
    _check_taps(taps)
    if x.ndim not in (3, 4) or not all(x.shape[x.ndim - 3 :]):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(x.shape)}"
        )
    size = tuple(x.shape[-2:])
    out = taps.out_size(size)
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {size}, {_numbers(taps)}, calculated shape of the "
            f"array of sliding blocks as {out}, but its components must be at least one."
        )
    check_dtype(x.dtype, (INT,), "im2col_out_cpu")
    shape = (*x.shape[:-3], x.shape[-3] * prod(taps.kernel), prod(out))
    return like(x, shape), {"taps": taps, "out": out, "size": size}


def _unfold(xp: Any, x: Any, *, taps: Taps, out: Ints, size: Ints) -> Any:
    batch = x if x.ndim == 4 else x[None]
    n, c = batch.shape[:2]
    whole = xp.moveaxis(padded(xp, batch, taps.padding), -1, 0)
    columns = xp.empty((n, c, *taps.kernel, *out), x.dtype)
    for tap in taps.all():
        columns[(slice(None), slice(None), *tap)] = whole[(..., *taps.slices(tap, out))]
    return columns.reshape(*x.shape[:-3], c * prod(taps.kernel), prod(out))


def _fold_rule(x: Meta, size: Ints, taps: Taps) -> tuple[Meta, dict]:
    _check_taps(taps)
    if x.ndim not in (2, 3) or not all(x.shape[x.ndim - 2 :]):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(x.shape)}"
        )
    taken = prod(taps.kernel)
    if x.shape[-2] % taken:
        raise RuntimeError(
            f"Expected size of input's dimension {x.ndim - 2} to be divisible by the product of "
            f"kernel_size, but got input.size({x.ndim - 2})={x.shape[-2]} and "
            f"kernel_size={taps.kernel}."
        )
    out = taps.out_size(size)
    if prod(out) != x.shape[-1] or min(out) < 1:
        raise RuntimeError(
            f"Given output_size={size}, {_numbers(taps)}, expected size of input's dimension "
            f"{x.ndim - 1} to match the calculated number of sliding blocks {out[0]} * {out[1]} = "
            f"{prod(out)}, but got input.size({x.ndim - 1})={x.shape[-1]}."
        )
    check_dtype(x.dtype, (INT,), "col2im_out_cpu")
    shape = (*x.shape[:-2], x.shape[-2] // taken, *size)
    return like(x, shape), {"taps": taps, "out": out, "size": size}


def _fold(xp: Any, x: Any, *, taps: Taps, out: Ints, size: Ints) -> Any:
    channels = x.shape[-2] // prod(taps.kernel)
    columns = widened(x).reshape(*x.shape[:-2], channels, *taps.kernel, *out)
    lead = columns.shape[:-4]
    whole = xp.zeros((*lead, *[s + 2 * p for s, p in zip(size, taps.padding)]), columns.dtype)
    for a, b in taps.all():
        whole[(..., *taps.slices((a, b), out))] += columns[..., a, b, :, :]
    return xp.ascontiguousarray(whole[(..., *inside(size, taps.padding))]).astype(
        x.dtype, copy=False
    )


_UNFOLD = Op(
    "im2col",
    _unfold_rule,
    _unfold,
    vjp=(lambda g, taps, size: apply(_FOLD, (g,), (size, taps)),),
    grad_fn="Im2ColBackward0",
)
_FOLD = Op(
    "col2im",
    _fold_rule,
    _fold,
    vjp=(lambda g, taps: apply(_UNFOLD, (g,), (taps,)),),
    grad_fn="Col2ImBackward0",
)


def _taps(fn: str, first: int, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Taps:
    k, d, p, s = (
        _pair(value, fn, name, first + i)
        for i, (name, value) in enumerate(
            (
                ("kernel_size", kernel), ("dilation", dilation), ("padding", padding),
                ("stride", stride),
            )
        )
    )  # fmt: skip
    return Taps(k, s, p, d)


@public("nn.functional", method=False)
def unfold(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The windows of (N, C, H, W), the batch optional, as columns: (N, C * taps, windows)."""
    taps = _taps("im2col", 2, kernel_size, dilation, padding, stride)
    return apply(_UNFOLD, (check_tensor(input, "im2col"),), (taps,))


@public("nn.functional", method=False)
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Tensor:  # fmt: skip
    """Columns as `unfold` makes them, added up to (N, C, *output_size) where windows overlap."""
    size = _pair(output_size, "col2im", "output_size", 2)
    taps = _taps("col2im", 3, kernel_size, dilation, padding, stride)
    return apply(_FOLD, (check_tensor(input, "col2im"),), (size, taps))
