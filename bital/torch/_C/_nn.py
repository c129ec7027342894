"""`torch._C._nn`: reading the arguments of `Module.to`, for libraries with a `to` of their own."""

from __future__ import annotations

from typing import Any

from bital.base import device as devices
from bital.base import dtype as dtypes
from bital.base.errors import missing_attribute
from bital.tensor.tensor import Tensor


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """device, dtype, non_blocking and memory format of the arguments of `Module.to`."""
    device = kwargs.pop("device", None)
    dtype = kwargs.pop("dtype", None)
    non_blocking = kwargs.pop("non_blocking", False)
    memory_format = kwargs.pop("memory_format", None)
    other = kwargs.pop("tensor", None)
    if kwargs:
        raise TypeError(f"to() received an invalid keyword argument: {next(iter(kwargs))}")
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
    elif rest and isinstance(rest[0], dtypes.dtype):
        dtype = rest.pop(0)
    elif rest:
        device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], dtypes.dtype)):
            dtype = rest.pop(0)
    if other is not None:
        device, dtype = other.device, other.dtype
    if rest:
        non_blocking = bool(rest.pop(0))
    if rest:
        rest.pop(0)  # copy, of which modules take no notice
    if device is not None:
        device = devices.device(device)
    return device, dtype, non_blocking, memory_format


__getattr__ = missing_attribute("torch._C._nn")
