"""Splitting a tensor into views of its consecutive parts.

Room: ops. Parts that one function gives together share one node, and may not be written to in
place where gradients flow.
"""

from __future__ import annotations

import operator
from typing import Any

from bital.base.size import normalize_dim
from bital.ir.meta import Meta, meta_of
from bital.ops.api import public
from bital.ops.join import cat, stack
from bital.ops.part import cut, spread_cut
from bital.ops.view import Ints
from bital.ops.window import bare_view, give_outputs, spread
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, strides_of, view_of, window

#: (meta, axis, counts) -> the metas of its parts
_parts: dict[tuple, list[Meta]] = {}


def _split_at(
    x: Tensor, dim: int, counts: Ints, name: str, tracked: bool = True
) -> tuple[Tensor, ...]:
    """Views of consecutive parts of axis `dim`, with one node for all of them.

    Parts that are not `tracked` may be written to, and nobody takes them for views.
    """
    meta, strides, start = x._meta, strides_of(x), x.storage_offset()
    key = (meta, dim, counts)
    parts = _parts.get(key)
    if parts is None:
        if len(_parts) > 1024:
            _parts.clear()
        shape = meta.shape
        parts = _parts[key] = [
            meta_of((*shape[:dim], n, *shape[dim + 1 :]), meta.dtype, meta.device) for n in counts
        ]
    storage = x._storage
    whole = view_of(x, start, strides, "multi")
    base = whole.base if tracked else None
    outs = []
    for n, part_meta in zip(counts, parts):
        view = view_at(start, strides, base, whole.version, whole.made)
        outs.append(window(storage, part_meta, view))
        start += n * strides[dim]
    give_outputs(tuple(outs), x, name, lambda gs: _joined(gs, meta, dim, counts))
    return tuple(outs)


def _joined(gs: tuple, meta: Meta, dim: int, counts: Ints) -> Tensor:
    """The gradient of a whole from those of its parts, some of which may be None."""
    if all(g is not None for g in gs):
        return cat(gs, dim)
    total = None
    start = 0
    for g, n in zip(gs, counts):
        if g is not None:
            one = spread_cut(g, meta, dim, start, 1)
            total = one if total is None else total + one
        start += n
    assert total is not None
    return total


def _axis(x: Tensor, dim: int, fn: str) -> tuple[int, int]:
    """The axis counted from the front, and its size."""
    shape = x._meta.shape
    if not shape:
        raise RuntimeError(f"{fn} expects at least a 1-dimensional tensor")
    dim = normalize_dim(dim, len(shape))
    return dim, tuple(shape)[dim]


def _equal_counts(x: Tensor, size: int, dim: int) -> tuple[int, Ints]:
    dim, n = _axis(x, dim, "split")
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if not size and n:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
        )
    if not n:
        return dim, (0,)
    counts = [size] * (n // size)
    return dim, (*counts, n % size) if n % size else tuple(counts)


def _given_counts(x: Tensor, split_sizes: Any, dim: int) -> tuple[int, Ints]:
    dim, n = _axis(x, dim, "split_with_sizes")
    counts = tuple([operator.index(k) for k in split_sizes])
    if any(k < 0 for k in counts):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(counts)}"
        )
    if sum(counts) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={list(counts)}"
        )
    return dim, counts


@public("Tensor", name="split")
def split_method(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of parts of `split_size` elements of axis `dim`, or of the sizes in a list."""
    if isinstance(split_size, (tuple, list)):
        return split_with_sizes(self, split_size, dim)
    if not hasattr(split_size, "__index__"):
        raise TypeError(
            "split_with_sizes(): argument 'split_sizes' (position 2) must be tuple of ints, not "
            f"{type(split_size).__name__}"
        )
    dim, counts = _equal_counts(self, operator.index(split_size), dim)
    return _split_at(self, dim, counts, "SplitBackward0")


@public(method=False)
def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of parts of that many elements of axis `dim`, or of the sizes in a list."""
    return split_method(tensor, split_size_or_sections, dim)


@public()
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of consecutive parts of the given sizes."""
    dim, counts = _given_counts(input, split_sizes, dim)
    return _split_at(input, dim, counts, "SplitWithSizesBackward0")


@public()
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` whose parts may be written to in place."""
    dim, counts = _equal_counts(input, operator.index(split_size), dim)
    return _split_at(input, dim, counts, "UnsafeSplitBackward0", tracked=False)


@public()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes` whose parts may be written to in place."""
    dim, counts = _given_counts(input, split_sizes, dim)
    return _split_at(input, dim, counts, "UnsafeSplitWithSizesBackward0", tracked=False)


def _chunk_counts(x: Tensor, chunks: int, dim: int) -> tuple[int, Ints]:
    if not x._meta.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim, n = _axis(x, dim, "chunk")
    if not n:
        return dim, (0,) * chunks
    return _equal_counts(x, -(-n // chunks), dim)


@public()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of at most `chunks` parts of equal size; the last may be smaller."""
    dim, counts = _chunk_counts(input, chunks, dim)
    name = "SplitWithSizesBackward0" if not counts[0] else "SplitBackward0"
    return _split_at(input, dim, counts, name)


@public()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` whose parts may be written to in place."""
    dim, counts = _chunk_counts(input, chunks, dim)
    return _split_at(input, dim, counts, "UnsafeSplitBackward0", tracked=False)


@public()
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *,
    indices: Any = None, sections: int | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Views of parts: into `sections` of nearly equal size, or cut at the given indices."""
    given = next((g for g in (indices_or_sections, indices, sections) if g is not None), None)
    if not input._meta.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim, n = _axis(input, dim, "tensor_split")
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, (tuple, list)):
        ends = [0, *[operator.index(k) for k in given]]
        stops = [*ends[1:], n]
    else:
        parts = operator.index(given)  # type: ignore[arg-type]
        if parts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {parts}")
        small, larger = divmod(n, parts)
        stops = [small * (k + 1) + min(k + 1, larger) for k in range(parts)]
        ends = [0, *stops[:-1]]
    outs = []
    for begin, end in zip(ends, stops):
        start, stop, _ = slice(begin, end).indices(n)
        outs.append(cut(input, dim, start, 1, max(stop - start, 0), "SliceBackward0"))
    return tuple(outs)


def _direction_split(name: str, ndim: int, dim: int, doc: str) -> None:
    def fn(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        have = input._meta.ndim
        if have < ndim:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {ndim} dimension, but got a tensor "
                f"with {have} dimensions!"
            )
        axis = 0 if have == 1 else dim
        n = tuple(input._meta.shape)[axis]
        k = indices_or_sections
        if isinstance(k, int) and (k <= 0 or n % k):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {axis}, but the size of the "
                f"dimension {n} is not divisible by the split_size {k}!"
            )
        return tensor_split(input, k, axis)

    fn.__doc__ = doc
    public(name=name)(fn)


_direction_split("hsplit", 1, 1, "Views of parts side by side (see `tensor_split`).")
_direction_split("vsplit", 2, 0, "Views of parts below one another (see `tensor_split`).")
_direction_split("dsplit", 3, 2, "Views of parts behind one another (see `tensor_split`).")


@public()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The views along axis `dim`, without that axis."""
    meta = input._meta
    if not meta.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim, n = _axis(input, dim, "unbind")
    shape, strides, start = meta.shape, strides_of(input), input.storage_offset()
    row = meta_of((*shape[:dim], *shape[dim + 1 :]), meta.dtype, meta.device)
    row_strides = (*strides[:dim], *strides[dim + 1 :])
    outs = tuple(
        [bare_view(input, row, row_strides, start + k * strides[dim], "multi") for k in range(n)]
    )

    def back(gs: tuple) -> Tensor:
        if all(g is not None for g in gs):
            return stack(gs, dim)
        plain = (*meta.strides[:dim], *meta.strides[dim + 1 :])
        total = None
        for k, g in enumerate(gs):
            if g is not None:
                one = spread(g, shape, plain, k * meta.strides[dim])
                total = one if total is None else total + one
        return total  # type: ignore[return-value]

    give_outputs(outs, input, "UnbindBackward0", back)
    return outs
