"""Views of some elements: select, narrow, diagonal, unfold, as_strided.

Room: ops. The gradient of a part is the part written into zeros (see `window.py`); its place there
is that in a contiguous tensor, whatever the strides of the tensor it was cut from.
"""

from __future__ import annotations

import operator
from typing import Any

from bital.base.dtype import INT
from bital.base.size import normalize_dim
from bital.base.stride import extent
from bital.ir.meta import Meta, meta_of
from bital.ops.api import method, public
from bital.ops.axes import turn_in_place
from bital.ops.view import Ints, ints
from bital.ops.window import Flat, Geometry, attach, bare_view, spread
from bital.tensor.tensor import Tensor, strides_of


def cut(x: Tensor, dim: int, start: int, step: int, count: int, name: str) -> Tensor:
    """Elements start, start + step, … of axis `dim` (all arguments checked), as a view."""
    meta = x._meta
    shape, strides = meta.shape, strides_of(x)
    new = (*shape[:dim], count, *shape[dim + 1 :])
    offset = x.storage_offset() + start * strides[dim]
    out = bare_view(
        x, meta_of(new, meta.dtype, meta.device),
        (*strides[:dim], strides[dim] * step, *strides[dim + 1 :]), offset,
    )  # fmt: skip
    return attach(out, x, name, lambda g: spread_cut(g, meta, dim, start, step))


def spread_cut(g: Tensor, meta: Meta, dim: int, start: int, step: int) -> Tensor:
    """The gradient of `cut`."""
    plain = meta.strides
    strides = (*plain[:dim], plain[dim] * step, *plain[dim + 1 :])
    return spread(g, meta.shape, strides, start * plain[dim])


def take_one(x: Tensor, dim: int, index: int) -> Tensor:
    """Element `index` of axis `dim` (both checked), as a view without that axis."""
    meta = x._meta
    shape, strides = meta.shape, strides_of(x)
    out = bare_view(
        x, meta_of((*shape[:dim], *shape[dim + 1 :]), meta.dtype, meta.device),
        (*strides[:dim], *strides[dim + 1 :]), x.storage_offset() + index * strides[dim],
    )  # fmt: skip
    plain = meta.strides
    return attach(
        out, x, "SelectBackward0",
        lambda g: spread(g, shape, (*plain[:dim], *plain[dim + 1 :]), index * plain[dim]),
    )  # fmt: skip


@public()
def select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The view at `index` of axis `dim`, without that axis. IndexError where it is out of range."""
    shape = input._meta.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, len(shape))
    n, i = tuple(shape)[dim], operator.index(index)
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {dim}"
        )
    return take_one(input, dim, i + n if i < 0 else i)


@public()
def narrow(input: Tensor, dim: int, start: Any, length: Any) -> Tensor:
    """The view of `length` elements of axis `dim` from `start` on."""
    shape = input._meta.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and (start._meta.ndim or start._meta.dtype.category != INT):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    length, start = operator.index(length), operator.index(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim = normalize_dim(dim, len(shape))
    n = tuple(shape)[dim]
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    start = start + n if start < 0 else start
    if start > n - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return cut(input, dim, start, 1, length, "SliceBackward0")


def diagonal_window(shape: Ints, strides: Ints, offset: int, dim1: int, dim2: int) -> tuple:
    """(shape, strides, first element) of a diagonal over two axes, which becomes the last axis."""
    a, b = normalize_dim(dim1, len(shape)), normalize_dim(dim2, len(shape))
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape = tuple(shape)
    length = min(shape[a], shape[b] - offset) if offset >= 0 else min(shape[a] + offset, shape[b])
    length = max(length, 0)
    first = 0
    if length:
        first = offset * strides[b] if offset >= 0 else -offset * strides[a]
    kept = [k for k in range(len(shape)) if k not in (a, b)]
    return (
        (*[shape[k] for k in kept], length),
        (*[strides[k] for k in kept], strides[a] + strides[b]),
        first,
    )


@public()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The view of a diagonal over two axes, as the last axis; `offset` > 0 lies above."""
    meta = input._meta
    new, strides, first = diagonal_window(meta.shape, strides_of(input), offset, dim1, dim2)
    out = bare_view(
        input, meta_of(new, meta.dtype, meta.device), strides, input.storage_offset() + first
    )

    def back(g: Tensor) -> Tensor:
        _, plain, start = diagonal_window(meta.shape, meta.strides, offset, dim1, dim2)
        return spread(g, meta.shape, plain, start)

    return attach(out, input, "DiagonalBackward0", back)


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements, `step` apart, along an axis, as a new last axis (a view)."""
    meta = self._meta
    dim = normalize_dim(dimension, meta.ndim)
    shape, strides = tuple(meta.shape), strides_of(self)
    n, inner = (shape[dim], strides[dim]) if shape else (1, 1)
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    count = (n - size) // step + 1

    def turned(steps: Ints) -> Ints:
        if not shape:
            return (1,)
        return (*steps[:dim], steps[dim] * step, *steps[dim + 1 :], steps[dim])

    new = (*shape[:dim], count, *shape[dim + 1 :], size) if shape else (size,)
    out = bare_view(self, meta_of(new, meta.dtype, meta.device), turned(strides))
    return attach(
        out, self, "UnfoldBackward0", lambda g: spread(g, meta.shape, turned(meta.strides), 0)
    )


def check_in_storage(t: Tensor, shape: Ints, strides: Ints, offset: int) -> None:
    """PyTorch's error for a window that does not lie within t's storage."""
    item = t._meta.dtype.itemsize
    have = t._storage.value.meta.nbytes
    high = extent(shape, strides)[1]
    need = 0 if 0 in shape else (offset + high + 1) * item
    if need > have:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, "
            f"and itemsize {item} requiring a storage size of {need} are out of bounds for storage "
            f"of size {have}"
        )


@public()
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """Any window on the tensor's storage: shape, strides, and offset of the first element."""
    shape = ints("as_strided", "size", 2, (size,))
    strides = ints("as_strided", "stride", 3, (stride,))
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(s < 0 for s in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    meta = input._meta
    offset = input.storage_offset() if storage_offset is None else storage_offset
    check_in_storage(input, shape, strides, offset)
    out = bare_view(input, meta_of(shape, meta.dtype, meta.device), strides, offset)
    flat = Flat(Geometry.of(input), Geometry(shape, strides, offset))
    return attach(out, input, "AsStridedBackward0", lambda g: flat.lift(flat.put(g)))


turn_in_place("as_strided_", as_strided)
