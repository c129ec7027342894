"""Writing objects as PyTorch's files have them: a pickle that names PyTorch's own functions.

Tensors go into the pickle as windows on numbered storages; whoever writes the file takes the
storages from `TorchPickler.storages`.
"""

from __future__ import annotations

import collections
import io
import pickle
import types
from collections.abc import Hashable
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.device import device
from bital.base.dtype import dtype
from bital.base.layout import layout, memory_format
from bital.base.size import Size
from bital.ir.trace import ready
from bital.ops.facts import TypedStorage, UntypedStorage
from bital.ops.return_types import Named
from bital.ops.sparse import SparseTensor
from bital.tensor.storage import Storage
from bital.tensor.tensor import Tensor, strides_of
from bital.torch import _rebuild as rebuild
from bital.torch.nn.parameter import Parameter
from bital.torch.storage import _WORDS as _TYPE_OF

#: types that PyTorch's own storages have no word for
_WORDLESS = (dtypes.uint16, dtypes.uint32, dtypes.uint64)


class _Memory:
    """A storage as the pickle names it: with the dtype of its elements, None for bytes."""

    __slots__ = ("storage", "dtype")

    def __init__(self, storage: Storage, d: dtype | None) -> None:
        self.storage, self.dtype = storage, d


_Pickler: Any = pickle._Pickler  # type: ignore[attr-defined]  # the C one looks names up


class TorchPickler(_Pickler):
    """A pickler of tensors, modules and containers; `storages` lists the memory they stand on."""

    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.storages: list[Storage] = []
        self._numbers: dict[int, tuple[str, dtype | None]] = {}

    def persistent_id(self, obj: Any) -> Any:
        """What stands for a storage: ("storage", type, key, device, number of elements)."""
        kind = type(obj)
        if kind is _Memory:
            storage, d = obj.storage, obj.dtype
        elif isinstance(obj, UntypedStorage):
            storage, d = obj._storage, obj.dtype if isinstance(obj, TypedStorage) else None
        else:
            return None
        key, first = self._numbers.setdefault(id(storage), (str(len(self.storages)), d))
        if int(key) == len(self.storages):
            self.storages.append(storage)
        if first is not d and None not in (first, d):
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different "
                "types"
            )
        size = storage.value.meta.nbytes
        if d is None:
            return "storage", UntypedStorage, key, "cpu", size
        return "storage", _TYPE_OF[d], key, "cpu", size // d.itemsize

    def reducer_override(self, obj: Any) -> Any:
        """How objects of PyTorch's own are written; NotImplemented for all others."""
        kind = type(obj)
        if isinstance(obj, Tensor):
            own = kind.__reduce_ex__ in (Tensor.__reduce_ex__, Parameter.__reduce_ex__)
            return _reduce_tensor(obj) if own else NotImplemented
        if kind is Size:
            return Size, (tuple(obj),)
        if kind is device:
            return device, (obj.type,) if obj.index is None else (obj.type, obj.index)
        if kind is layout:
            return rebuild._layout, (repr(obj),)
        if kind is dtype or kind is memory_format:
            return rebuild.NAMES[obj][1]
        if isinstance(obj, Named):
            return kind, (tuple(obj), {})
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write a function's or class's name, the one it has in PyTorch."""
        known = rebuild.NAMES.get(obj) if isinstance(obj, Hashable) else None
        if known is None:
            name = name or getattr(obj, "__qualname__", obj.__name__)
            known = (getattr(obj, "__module__", None) or "").removeprefix("bital."), name
        module, name = known
        if module.partition(".")[0] != "torch" or "." in name:
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    # the base class looks up its own method for functions by their type
    dispatch = {**_Pickler.dispatch, types.FunctionType: save_global}


def _reduce_tensor(t: Tensor) -> tuple:
    """How a tensor is made again."""
    if isinstance(t, SparseTensor):
        sparse: tuple = (t._indices(), t._values(), t.size(), t.is_coalesced())
        if t.is_sparse_csr:
            sparse = (t.crow_indices(), t.col_indices(), t._values(), t.size())
        return rebuild.rebuild_sparse_tensor, (t.layout, sparse)
    kind, state = type(t), t.__dict__ or None
    if kind is Parameter:
        args: tuple = (_plain(t.detach()), t.requires_grad, collections.OrderedDict())
        if state:
            return rebuild.rebuild_parameter_with_state, (*args, state)
        return rebuild.rebuild_parameter, args
    make, parts = _reduce_plain(t)
    if kind is Tensor and not state:
        return make, parts
    return rebuild.rebuild_from_type, (make, kind, parts, state)


def _plain(t: Tensor) -> Tensor:
    return t if type(t) is Tensor else t.as_subclass(Tensor)


def _reduce_plain(t: Tensor) -> tuple:
    d = t._meta.dtype
    memory = _Memory(t._storage.shown, None if d in _WORDLESS else d)
    parts: tuple = (
        memory, t.storage_offset(), tuple(t._meta.shape), tuple(strides_of(t)), t.requires_grad,
        collections.OrderedDict(),
    )  # fmt: skip
    if d in _WORDLESS:
        return rebuild.rebuild_tensor_v3, (*parts, d)
    return rebuild.rebuild_tensor_v2, parts


def memory_of(storage: Storage) -> Any:
    """A storage's bytes as they are now."""
    array = np.ascontiguousarray(ready(storage.value))
    return array.reshape(-1).view(np.uint8)
