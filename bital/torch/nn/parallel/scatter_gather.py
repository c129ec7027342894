"""Scattering a batch over GPUs and gathering it: there are none here, so calls are refused."""

from __future__ import annotations

from typing import Any

from bital.base.errors import Unsupported, missing_attribute

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> Any:
    """Pieces of `inputs` along `dim` on several GPUs; RuntimeError here."""
    raise Unsupported("bital computes on the CPU: there are no GPUs to scatter to")


def scatter_kwargs(inputs: Any, kwargs: Any, target_gpus: Any, dim: int = 0) -> Any:
    """`scatter` of positional and named inputs; RuntimeError here."""
    return scatter((inputs, kwargs), target_gpus, dim)


def gather(outputs: Any, target_device: Any, dim: int = 0) -> Any:
    """Outputs of several GPUs put together along `dim`; RuntimeError here."""
    raise Unsupported("bital computes on the CPU: there are no GPUs to gather from")


__getattr__ = missing_attribute("torch.nn.parallel.scatter_gather")
