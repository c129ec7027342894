"""`torch.storage`: the memory under tensors, and the words for what its elements are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import dtype
from bital.base.errors import missing_attribute
from bital.ir.meta import meta_of
from bital.ir.trace import given
from bital.ops.facts import TypedStorage, UntypedStorage
from bital.tensor.storage import new_cell
from bital.tensor.tensor import Tensor


class StorageType(type):
    """The class of `torch.FloatStorage` and its like, by which files name a storage's elements."""

    dtype: dtype

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __call__(cls, data: int | Sequence[Any] = 0) -> TypedStorage:
        kind = cls.dtype.np
        array = np.zeros(data, kind) if isinstance(data, int) else np.array(data, kind)
        return TypedStorage(new_cell(given(meta_of(array.shape, cls.dtype), array)), cls.dtype)


#: "FloatStorage" -> the word for storages of float32
STORAGE_TYPES = {
    f"{d.legacy_name}Storage": StorageType(
        f"{d.legacy_name}Storage",
        (),
        {"dtype": d, "__module__": "torch", "__doc__": f"The word for storages of {d}."},
    )
    for d in dtypes.ALL
    if d not in (dtypes.uint16, dtypes.uint32, dtypes.uint64)
}

_WORDS = {t.dtype: t for t in STORAGE_TYPES.values()}


def _storage_type(self: Tensor) -> StorageType:
    """The word for the tensor's storage, such as `torch.FloatStorage`."""
    return _WORDS[self.dtype]


Tensor.storage_type = _storage_type  # type: ignore[attr-defined]

__all__ = ["TypedStorage", "UntypedStorage"]
__getattr__ = missing_attribute("torch.storage")
