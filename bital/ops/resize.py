"""Changing which memory a tensor looks at: resize_, set_, and questions about it.

Room: ops. Nothing here is differentiable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.layout import preserve_format
from bital.ir.meta import meta_of
from bital.ir.trace import Value
from bital.ops.api import check_tensor, method, public
from bital.ops.part import check_in_storage
from bital.ops.view import Ints, format_strides, ints
from bital.tensor.storage import Storage, View, flat_buffer
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
    offset, storage = self.storage_offset(), self._storage
    strides = format_strides(shape, memory_format) or meta.strides
    have = storage.value.meta.nbytes // meta.dtype.itemsize
    if offset + meta.numel > have:
        storage = self._storage = _grown(self, offset + meta.numel)
    self._meta = meta
    old = self._view
    base = None if old is None else old.base
    self._view = View(offset, strides, base, storage.version, None if old is None else old.quiet)
    return self


def _grown(t: Tensor, count: int) -> Storage:
    """A larger storage that begins with the elements of t's; views of the old one keep that."""
    d = t._meta.dtype
    old = flat_buffer(t._storage).reshape(-1).view(d.np)
    buf = np.zeros(count, d.np)
    buf[: old.size] = old
    grown = Storage(Value(meta_of((count,), d, t._meta.device), None, buf))
    grown.version = t._storage.version
    return grown


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
        self._storage = Storage(Value(meta, None, np.empty(0, meta.np)))
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
    self._view = View(offset, strides)
    return self
