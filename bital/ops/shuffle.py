"""Channels turned into places and back, and channels dealt out to groups.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import check_tensor, public, type_error
from bital.ops.family import not_implemented
from bital.tensor.dispatch import composite
from bital.tensor.tensor import Tensor


def _check(x: Meta, factor: int, fn: str, word: str) -> None:
    if x.ndim < 3:
        raise RuntimeError(
            f"{fn} expects input to have at least 3 dimensions, but got input with {x.ndim} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{fn} expects a positive {word}, but got {factor}")


def _shuffle_rule(x: Meta, r: int) -> tuple[Meta, dict]:
    _check(x, r, "pixel_shuffle", "upscale_factor")
    *lead, c, h, w = x.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    return like(x, (*lead, c // (r * r), h * r, w * r)), {"r": r}


def _unshuffle_rule(x: Meta, r: int) -> tuple[Meta, dict]:
    _check(x, r, "pixel_unshuffle", "downscale_factor")
    *lead, c, h, w = x.shape
    for word, k, n in (("height", -2, h), ("width", -1, w)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {word} to be divisible by downscale_factor, but "
                f"input.size({k})={n} is not divisible by {r}"
            )
    return like(x, (*lead, c * r * r, h // r, w // r)), {"r": r}


def _shuffled(x: Any, *, r: int) -> Any:
    *lead, c, h, w = x._meta.shape
    n = len(lead)
    parts = x.reshape(*lead, c // (r * r), r, r, h, w)
    # (c, r, r, h, w) -> (c, h, r, w, r)
    turned = parts.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return turned.reshape(*lead, c // (r * r), h * r, w * r)


def _unshuffled(x: Any, *, r: int) -> Any:
    *lead, c, h, w = x._meta.shape
    n = len(lead)
    parts = x.reshape(*lead, c, h // r, r, w // r, r)
    # (c, h, r, w, r) -> (c, r, r, h, w)
    turned = parts.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return turned.reshape(*lead, c * r * r, h // r, w // r)


_SHUFFLE = Op("pixel_shuffle", _shuffle_rule, None, vjp=(lambda g, r: pixel_unshuffle(g, r),))
_UNSHUFFLE = Op("pixel_unshuffle", _unshuffle_rule, None, vjp=(lambda g, r: pixel_shuffle(g, r),))


def _factor(value: Any, fn: str, name: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise type_error(fn, name, 2, value, "int")
    return value.__index__()


@public("torch", "nn.functional", method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) -> (*, C, H r, W r): r^2 channels become the pixels of a square."""
    r = _factor(upscale_factor, "pixel_shuffle", "upscale_factor")
    return composite(_SHUFFLE, _shuffled, (check_tensor(input, "pixel_shuffle"),), (r,))


@public("torch", "nn.functional", method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r^2, H, W), the inverse of `pixel_shuffle`."""
    r = _factor(downscale_factor, "pixel_unshuffle", "downscale_factor")
    return composite(_UNSHUFFLE, _unshuffled, (check_tensor(input, "pixel_unshuffle"),), (r,))


def _channels_rule(x: Meta, groups: int) -> tuple[Meta, dict]:
    if x.ndim <= 2:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(x.shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if x.shape[1] % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {x.shape[1]} channels and "
            f"{groups} groups."
        )
    return x, {"groups": groups}


def _dealt(x: Any, *, groups: int) -> Any:
    n, c, *rest = x._meta.shape
    return x.reshape(n, groups, c // groups, *rest).transpose(1, 2).reshape(n, c, *rest)


_CHANNELS = Op(
    "channel_shuffle",
    _channels_rule,
    None,
    vjp=(lambda g, x_shape, groups: channel_shuffle(g, x_shape[1] // groups),),
)
_NATIVE = Op(
    "native_channel_shuffle",
    _channels_rule,
    None,
    vjp=(not_implemented("native_channel_shuffle"),),
    grad_fn="NotImplemented",
)


@public("torch", "nn.functional", method=False)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, *), written in rows of C / groups, read column by column."""
    return composite(_CHANNELS, _dealt, (check_tensor(input, "channel_shuffle"),), (groups,))


@public("torch", "nn.functional", method=False)
def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle`, which PyTorch has no derivative of under this name."""
    return composite(_NATIVE, _dealt, (check_tensor(input, "native_channel_shuffle"),), (groups,))
