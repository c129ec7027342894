"""Reductions of consecutive parts of different lengths, and of tensors cut into chunks.

Room: ops. Made of other functions; the lengths of segments are needed at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, INT, uint64
from bital.base.size import normalize_dim
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.join import cat
from bital.ops.pad import pad
from bital.ops.reduce import axes, check_not_empty, reduced
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, array_of, from_array

#: reduction -> (that of scatter_reduce, what a segment begins with)
_REDUCTIONS: dict[str, tuple[str, float]] = {
    "max": ("amax", float("-inf")),
    "min": ("amin", float("inf")),
    "sum": ("sum", 0.0),
    "mean": ("sum", 0.0),
    "prod": ("prod", 1.0),
}


def _offsets(
    data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int, unsafe: bool
) -> np.ndarray:
    """Where segments begin along `axis`, and where the last one ends: (…, segments + 1)."""
    if offsets is not None:
        return array_of(offsets).astype(np.int64)
    if lengths is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if lengths._meta.dtype.category != INT:
        raise NotImplementedError(
            '"_segment_reduce_lengths_cpu_kernel1" not implemented for '
            f"'{lengths._meta.dtype.legacy_name}'"
        )
    counts = array_of(lengths).astype(np.int64)
    if not unsafe:
        if (counts < 0).any():
            raise RuntimeError("lengths contains negative value!")
        if (counts.sum(-1) != data._meta.shape[axis]).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to "
                "data.size(lengths.dim()-1) when !unsafe."
            )
    return np.concatenate([np.zeros((*counts.shape[:-1], 1), np.int64), counts.cumsum(-1)], -1)


def _segments(offsets: np.ndarray, size: int) -> np.ndarray:
    """Which segment each of `size` elements is in: (…, size); those in none are in a last one."""
    count = offsets.shape[-1] - 1
    # segments that begin at or before an element, counted by a cumulative sum over marks
    rows = offsets.reshape(-1, count + 1)
    marks = np.zeros((len(rows), size + 1), np.int64)
    at = np.clip(rows, 0, size)
    np.add.at(marks, (np.arange(len(rows))[:, None], at), 1)
    number = marks.cumsum(-1)[:, :size] - 1
    number[number < 0] = count
    return number.reshape(*offsets.shape[:-1], size)


@public(method=False, name="segment_reduce", aliases=("_segment_reduce",))
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: Any = None,
) -> Tensor:  # fmt: skip
    """Segments of `data` along `axis` reduced to an element each: max, min, mean, sum or prod.

    `lengths` (…, segments) says how long they are, or `offsets` (…, segments + 1) where they lie.
    """
    ndim = check_tensor(data, "segment_reduce", "data")._meta.ndim
    axis = normalize_dim(axis, ndim)
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if reduce not in _REDUCTIONS:
        raise RuntimeError(
            "segment_reduce(): Expected reduce to be one of max, mean, min, sum or prod but got "
            f"{reduce}"
        )
    begins = _offsets(data, lengths, offsets, axis, unsafe)
    shape = tuple(data._meta.shape)
    count = begins.shape[-1] - 1
    index = from_array(_segments(begins, shape[axis]))
    index = index.reshape(*index._meta.shape, *[1] * (ndim - axis - 1)).expand(shape)
    how, start = _REDUCTIONS[reduce]
    base = data.new_full(
        (*shape[:axis], count + 1, *shape[axis + 1 :]), start if initial is None else initial
    )
    out = base.scatter_reduce(axis, index, data, how).narrow(axis, 0, count)
    if reduce != "mean":
        return out
    sizes = from_array(np.diff(begins)).reshape(*begins.shape[:-1], count, *[1] * (ndim - axis - 1))
    mean = out / sizes.clamp(min=1).to(data._meta.dtype)
    return mean.masked_fill(sizes == 0, float("nan")) if initial is None else mean


@public(method=False, name="_chunk_cat", out=True)
def chunk_cat(tensors: Any, dim: int, num_chunks: int) -> Tensor:
    """Tensors cut into chunks along `dim`, zeros filling them up, and joined: (…, chunks, n)."""
    if num_chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    ndims = {t._meta.ndim for t in tensors}
    if any(not t._meta.numel for t in tensors):
        raise RuntimeError("_chunk_cat expects non-empty tensor")
    if len(ndims) == 1:
        dim = normalize_dim(dim, tensors[0]._meta.ndim)
    elif dim < 0:
        raise RuntimeError(
            "_chunk_cat expects non-negative dim when input tensors have different ndims"
        )
    if dim >= min(ndims):
        raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
    lead = tuple(tensors[0]._meta.shape)[:dim]
    parts = []
    for t in tensors:
        if tuple(t._meta.shape)[:dim] != lead:
            raise RuntimeError(
                "_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors"
            )
        fill = -t._meta.shape[dim] % num_chunks
        after = t._meta.ndim - dim - 1
        full = pad(t, (*[0, 0] * after, 0, fill)) if fill else t
        parts.append(full.reshape(*lead, num_chunks, -1))
    return cat(parts, -1)


@public(out=True)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`, as many as there are filled up with `fill_value`."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.argwhere(array_of(input))[:size].astype(np.int64)
    out = np.full((size, input._meta.ndim), fill_value, np.int64)
    out[: len(found)] = found
    return from_array(out)


def _hash_rule(x: Meta, dims: Any, keepdim: bool) -> tuple[Meta, dict]:
    axis = axes(x, dims)
    check_not_empty(x, dims, axis, "hash_tensor")
    if x.dtype.category == COMPLEX:
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{x.dtype.legacy_name}'")
    return reduced(x, axis, keepdim, uint64), {"axis": axis, "keepdims": keepdim}


def _hash_impl(xp: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    kind = xp.int64 if x.dtype.kind in "biu" else xp.float64
    bits = x.astype(kind).view(xp.uint64)
    return xp.bitwise_xor.reduce(bits, axis, keepdims=keepdims)


_HASH = Op("hash_tensor", _hash_rule, _hash_impl)


@public(out=True)
def hash_tensor(input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0) -> Tensor:
    """The exclusive or of the elements' bits (of float64 or int64), over `dim`, as uint64."""
    if mode:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    dims = dim if isinstance(dim, int) else tuple(dim)
    return apply(_HASH, (check_tensor(input, "hash_tensor"),), (dims, keepdim))
