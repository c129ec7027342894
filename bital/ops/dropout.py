"""Dropout: elements, channels, and the forms that keep mean and variance.

Room: ops. What is kept is drawn when the operation is recorded, by the default stream's
`bernoulli` and in the order of memory, as PyTorch's CPU kernels draw it; in a trace it is an input,
so dropout is one product.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from bital.base.dtype import INT, default
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import given
from bital.ops.api import check_tensor, public
from bital.ops.create import constant, in_layout_of
from bital.ops.lanes import noise_meta, per_example
from bital.ops.random import stream_of
from bital.tensor.tensor import Tensor, wrap

#: -scale * alpha of SELU, the value that a dropped unit takes in alpha dropout
_ALPHA = 1.7580993408473766


def _drawn(meta: Meta, keep: float) -> Any:
    """An array of ones with probability `keep`, and zeros."""
    noise = noise_meta(meta)
    return stream_of(None).bernoulli(noise.numel, noise.np, keep).reshape(noise.shape)


def _noise_meta(input: Tensor, features: bool) -> Meta:
    """What is drawn for: every element, or every channel of every sample."""
    meta = input._meta
    if not features:
        return meta
    if meta.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return meta_of((*meta.shape[:2], *[1] * (meta.ndim - 2)), meta.dtype, meta.device)


def _tensor(array: Any, meta: Meta, input: Tensor) -> Tensor:
    noise = noise_meta(meta)
    made = per_example(wrap(given(noise, array), noise))
    return in_layout_of(input, made, None) if meta is input._meta else made


def _check_floats(meta: Meta) -> None:
    if meta.dtype.category <= INT:
        raise RuntimeError(
            f"result type {default.dtype.legacy_name} can't be cast to the desired output type "
            f"{meta.dtype.legacy_name}"
        )


def _dropped(
    input: Any, p: float, train: bool, inplace: bool, features: bool = False, alpha: bool = False
) -> Any:
    """What all forms of dropout do; `inplace` writes the result into `input`."""
    if p == 0 or not train or not input._meta.numel:
        return input
    if p == 1:
        none = constant(meta_of((), input._meta.dtype, input._meta.device), 0)
        return input.mul_(none) if inplace else input * none
    meta = _noise_meta(input, features)
    _check_floats(meta)
    drawn = _drawn(meta, 1 - p)
    if not alpha:
        drawn /= drawn.dtype.type(1 - p)
        noise = _tensor(drawn, meta, input)
        return input.mul_(noise) if inplace else input * noise
    a = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    shift = (drawn - 1) * drawn.dtype.type(_ALPHA * a) + drawn.dtype.type(_ALPHA * a * p)
    scale = _tensor(drawn * drawn.dtype.type(a), meta, input)
    offset = _tensor(shift.astype(meta.np, copy=False), meta, input)
    return input.mul_(scale).add_(offset) if inplace else input * scale + offset


def _spell(name: str, doc: str, features: bool, alpha: bool) -> None:
    """The plain functions torch.name(input, p, train) and torch.name_(input, p, train)."""

    def spelled(inplace: bool) -> Callable:
        def fn(input: Tensor, p: float, train: bool) -> Tensor:
            check_tensor(input, name)
            if not 0 <= p <= 1:
                raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
            return _dropped(input, p, train, inplace, features, alpha)

        fn.__doc__ = doc + (" In place." if inplace else "")
        return fn

    public(method=False, name=name)(spelled(False))
    public(method=False, name=f"{name}_")(spelled(True))


_spell("dropout", "Zeros with probability p, the rest divided by 1 - p.", False, False)
_spell("feature_dropout", "Dropout of whole channels of (N, C, *).", True, False)
_spell("alpha_dropout", "Dropout that keeps mean and variance of a normal input.", False, True)
_spell("feature_alpha_dropout", "Alpha dropout of whole channels of (N, C, *).", True, True)


def _check(input: Any, p: float, fn: str = "dropout") -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not isinstance(input, Tensor):
        check_tensor(input, fn)


@public("nn.functional", method=False, name="dropout")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zero with probability p and else divided by 1 - p, where `training`."""
    _check(input, p)
    return _dropped(input, p, training, inplace)


@public("nn.functional", method=False, name="alpha_dropout")
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout to SELU's lower bound, scaled so that mean 0 and variance 1 stay."""
    _check(input, p, "alpha_dropout")
    return _dropped(input, p, training, inplace, alpha=True)


@public("nn.functional", method=False, name="feature_alpha_dropout")
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels of (N, C, *)."""
    _check(input, p, "feature_alpha_dropout")
    return _dropped(input, p, training, inplace, True, True)


def _with_batch(input: Any, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Channel dropout of an input that may lack its batch axis."""
    if batched:
        return _dropped(input, p, training, inplace, True)
    if inplace:
        return _dropped(input.unsqueeze_(0), p, training, True, True).squeeze_(0)
    return _dropped(input.unsqueeze(0), p, training, False, True).squeeze(0)


@public("nn.functional", method=False)
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    _check(input, p)
    n = input._meta.ndim
    if n not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {n}D input. Note that dropout1d "
            "exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel "
            "dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _with_batch(input, p, training, inplace, n == 3)


def _warn_rank(fn: str, n: int, axes: int) -> None:
    warnings.warn(
        f"{fn}: Received a {n}-D input to {fn}, which is deprecated and will result in an error in "
        "a future release. To retain the behavior and silence this warning, please use dropout "
        f"instead. Note that {fn} exists to provide channel-wise dropout on inputs with {axes} "
        "spatial dimensions, a channel dimension, and an optional batch dimension (i.e. "
        f"{axes + 1}D or {axes + 2}D inputs).",
        UserWarning,
        stacklevel=3,
    )


@public("nn.functional", method=False)
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, H, W)."""
    _check(input, p)
    n = input._meta.ndim
    if n not in (3, 4):
        _warn_rank("dropout2d", n, 2)
    if n == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            UserWarning,
            stacklevel=2,
        )
    return _dropped(input, p, training, inplace, True)


@public("nn.functional", method=False)
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check(input, p)
    n = input._meta.ndim
    if n not in (4, 5):
        _warn_rank("dropout3d", n, 3)
    return _with_batch(input, p, training, inplace, n == 5)
