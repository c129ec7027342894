"""Changing which memory a tensor looks at: resize_, set_, and questions about it.

Room: ops. Nothing here is differentiable.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from sys import getrefcount
from typing import Any

import numpy as np

from bital.base.errors import Unsupported
from bital.base.layout import preserve_format
from bital.ir.meta import meta_of
from bital.ir.trace import given
from bital.ops.api import check_tensor, method, public
from bital.ops.part import check_in_storage
from bital.ops.view import Ints, format_strides, ints
from bital.tensor.storage import Storage, flat_buffer, new_cell, view_at
from bital.tensor.tensor import Tensor, edge_of, strides_of


@method
def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape in place; memory grows where it must, the new elements being zero."""
    if edge_of(self) is not None:
        raise RuntimeError("cannot resize variables that require grad")
    shape = ints("resize_", "size", 1, sizes)
    for n in shape:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(shape)}"
            )
    if shape == self._meta.shape and memory_format is None:
        return self
    meta = meta_of(shape, self._meta.dtype, self._meta.device)
    offset, old = self.storage_offset(), self._view
    strides = format_strides(shape, memory_format) or meta.strides
    if offset + meta.numel > self._storage.value.meta.nbytes // meta.dtype.itemsize:
        _grow(self, offset + meta.numel)
    self._storage.version += 1
    self._meta, self._view = meta, view_at(offset, strides)
    if old is not None:
        self._view.base, self._view.version, self._view.made = old.base, old.version, old.made
    return self


def _grow(t: Tensor, count: int) -> None:
    """Make t's memory hold `count` elements, the new ones zero, for all tensors that look at it.

    Those without a View take what is in memory for theirs, so they are looked up and given one.
    """
    storage, meta = t._storage.memory, t._meta
    old = flat_buffer(storage).reshape(-1).view(np.uint8)
    if storage.value.shared and storage.value.buf.base is not None:
        raise RuntimeError("Trying to resize storage that is not resizable")
    buf = np.zeros(count, meta.np)
    buf.view(np.uint8)[: old.size] = old
    if t._storage is not storage or getrefcount(storage) > _OWN_REFERENCES:
        for each in _tensors_on(storage):
            each._view = each._view or view_at(0, each._meta.strides)
    storage.value = given(meta_of((count,), meta.dtype, meta.device), buf)


_OWN_REFERENCES = 3  # the tensor's, the local variable's, the argument's


def _tensors_on(storage: Storage) -> Iterator[Tensor]:
    """The tensors whose elements lie in a cell, or are seen in it through other cells."""
    if gc.get_freeze_count():
        raise Unsupported("bital cannot resize memory that several tensors share after gc.freeze()")
    for holder in gc.get_referrers(storage):
        if isinstance(holder, Tensor):
            yield holder
        elif isinstance(holder, Storage):
            yield from _tensors_on(holder)


@public(name="resize_as_")
def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    template = check_tensor(the_template, "resize_as_", "the_template")
    if memory_format is preserve_format:
        memory_format = None
    return resize_(self, template._meta.shape, memory_format=memory_format)


@method
def set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Tensor:
    """Look at the memory of `source`, as `source` does or through the window that is given."""
    if source is None:
        meta = meta_of((0,), self._meta.dtype, self._meta.device)
        self._storage = new_cell(given(meta, np.empty(0, meta.np)))
        self._meta, self._view = meta, None
        return self
    check_tensor(source, "set_", "source")
    if source._meta.dtype is not self._meta.dtype:
        raise RuntimeError(
            f"Could not set tensor of type {source._meta.dtype.legacy_name} to a tensor of type "
            f"{self._meta.dtype.legacy_name}"
        )
    if size is None:
        meta, strides, offset = source._meta, strides_of(source), source.storage_offset()
    else:
        shape: Ints = tuple(size)
        meta = meta_of(shape, self._meta.dtype, self._meta.device)
        strides, offset = meta.strides if stride is None else tuple(stride), storage_offset
        check_in_storage(source, shape, strides, offset)
    self._storage, self._meta = source._storage, meta
    self._view = view_at(offset, strides)
    return self
