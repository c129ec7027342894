"""Sparse tensors: the places and values of the elements that are not zero, COO and CSR.

Room: ops. A sparse tensor is a tensor whose cell shows dense numbers, made when an operator that
knows of no sparsity reads it; so every operator takes one, and what only costs memory is never
wrong. Gradients of sparse tensors are dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.device import usable
from bital.base.dtype import default, dtype, int64
from bital.base.layout import layout, sparse_coo, sparse_csr
from bital.base.size import normalize_dim
from bital.ir.meta import meta_of
from bital.ir.trace import Value, local
from bital.ops.api import method, public
from bital.ops.create import zeros
from bital.ops.data import tensor
from bital.ops.join import cat, stack
from bital.tensor.dispatch import cast
from bital.tensor.format import elements_text
from bital.tensor.node import AccumulateGrad
from bital.tensor.storage import Storage
from bital.tensor.tensor import (
    Tensor,
    array_of,
    detached,
    edge_of,
    read,
    view_node,
    window,
)

Ints = tuple[int, ...]


class _DenseCell(Storage):
    """What a sparse tensor shows to operators: its dense numbers, computed when first asked for."""

    __slots__ = ("make", "made")

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.made: Value | None = None

    @property
    def value(self) -> Value:
        if self.made is None:
            trace = local.trace
            grad, trace.grad = trace.grad, False
            try:
                self.made = read(self.make(), trace)
            finally:
                trace.grad = grad
        return self.made

    @value.setter
    def value(self, new: Value) -> None:
        _refuse_write()

    @property
    def version(self) -> int:
        return 0

    @version.setter
    def version(self, new: int) -> None:
        _refuse_write()


def _refuse_write() -> None:
    raise RuntimeError("bital does not write to sparse tensors in place: use to_dense()")


class SparseTensor(Tensor):
    """A tensor of layout torch.sparse_coo or torch.sparse_csr.

    `_index` (sparse axes, elements) says where `_vals` (elements, dense axes…) lie; elements of
    one place count together. `_crow` holds CSR's offsets of rows.
    """

    __module__ = "torch"

    _index: Any
    _vals: Any
    _coalesced: bool
    _crow: Any

    @property
    def layout(self) -> layout:
        return sparse_coo if self._crow is None else sparse_csr

    @property
    def is_sparse(self) -> bool:
        return self._crow is None

    @property
    def is_sparse_csr(self) -> bool:
        return self._crow is not None

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return _text(self)

    def numpy(self, *, force: bool = False) -> Any:
        """TypeError: a sparse tensor has no array."""
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def tolist(self) -> Any:
        """RuntimeError: a sparse tensor has no memory of its elements."""
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def detach(self) -> Any:
        """The same places and values, of which gradients know nothing."""
        return like(self, detached(self._vals))

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum with `alpha` times another sparse tensor."""
        if not isinstance(other, SparseTensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        index = cat([self._index, other._index], 1)
        vals = linked(other) if alpha == 1 else linked(other) * alpha
        both = made(index, cat([linked(self), vals]), tuple(self.shape))
        return both.coalesce() if self._coalesced and other._coalesced else both

    __add__ = add

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """`add` into the tensor itself."""
        return self._become(self.add(other, alpha=alpha))

    def mul_(self, other: Any) -> Any:
        """Times `other`, in the tensor itself."""
        return self._become(self * other)

    def zero_(self) -> Any:
        """Hold no element any more."""
        return self._become(made(self._index[:, :0], self._vals[:0], tuple(self.shape), True))

    def _become(self, other: Any) -> Any:
        self._storage, self._index, self._vals = other._storage, other._index, other._vals
        self._coalesced, self._crow = other._coalesced, other._crow
        return self

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, SparseTensor):
            return (self.to_dense() * other.to_dense()).to_sparse()
        if isinstance(other, Tensor) and other._meta.ndim:
            other = other.expand(self.shape)[tuple(self._index)]
        return like(self, linked(self) * other)

    __rmul__ = mul = __mul__

    def __truediv__(self, other: Any) -> Any:
        return like(self, linked(self) / other)

    div = __truediv__

    def __getitem__(self, index: Any) -> Any:
        return self.to_dense()[index].to_sparse()


_new = object.__new__


def made(index: Any, vals: Any, shape: Ints, coalesced: bool = False, crow: Any = None) -> Any:
    """A sparse tensor; its gradient goes to its values."""

    def dense() -> Any:
        out = zeros(shape, dtype=vals.dtype)
        return out.index_put(tuple(index), vals.detach(), accumulate=True)

    t = _new(SparseTensor)
    t._storage, t._meta = _DenseCell(dense), meta_of(shape, vals._meta.dtype, vals._meta.device)
    t._view = t._edge = t._grad = None
    t._index, t._vals, t._coalesced, t._crow = index, vals, coalesced, crow
    edge = edge_of(vals)
    if edge is not None and local.trace.grad:
        name = "SparseCooTensorWithDimsAndTensorsBackward0"
        t._edge = view_node(name, edge, vals._meta, lambda g: g[tuple(index)])
    return t


def sparse(index: Any, vals: Any, shape: Any, coalesced: bool = False) -> Any:
    """A sparse tensor without a history: what a gradient is."""
    return made(index, detached(vals), tuple(shape), coalesced)


def places_of(t: SparseTensor) -> tuple:
    """The places as indices of a dense tensor."""
    return tuple(t._index.unbind(0))


def add_into(out: Any, t: SparseTensor, alpha: Any = 1) -> Any:
    """Add `alpha` times a sparse tensor to a dense one in place; returns it."""
    return out.index_put_(places_of(t), t._vals * alpha, accumulate=True)


def like(t: SparseTensor, vals: Any) -> Any:
    """The same places with other values."""
    return made(t._index, vals, tuple(t.shape), t._coalesced, t._crow)


def linked(t: SparseTensor) -> Any:
    """The values, with the way that their gradient takes; that of a leaf is dense."""
    edge = t._edge
    if not isinstance(edge, AccumulateGrad):
        return t._vals
    shape, index = tuple(t.shape), t._index
    out = window(t._vals._storage, t._vals._meta, t._vals._view)
    if local.trace.grad:
        out._edge = view_node(
            "ValuesBackward0", edge, t._meta, lambda g: _spread_out(g, index, shape)
        )
    return out


def _spread_out(g: Any, index: Any, shape: Ints) -> Any:
    return zeros(shape, dtype=g.dtype).index_put(tuple(index), g, accumulate=True)


def _text(t: SparseTensor) -> str:
    """As PyTorch prints sparse tensors: their parts, one a line."""

    def part(name: str, value: Any) -> str:
        if not value._meta.numel:
            return f"{name}=tensor([], size={tuple(value._meta.shape)})"
        start = f"{name}=tensor("
        return start + elements_text(array_of(value), len("tensor(") + len(start)) + ")"

    csr = t._crow is not None
    if csr:
        lines = [part("crow_indices", t._crow), part("col_indices", t._index[1])]
    else:
        lines = [part("indices", t._index)]
    out = "tensor(" + (",\n" + " " * 7).join([*lines, part("values", t._vals)])
    facts = [f"size={tuple(t.shape)}", f"nnz={t._nnz()}"]
    if t.dtype not in (default.dtype, int64):
        facts.append(f"dtype={t.dtype}")
    facts.append(f"layout={t.layout}")
    if t.grad_fn is not None:
        facts.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        facts.append("requires_grad=True")
    for k, fact in enumerate(facts):
        last = len(out) - out.rfind("\n") + 1
        broken = last + len(fact) + 2 > 80 or (k == 0 and not csr)
        out += (",\n" + " " * 7 if broken else ", ") + fact
    return out + ")"


def _given(data: Any, d: dtype | None = None) -> Any:
    """A tensor as it is, or one of the given numbers."""
    if isinstance(data, Tensor):
        return data if d is None else cast(data, d)
    return tensor(data, dtype=d)


@public(method=False)
def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Any = None, *, dtype: dtype | None = None,
    device: Any = None, requires_grad: bool = False, check_invariants: bool | None = None,
    pin_memory: bool = False, is_coalesced: bool | None = None,
) -> Tensor:  # fmt: skip
    """The tensor of `size` with `values` (elements, …) at `indices` (axes, elements), 0 elsewhere.

    Without `size`, as large as the indices ask for.
    """
    if device is not None:
        usable(device)
    if values is None:
        size = indices if size is None else size
        indices, values = zeros((len(size), 0), dtype=int64), zeros((0,), dtype=dtype)
    index, vals = _given(indices, int64), _given(values, dtype)
    index = index.unsqueeze(1) if index._meta.ndim == 1 else index
    count, axes = index._meta.shape[0], vals._meta.shape[1:]
    top = index.amax(1).tolist() if index._meta.numel else [-1] * count
    if size is None:
        size = (*[n + 1 for n in top], *axes)
    if len(size) != count + len(axes):
        raise RuntimeError(
            f"'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = {len(size)}, "
            f"sparse_dim = {count}, dense_dim = {len(axes)}"
        )
    if not vals._meta.ndim:
        vals = vals.expand(index._meta.shape[1])
    if index._meta.shape[1] != vals._meta.shape[0]:
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{index._meta.shape[1]}, nnz from values: {vals._meta.shape[0]}"
        )
    for k, (n, length) in enumerate(zip(top, size)):
        if n >= length:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {k}, size is {length} but found index "
                f"{n}"
            )
    out = made(index, vals, tuple(size), bool(is_coalesced))
    return out.detach().requires_grad_() if requires_grad else out


@public(method=False)
def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *,
    dtype: dtype | None = None, device: Any = None, requires_grad: bool = False,
    check_invariants: bool | None = None, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The matrix whose row i has `values` crow[i] … crow[i + 1] in the columns `col_indices`."""
    if device is not None:
        usable(device)
    crow, col = _given(crow_indices, int64), _given(col_indices, int64)
    vals = _given(values, dtype)
    rows = crow._meta.shape[0] - 1
    if size is None:
        size = (rows, int(col.max()) + 1 if col._meta.numel else 0)
    out = made(stack([_rows_of(crow), col]), vals, tuple(size), True, crow)
    return out.detach().requires_grad_() if requires_grad else out


def _rows_of(crow: Any) -> Any:
    """The row of each element of a CSR matrix."""
    counts = crow[1:] - crow[:-1]
    return counts.new_ones(counts._meta.shape).cumsum(0).sub(1).repeat_interleave(counts)


def _offsets(rows: Any, count: int) -> Any:
    """CSR's offsets of sorted rows."""
    counts = rows.new_zeros((count,)).index_add(0, rows, rows.new_ones(rows._meta.shape))
    return cat([counts.new_zeros((1,)), counts.cumsum(0)])


@method
def to_sparse(
    self: Any, sparse_dim: int | None = None, *, layout: layout | None = None, **kwargs: Any
) -> Tensor:
    """The elements that are not zero, of the first `sparse_dim` axes (or all) taken together."""
    if layout is sparse_csr:
        return to_sparse_csr(self)
    if isinstance(self, SparseTensor):
        return self if self._crow is None else made(
            self._index, linked(self), tuple(self.shape), True
        )  # fmt: skip
    if layout not in (None, sparse_coo):
        raise NotImplementedError(f"bital has no tensors of layout {layout}")
    axes = self._meta.ndim if sparse_dim is None else sparse_dim
    there = self.detach() != 0
    if axes < self._meta.ndim:
        there = there.flatten(axes).any(-1)
    index = there.nonzero().t()
    return made(index, self[tuple(index)], tuple(self.shape), True)


Tensor.to_sparse_coo = to_sparse  # type: ignore[attr-defined]


@method
def to_sparse_csr(self: Any, dense_dim: int | None = None) -> Tensor:
    """A matrix as compressed rows."""
    if self._meta.ndim != 2:
        raise RuntimeError(
            "to_sparse_csr: bital has matrices of this layout only, not tensors of "
            f"{self._meta.ndim} dimensions"
        )
    coo = to_sparse(self).coalesce()
    shape = tuple(self.shape)
    return made(coo._index, linked(coo), shape, True, _offsets(coo._index[0], shape[0]))


def _coalesce(self: SparseTensor) -> Any:
    """The same with one element for each place, in order."""
    if self._coalesced:
        return self
    sizes = tuple(self.shape)[: self._index._meta.shape[0]]
    flat = self._index.new_zeros(self._index._meta.shape[1:])
    for row, n in zip(self._index, sizes):
        flat = flat * n + row
    places, inverse = flat.unique(return_inverse=True)
    vals = linked(self)
    kept = vals.new_zeros((places._meta.shape[0], *vals._meta.shape[1:]))
    rows = []
    for n in reversed(sizes):
        rows.append(places % n)
        places = places // n
    index = stack(rows[::-1])
    return made(index, kept.index_add(0, inverse, vals), tuple(self.shape), True)


def _coalesced_part(self: SparseTensor, name: str) -> Any:
    if not self._coalesced:
        raise RuntimeError(
            f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first"
        )
    return self._index if name == "indices" else linked(self)


def _csr_only(self: SparseTensor, name: str) -> Any:
    if self._crow is None:
        raise RuntimeError(f"{name} expected sparse row compressed tensor layout but got Sparse")
    return self._crow if name == "crow_indices" else self._index[1]


for _name, _fn in {
    "coalesce": _coalesce,
    "is_coalesced": lambda self: self._coalesced,
    "indices": lambda self: _coalesced_part(self, "indices"),
    "values": lambda self: _coalesced_part(self, "values"),
    "_indices": lambda self: self._index,
    "_values": lambda self: linked(self),
    "_nnz": lambda self: self._index._meta.shape[1],
    "crow_indices": lambda self: _csr_only(self, "crow_indices"),
    "col_indices": lambda self: _csr_only(self, "col_indices"),
    "sparse_dim": lambda self: self._index._meta.shape[0],
    "dense_dim": lambda self: self._meta.ndim - self._index._meta.shape[0],
}.items():
    setattr(SparseTensor, _name, _fn)


def _to_dense(self: Any, dtype: dtype | None = None, *, masked_grad: bool = True) -> Tensor:
    """The tensor with its zeros."""
    out: Any = _spread_out(linked(self), self._index, tuple(self.shape))
    return out if dtype is None else cast(out, dtype)


def _transpose(self: Any, dim0: int, dim1: int) -> Any:
    axes = [normalize_dim(k, self._meta.ndim) for k in (dim0, dim1)]
    if max(axes) >= self._index._meta.shape[0]:
        raise RuntimeError("transpose: bital exchanges the sparse axes of sparse tensors only")
    order = list(range(self._meta.ndim))
    order[axes[0]], order[axes[1]] = axes[1], axes[0]
    index = self._index[order[: self._index._meta.shape[0]]]
    return made(index, linked(self), tuple([self.shape[k] for k in order]))


_LINEAR = ("float", "double", "half", "bfloat16", "int", "long", "to", "type", "clone", "neg")
_KEEP_ZERO = (
    "abs", "asin", "atan", "ceil", "expm1", "floor", "log1p", "pow", "relu", "round", "sign",
    "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip


def _by_values(name: str, linear: bool = False) -> Callable:
    """A method as it is applied to values; those of one place are added up before, or after."""

    def of_values(self: Any, *args: Any, **kwargs: Any) -> Any:
        whole = self if linear else self.coalesce()
        return like(whole, getattr(linked(whole), name)(*args, **kwargs))

    of_values.__name__ = name
    return of_values


for _name in _LINEAR:
    setattr(SparseTensor, _name, _by_values(_name, linear=True))
for _name in _KEEP_ZERO:
    setattr(SparseTensor, _name, _by_values(_name))
for _name, _member in {
    "__neg__": _by_values("neg", linear=True),
    "__pow__": _by_values("pow"),
    "to_dense": _to_dense,
    "transpose": _transpose,
    "t": lambda self: _transpose(self, 0, 1),
    "T": property(lambda self: _transpose(self, 0, 1)),
    "mT": property(lambda self: _transpose(self, 0, 1)),
    "index_select": lambda self, dim, index: self.to_dense().index_select(dim, index).to_sparse(),
}.items():
    setattr(SparseTensor, _name, _member)
