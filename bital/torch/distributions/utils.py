"""What the distributions share: broadcasting parameters, probabilities and logits, lazy values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any

import bital.torch as torch

euler_constant = 0.57721566490153286060

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]


def broadcast_all(*values: Any) -> Any:
    """Tensors and numbers as tensors of one shape; numbers take the first tensor's dtype."""
    if not all(isinstance(v, (torch.Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects "
            "implementing __torch_function__."
        )
    tensors = [v for v in values if isinstance(v, torch.Tensor)]
    kind = tensors[0].dtype if tensors else torch.get_default_dtype()
    return torch.broadcast_tensors(
        *[v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=kind) for v in values]
    )


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Any:
    """Normal numbers of mean 0 and deviation 1."""
    return torch.empty(shape, dtype=dtype, device=device).normal_()


def uniform(shape: Any, like: Any) -> Any:
    """Uniform numbers from [0, 1), of the dtype of `like`."""
    return torch.rand(shape, dtype=like.dtype)


def _sum_rightmost(value: Any, count: int) -> Any:
    """The sum over the last `count` axes."""
    return value.reshape((*value.shape[: value.dim() - count], -1)).sum(-1) if count else value


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Probabilities: of the one of two outcomes, or of those along the last axis."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, -1)


def clamp_probs(probs: Any) -> Any:
    """Probabilities at least an epsilon of their dtype away from 0 and 1."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """Logarithms of odds (of the one of two outcomes), or of probabilities."""
    kept = clamp_probs(probs)
    return kept.log() - (-kept).log1p() if is_binary else kept.log()


def one_of_two(probs: Any, logits: Any) -> Any:
    """The one that is given of two ways of saying the same."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return logits if probs is None else probs


class lazy_property:
    """A property that is computed when it is first read, and then is an attribute."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return _LazyOfClass(self.wrapped)
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


class _LazyOfClass(lazy_property, property):
    """What a class shows for its lazy property: a property too, as documentation tools expect."""

    def __init__(self, wrapped: Callable) -> None:
        property.__init__(self, wrapped)


def _lower(n: int, diag: int) -> Any:
    """Where a matrix of n rows lies on or below the diagonal `diag`."""
    place = torch.arange(n)
    return place < place.view(-1, 1) + (diag + 1)


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The elements on and below a diagonal, row by row, as the last axis."""
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _lower(n, diag)]


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """The inverse of `tril_matrix_to_vec`; the other elements are 0."""
    size = vec.shape[-1]
    half = 1 + 2 * diag
    n = (-half + (half**2 + 8 * size + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {size} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    mat = vec.new_zeros((*vec.shape[:-1], round(n), round(n)))
    mat[..., _lower(round(n), diag)] = vec
    return mat
