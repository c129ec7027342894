"""Rows of a table by number: embedding, its renormalisation, and one-hot vectors.

Room: ops.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.base.dtype import int32, int64
from bital.base.errors import Unsupported
from bital.base.extent import hint
from bital.ir.batch import Batch, again
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ir.trace import local
from bital.ops.api import check_tensor, public
from bital.ops.buffer import update
from bital.ops.sparse import sparse as sparse_of
from bital.tensor.dispatch import apply
from bital.tensor.node import Node
from bital.tensor.recorders import binary_with
from bital.tensor.tensor import Tensor, array_of, edge_of, known_array


def _check_indices(indices: Meta) -> None:
    if indices.dtype not in (int64, int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{indices.dtype.legacy_name}Tensor instead (while checking "
            "arguments for embedding)"
        )


def _rule(weight: Meta, indices: Meta, padding_idx: int, by_frequency: bool) -> tuple[Meta, dict]:
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    _check_indices(indices)
    attrs = {"padding_idx": padding_idx, "scale_grad_by_freq": by_frequency}
    return like(weight, (*indices.shape, weight.shape[1])), attrs


def _check_range(xp: Any, indices: Any, rows: int) -> None:
    # a negative number is a huge one without its sign
    unsigned = indices.view(f"u{indices.dtype.itemsize}")
    if unsigned.size and xp.maximum.reduce(unsigned, axis=None) >= rows:
        raise IndexError("index out of range in self")


def _impl(xp: Any, weight: Any, indices: Any, *, padding_idx: int, scale_grad_by_freq: bool) -> Any:
    _check_range(xp, indices, weight.shape[0])
    return weight.take(indices, axis=0)


def _native(
    xp: Any, weight: Any, indices: Any, *, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    xp.require((indices >= 0) & (indices < weight.shape[0]))
    return xp.take_rows(weight, indices)


def _backward_rule(
    g: Meta, indices: Meta, rows: int, padding_idx: int, by_frequency: bool
) -> tuple[Meta, dict]:
    attrs = {"rows": rows, "padding_idx": padding_idx, "scale_grad_by_freq": by_frequency}
    return like(g, (rows, g.shape[-1])), attrs


def _backward(
    xp: Any, g: Any, indices: Any, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    """The sum of g over the places of each row; duplicates are brought together by sorting."""
    width = g.shape[-1]
    out = xp.zeros((rows, width), g.dtype)
    flat, g = indices.reshape(-1), g.reshape(indices.size, width)
    if 0 <= padding_idx < rows:
        kept = flat != padding_idx
        flat, g = flat[kept], g[kept]
    if not flat.size:
        return out
    order = flat.argsort(kind="stable")
    flat = flat[order]
    starts = xp.flatnonzero(xp.concatenate(([True], flat[1:] != flat[:-1])))
    wide = g[order] if g.dtype.itemsize > 2 else g[order].astype(xp.float32)
    sums = xp.add.reduceat(wide, starts, axis=0)
    if scale_grad_by_freq:
        sums /= xp.diff(starts, append=flat.size)[:, None].astype(sums.dtype)
    out[flat[starts]] = sums
    return out


def _backward_native(
    xp: Any, g: Any, indices: Any, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:
    xp.require((indices >= 0) & (indices < rows))
    padded, few = 0 <= padding_idx < rows, rows <= hint(indices.size)
    if padded and not few:
        g = xp.where((indices != padding_idx)[..., None], g, 0)
    sums = xp.put_rows(g, indices, rows, how="add")
    if padded and few:
        sums = xp.where((xp.arange(rows) != padding_idx)[:, None], sums, 0)
    if not scale_grad_by_freq:
        return sums
    ones = xp.ones((*indices.shape, 1), g.dtype)
    return sums / xp.maximum(xp.put_rows(ones, indices, rows, how="add"), 1)


def _climb(gg: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool) -> Any:
    if scale_grad_by_freq:
        raise RuntimeError("double backward of an embedding scaled by frequency is not supported")
    rows = apply(_EMBEDDING, (gg, indices), (padding_idx, False))
    if padding_idx < 0:
        return rows
    return rows * (indices != padding_idx).unsqueeze(-1)


def _numbered(indices: Any, lanes: int, rows: int) -> Any:
    """Indices into `rows` for each of many examples, as ones into the rows of all of them."""
    sizes = indices.shape[:lanes]
    first = np.arange(prod(sizes)) * rows
    return indices + first.reshape(*sizes, *[1] * (indices.ndim - lanes))


def _backward_many(batch: Batch) -> Callable:
    g_of, indices_of, sizes = batch.full(0), batch.full(1), batch.sizes
    rows, padding_idx = batch.kwargs["rows"], batch.kwargs["padding_idx"]
    whole = {**batch.kwargs, "rows": prod(sizes) * rows, "padding_idx": -1}

    def call(g: Any, indices: Any) -> Any:
        g, indices = g_of(g), indices_of(indices)
        if 0 <= padding_idx < rows:
            g = np.where((indices == padding_idx)[..., None], g.dtype.type(0), g)
        flat = _numbered(indices, len(sizes), rows)
        return _backward(np, g, flat, **whole).reshape(*sizes, rows, g.shape[-1])

    return call


_BACKWARD = Op(
    "embedding_dense_backward", _backward_rule, _backward, inputs=("g", "indices"),
    vjp=(_climb, None), grad_fn="EmbeddingDenseBackwardBackward0", batch=_backward_many,
    native=_backward_native,
)  # fmt: skip


def _descend(
    g: Tensor, weight_shape: tuple, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    return apply(_BACKWARD, (g, indices), (weight_shape[0], padding_idx, scale_grad_by_freq))


_EMBEDDING = Op(
    "embedding",
    _rule,
    _impl,
    inputs=("weight", "indices"),
    vjp=(_descend, None),
    fallible=True,
    native=_native,
    batch=again(bare=(0,)),
)
_embedding = binary_with(_EMBEDDING)


class EmbeddingBackward0(Node):
    """The node of an embedding whose gradient is sparse: the rows that were read."""

    __slots__ = ("indices", "padding_idx", "scaled")
    indices: Tensor
    padding_idx: int
    scaled: bool

    def apply(self, g: Any) -> list:
        if local.trace.grad:
            raise Unsupported("bital has no graph of sparse gradients (create_graph=True)")
        if self.scaled:
            raise RuntimeError(
                "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
            )
        (meta,) = self.metas
        rows, g = self.indices.reshape(-1), g.reshape(-1, meta.shape[1])
        if self.padding_idx >= 0:
            kept = rows != self.padding_idx
            rows, g = rows[kept], g[kept]
        return [sparse_of(rows.to(int64).unsqueeze(0), g, meta.shape)]


def _with_sparse_gradient(
    weight: Tensor, indices: Tensor, padding_idx: int, scaled: bool
) -> Tensor:
    out = apply(_EMBEDDING, (weight.detach(), indices), (padding_idx, False))
    node = EmbeddingBackward0((edge_of(weight),), (weight._meta,))
    node.indices, node.padding_idx, node.scaled = indices.detach(), padding_idx, scaled
    out._edge = node
    return out


def _renorm_rule(weight: Meta, indices: Meta, norm_type: float) -> tuple[Meta, dict]:
    _check_indices(indices)
    return weight, {"norm_type": norm_type}


def _renorm(xp: Any, weight: Any, indices: Any, max_norm: float, *, norm_type: float) -> Any:
    _check_range(xp, indices, weight.shape[0])
    out = weight.copy()
    used = xp.unique(indices)
    rows = weight[used]
    size = xp.linalg.norm(rows, norm_type, axis=1)
    long = size > max_norm
    out[used[long]] = rows[long] * (max_norm / (size[long] + 1e-7))[:, None].astype(rows.dtype)
    return out


_RENORM = Op(
    "embedding_renorm", _renorm_rule, _renorm, inputs=("weight", "indices"), params=("max_norm",),
    fallible=True,
)  # fmt: skip


@public(method=False, name="embedding_renorm_")
def embedding_renorm_(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scale the rows that `indices` names to the norm `max_norm` where theirs is larger."""
    attrs, params = (float(norm_type),), (float(max_norm),)
    return update(weight, lambda: apply(_RENORM, (weight, indices), attrs, params))


@public(method=False, name="embedding")
def embedding_of(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) that `indices` (*) names: (*, D), as `torch.embedding`."""
    if not isinstance(weight, Tensor) or not isinstance(indices, Tensor):
        check_tensor(weight, "embedding", "weight", 1)
        check_tensor(indices, "embedding", "indices", 2)
    if sparse and local.trace.grad and edge_of(weight) is not None:
        return _with_sparse_gradient(weight, indices, padding_idx, scale_grad_by_freq)
    return _embedding(weight, indices, (padding_idx, scale_grad_by_freq))


@public("nn.functional", method=False)
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) that `input` (*) names: (*, D).

    Row `padding_idx` gets no gradient; rows longer than `max_norm` are first scaled to it, in
    place. input: int64 or int32, else RuntimeError; IndexError for a row that is not there.
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        rows = weight._meta.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    return embedding_of(weight, input, padding_idx, scale_grad_by_freq, sparse)


def _one_hot_rule(x: Meta, classes: int) -> tuple[Meta, dict]:
    return like(x, (*x.shape, classes)), {"classes": classes}


def _check_classes(x: Any, classes: int) -> None:
    if x.size and x.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if x.size and x.max() >= classes:
        raise RuntimeError("Class values must be smaller than num_classes.")


def _one_hot(xp: Any, x: Any, *, classes: int) -> Any:
    _check_classes(x, classes)
    out = xp.zeros((x.size, classes), x.dtype)
    out[xp.arange(x.size), x.reshape(-1)] = 1
    return out.reshape(*x.shape, classes)


def _one_hot_native(xp: Any, x: Any, *, classes: int) -> Any:
    xp.require((x >= 0) & (x < classes))
    numbers = xp.iota((*x.shape, classes), x.ndim)
    return xp.equal(numbers, x[..., None]).astype(x.dtype)


_ONE_HOT = Op("one_hot", _one_hot_rule, _one_hot, fallible=True, native=_one_hot_native)


@public("nn.functional", method=False)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the class number, 0 elsewhere, along a new last axis; int64.

    `num_classes` -1: one more than the largest class number, which is looked at now.
    """
    meta = check_tensor(tensor, "one_hot", "tensor")._meta
    if meta.dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not prod(meta.shape) and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if num_classes == -1:
        num_classes = max(int(array_of(tensor).max()) + 1, 0)
    elif num_classes < 1:
        raise RuntimeError("Class values must be smaller than num_classes.")
    if tensor._storage.value.buf is not None:  # what is known is refused at once, at its line
        _check_classes(known_array(tensor), num_classes)
    return apply(_ONE_HOT, (tensor,), (num_classes,))
