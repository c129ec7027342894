"""Gradients measured and kept within bounds."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable
from typing import Any

import bital.torch as torch
from bital.ops.arithmetic import scale_each
from bital.ops.norms import whole_norm


def _tensors(tensors: Any) -> list:
    if isinstance(tensors, torch.Tensor):
        return [tensors]
    if not isinstance(tensors, list):
        tensors = list(tensors)
    return tensors


def _grads(parameters: Any, name: str) -> tuple[list, list]:
    """The parameters as a list, and the gradients there are."""
    is_generator = hasattr(parameters, "gi_frame")
    parameters = _tensors(parameters)
    if is_generator and not parameters:
        warnings.warn(
            f"`parameters` is an empty generator, no gradient clipping will occur in {name}.",
            stacklevel=3,
        )
    return parameters, [g for p in parameters if (g := p.grad) is not None]


def get_total_norm(
    tensors: Any,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """The norm of all tensors taken as one vector, as a 0-d tensor.

    Raises RuntimeError where it is not finite and `error_if_nonfinite`. `foreach` is accepted.
    """
    tensors = _tensors(tensors)
    norm_type = float(norm_type)
    if len(tensors) == 0:
        return torch.tensor(0.0)
    norms = [
        whole_norm(t, norm_type) if t.__class__ is torch.Tensor
        else torch.linalg.vector_norm(t, norm_type)
        for t in tensors
    ]  # fmt: skip
    total_norm: Any = torch.linalg.vector_norm(torch.stack(norms), norm_type)
    if error_if_nonfinite and torch.logical_or(total_norm.isnan(), total_norm.isinf()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total_norm


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale the gradients by max_norm / (total_norm + 1e-6) where that is below one."""
    _scale(_grads(parameters, "clip_grads_with_norm_")[1], max_norm, total_norm)


def _scale(grads: list, max_norm: float, total_norm: Any) -> None:
    if not grads:
        return
    with torch.no_grad():
        # multiplying by one where nothing is to be clipped avoids looking at the norm
        factor = torch.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
        scale_each(grads, factor)


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale the gradients in place so that their total norm is at most `max_norm`; returns it."""
    _, grads = _grads(parameters, "clip_grad_norm_")
    with torch.no_grad():
        total_norm = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    _scale(grads, max_norm, total_norm)
    return total_norm


def clip_grad_value_(
    parameters: Any | Iterable[Any], clip_value: float, foreach: bool | None = None
) -> None:
    """Keep every element of the gradients between -clip_value and clip_value, in place."""
    clip_value = float(clip_value)
    with torch.no_grad():
        for grad in [p.grad for p in _tensors(parameters) if p.grad is not None]:
            grad.clamp_(min=-clip_value, max=clip_value)


@functools.wraps(clip_grad_norm_)
def clip_grad_norm(*args: Any, **kwargs: Any) -> Any:
    """An older name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)
