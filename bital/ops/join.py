"""Joining tensors: cat, stack and their kin.

Room: ops. The gradient of a joined tensor is cut into views for its parts.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from bital.base.dtype import default, result_type
from bital.base.size import normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.ops.api import public
from bital.ops.part import cut, take_one
from bital.ops.view import Ints, tensors_of
from bital.ops.window import many_node
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, edge_of, from_array


def _promoted(metas: tuple[Meta, ...]) -> Any:
    first = metas[0].dtype
    if all(m.dtype is first for m in metas):
        return first
    return result_type([(m.dtype, 2 if m.ndim else 1) for m in metas])


def _cat_rule(*args: Any) -> tuple[Meta, dict, Any]:
    *metas, dim = args
    first = metas[0]
    for k, m in enumerate(metas):
        if not m.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {k}) cannot be concatenated")
    dim = normalize_dim(dim, first.ndim)
    total = 0
    for k, m in enumerate(metas):
        if m.ndim != first.ndim:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {first.ndim} and {m.ndim}"
            )
        for axis, (n, wanted) in enumerate(zip(m.shape, first.shape)):
            if axis != dim and n != wanted:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{wanted} but got size {n} for tensor number {k} in the list."
                )
        total += tuple(m.shape)[dim]
    d = _promoted(tuple(metas))
    shape = (*first.shape[:dim], total, *first.shape[dim + 1 :])
    return meta_of(shape, d, first.device), {"dim": dim}, d


def _cat_impl(xp: Any, *arrays: Any, dim: int) -> Any:
    return xp.concatenate(arrays, dim)


_CAT = Op("cat", _cat_rule, _cat_impl, inputs=(), batch=again(0))


def _stack_rule(*args: Any) -> tuple[Meta, dict, Any]:
    *metas, dim = args
    first = metas[0]
    dim = normalize_dim(dim, first.ndim + 1)
    for k, m in enumerate(metas):
        if m.shape != first.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first.shape)} at "
                f"entry 0 and {list(m.shape)} at entry {k}"
            )
    d = _promoted(tuple(metas))
    shape = (*first.shape[:dim], len(metas), *first.shape[dim:])
    return meta_of(shape, d, first.device), {"dim": dim, "shape": shape}, d


def _stack_impl(xp: Any, *arrays: Any, dim: int, shape: Ints) -> Any:
    if dim:
        return xp.stack(arrays, dim)
    return xp.concatenate(arrays).reshape(shape) if len(shape) > 1 else xp.array(arrays)


_STACK = Op("stack", _stack_rule, _stack_impl, inputs=(), batch=again(0))


def checked_list(fn: str, tensors: Any) -> tuple[Tensor, ...]:
    """`tensors` as a tuple, with PyTorch's TypeErrors for what is no list of tensors."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{fn}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    for k, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {k} in argument 0, but got {type(t).__name__}"
            )
    return tuple(tensors)


def _with_node(out: Tensor, tensors: tuple[Tensor, ...], name: str, parts: Any) -> Tensor:
    """Give `out` its node; parts(g, k) is the gradient of tensor k."""
    if not local.trace.grad:
        return out
    edges = tuple([t._edge if t._view is None else edge_of(t) for t in tensors])
    if edges.count(None) < len(edges):
        metas = tuple([t._meta for t in tensors])
        wanted = tuple([e is not None for e in edges])

        def rule(g: Tensor) -> list:
            return [parts(g, k) if needed else None for k, needed in enumerate(wanted)]

        out._edge = many_node(name, edges, metas, rule)
    return out


@public(method=False, out="apart", aliases=("concat", "concatenate"))
def cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors one after another along `dim`; empty vectors among them are left out."""
    given = checked_list("cat", tensors)
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dim = dim if axis is None else axis
    kept = tuple([t for t in given if t._meta.shape != (0,)])
    if len(kept) < len(given) and kept and kept[0]._meta.ndim == 1 or not kept:
        kept = given
    out = apply(_CAT, kept, (dim,))
    dtypes = {t._meta.dtype for t in given}
    if len(dtypes) > 1 and len(kept) < len(given):
        out = out.to(_promoted(tuple([t._meta for t in given])))
    dim = normalize_dim(dim, out._meta.ndim)
    left_out = len(kept) < len(given)
    shapes = [t._meta.shape for t in given]
    counts = tuple([None if left_out and n == (0,) else n[dim] for n in shapes])
    starts = (0, *accumulate([n or 0 for n in counts]))

    def part_of(g: Tensor, k: int) -> Tensor:
        count = counts[k]
        if count is None:
            return g.new_zeros((0,))
        return cut(g, dim, starts[k], 1, count, "SliceBackward0")

    return _with_node(out, given, "CatBackward0", part_of)


@public(method=False, out=True)
def stack(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape along a new axis `dim`."""
    given = checked_list("stack", tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    dim = dim if axis is None else axis
    out = apply(_STACK, given, (dim,))
    dim = normalize_dim(dim, out._meta.ndim)
    return _with_node(out, given, "StackBackward0", lambda g, k: take_one(g, dim, k))


def _listed(fn: str, tensors: Any) -> tuple[Tensor, ...]:
    given = checked_list(fn, tensors)
    if not given:
        raise RuntimeError(f"{fn} expects a non-empty TensorList")
    return given


@public(method=False, out=True)
def hstack(tensors: Any) -> Tensor:
    """The tensors side by side: along the second axis, vectors along their only one."""
    from_1d = [t.reshape(1) if not t._meta.ndim else t for t in _listed("hstack", tensors)]
    return cat(from_1d, 0 if from_1d[0]._meta.ndim == 1 else 1)


@public(method=False, out=True, aliases=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """The tensors below one another; a vector is a row."""
    return cat([_atleast(t, 2, 0) for t in _listed("vstack", tensors)], 0)


@public(method=False, out=True)
def dstack(tensors: Any) -> Tensor:
    """The tensors behind one another, along the third axis."""
    return cat([_atleast(_atleast(t, 2, 0), 3, 2) for t in _listed("dstack", tensors)], 2)


@public(method=False, out=True)
def column_stack(tensors: Any) -> Tensor:
    """The tensors side by side; a vector is a column."""
    columns = [
        t.reshape(t._meta.numel, 1) if t._meta.ndim < 2 else t
        for t in _listed("column_stack", tensors)
    ]
    return cat(columns, 1)


def _atleast(t: Tensor, ndim: int, dim: int) -> Tensor:
    if not t._meta.ndim:
        return t.reshape((1,) * ndim)
    return t.unsqueeze(dim) if t._meta.ndim < ndim else t


def _block_rule(*metas: Meta) -> tuple[Meta, dict, Any]:
    rows = columns = 0
    places = []
    for k, m in enumerate(metas):
        if m.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{k} has {m.ndim} dimensions"
            )
        height, width = (1,) * (2 - m.ndim) + tuple(m.shape)
        places.append((rows, columns, height, width))
        rows, columns = rows + height, columns + width
    d = _promoted(metas)
    return meta_of((rows, columns), d, metas[0].device), {"places": tuple(places), "np": d.np}, d


def _block_impl(xp: Any, *arrays: Any, places: tuple, np: Any) -> Any:
    last = places[-1]
    out = xp.zeros((last[0] + last[2], last[1] + last[3]), np)
    for a, (row, column, height, width) in zip(arrays, places):
        out[row : row + height, column : column + width] = a
    return out


_BLOCK = Op("block_diag", _block_rule, _block_impl, inputs=())


@public(method=False)
def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the given ones along its diagonal; vectors are rows, numbers 1x1 matrices."""
    given = checked_list("block_diag", tensors_of(tensors))
    if not given:
        return from_array(np.zeros((1, 0), default.dtype.np))
    out = apply(_BLOCK, given)
    places = _block_rule(*[t._meta for t in given])[1]["places"]
    shapes = tuple([t._meta.shape for t in given])

    def part_of(g: Tensor, k: int) -> Tensor:
        row, column, height, width = places[k]
        rows = cut(g, 0, row, 1, height, "SliceBackward0")
        block = cut(rows, 1, column, 1, width, "SliceBackward0")
        return block.reshape(shapes[k])

    return _with_node(out, given, "BlockDiagBackward0", part_of)
