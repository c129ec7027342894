"""`torch.types`: words for types of arguments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Union

import bital.torch as torch

Number = Union[int, float, bool]  # noqa: UP007 (a name that programs use in annotations)
Device = Union[torch.device, str, int, None]  # noqa: UP007
FileLike = Union[str, os.PathLike, IO[bytes]]  # noqa: UP007
Storage = torch.UntypedStorage
Tensor = torch.Tensor

_int, _float, _bool, _dtype, _device = int, float, bool, torch.dtype, torch.device
_size = Union[torch.Size, list[int], tuple[int, ...]]  # noqa: UP007
_TensorOrTensors = Union[torch.Tensor, Sequence[torch.Tensor]]  # noqa: UP007
_dispatchkey = Union[str, int]  # noqa: UP007

__all__ = ["Device", "FileLike", "Number", "Storage"]
