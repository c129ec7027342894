"""Sparse tensors in coordinate form: what gradients of large tables of embeddings are.

Room: ops. A sparse tensor holds two dense ones, the places and the numbers there; it has no storage
of its own, so an operator that has no form for it is refused where it asks for the elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.device import usable
from bital.base.dtype import int64
from bital.base.errors import Unsupported
from bital.base.layout import layout, sparse_coo
from bital.ir.meta import Meta, meta_of
from bital.ops.api import check_tensor, method, public
from bital.ops.data import as_tensor
from bital.ops.join import cat, stack
from bital.tensor.tensor import Tensor


class _Nowhere:
    """In place of a storage."""

    version = 0

    @property
    def value(self) -> Any:
        raise Unsupported("bital has this operator for dense tensors only; use to_dense()")


class SparseTensor(Tensor):
    """A tensor that is zero but in the places `_indices()`, shape (sparse_dim, nnz).

    `_values()`, shape (nnz, *dense sizes), holds the numbers; where a place is named several times
    they are added up. It carries no history of its own.
    """

    __slots__ = ("_where", "_numbers", "_coalesced")
    __module__ = "torch"
    is_sparse = True  # type: ignore[assignment]

    @property
    def layout(self) -> layout:
        return sparse_coo

    def _indices(self) -> Tensor:
        return self._where

    def _values(self) -> Tensor:
        return self._numbers

    def _nnz(self) -> int:
        """How many places are named."""
        return self._where._meta.shape[1]

    def indices(self) -> Tensor:
        """The places, of a coalesced tensor."""
        self._need_coalesced("indices")
        return self._where

    def values(self) -> Tensor:
        """The numbers, of a coalesced tensor."""
        self._need_coalesced("values")
        return self._numbers

    def _need_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(
                f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first"
            )

    def sparse_dim(self) -> int:
        """How many axes the places have."""
        return self._where._meta.shape[0]

    def dense_dim(self) -> int:
        """How many axes the number of a place has."""
        return self._numbers._meta.ndim - 1

    def is_coalesced(self) -> bool:
        """Whether every place is named once, in order."""
        return self._coalesced

    def coalesce(self) -> SparseTensor:
        """The same tensor with every place named once, in order; the places are looked at."""
        if self._coalesced or self._nnz() < 2:
            return sparse(self._where, self._numbers, self._meta.shape, True)
        flat, *others = self._where.unbind(0)
        for size, row in zip(self._meta.shape[1:], others):
            flat = flat * size + row
        places, which = flat.unique(return_inverse=True)
        shape = (places.numel(), *self._numbers._meta.shape[1:])
        totals = self._numbers.new_zeros(shape).index_add(0, which, self._numbers)
        rows = []
        for size in reversed(self._meta.shape[: self.sparse_dim()]):
            rows.append(places % size)
            places = places // size
        return sparse(stack(rows[::-1]), totals, self._meta.shape, True)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The same as a dense tensor."""
        out = add_into(self._numbers.new_zeros(self._meta.shape), self)
        return out if dtype is None else out.to(dtype)

    def to_sparse(self, *args: Any) -> SparseTensor:
        """The tensor itself."""
        return self

    def _mapped(self, fn: Callable[[Tensor], Tensor]) -> SparseTensor:
        return sparse(self._where, fn(self._numbers), self._meta.shape, self._coalesced)

    def detach(self) -> SparseTensor:
        """The tensor, which has no history."""
        return self._mapped(lambda v: v.detach())

    def clone(self, *, memory_format: Any = None) -> SparseTensor:
        """A copy."""
        return self._mapped(lambda v: v.clone())

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """The numbers in another dtype."""
        return self._mapped(lambda v: v.to(*args, **kwargs))

    def neg(self) -> SparseTensor:
        """The numbers with the other sign."""
        return self._mapped(lambda v: -v)

    def mul(self, other: Any) -> SparseTensor:
        """Times a number."""
        if isinstance(other, Tensor) and other._meta.ndim:
            raise Unsupported("bital multiplies sparse tensors by numbers only")
        return self._mapped(lambda v: v * other)

    def div(self, other: Any) -> SparseTensor:
        """Divided by a number."""
        if isinstance(other, Tensor) and other._meta.ndim:
            raise Unsupported("bital divides sparse tensors by numbers only")
        return self._mapped(lambda v: v / other)

    def add(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        """The sum with `alpha` times another sparse tensor."""
        if not isinstance(other, SparseTensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        where = cat([self._where, other._where], 1)
        return sparse(where, cat([self._numbers, other._numbers * alpha], 0), self._meta.shape)

    def _become(self, other: SparseTensor) -> SparseTensor:
        self._where, self._numbers = other._where, other._numbers
        self._coalesced = other._coalesced
        return self

    def add_(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        """`add` into the tensor itself."""
        return self._become(self.add(other, alpha=alpha))

    def mul_(self, other: Any) -> SparseTensor:
        """`mul` into the tensor itself."""
        return self._become(self.mul(other))

    def zero_(self) -> SparseTensor:
        """Name no place any more."""
        none = sparse(self._where[:, :0], self._numbers[:0], self._meta.shape, True)
        return self._become(none)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        """Refused: a sparse tensor is a gradient, and has none."""
        if requires_grad:
            raise Unsupported("bital has no gradients of sparse tensors")
        return self

    __neg__ = neg
    __mul__ = __rmul__ = mul
    __truediv__ = div

    def __add__(self, other: Any) -> Tensor:
        if isinstance(other, SparseTensor):
            return self.add(other)
        return add_into(other.clone(), self)

    __radd__ = __add__

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        where, numbers = (
            str(t.detach()).replace("\n", "\n" + " " * pad)
            for t, pad in ((self._where, 15), (self._numbers, 14))
        )
        return (
            f"tensor(indices={where},\n       values={numbers},\n       "
            f"size={tuple(self._meta.shape)}, nnz={self._nnz()}, layout=torch.sparse_coo)"
        )

    __str__ = __repr__


def sparse(
    where: Tensor, numbers: Tensor, size: tuple[int, ...], coalesced: bool = False
) -> SparseTensor:
    """The sparse tensor of places, numbers and a size, which must fit each other."""
    out = object.__new__(SparseTensor)
    meta: Meta = meta_of(tuple(size), numbers._meta.dtype, numbers._meta.device)
    out._storage = _Nowhere()  # type: ignore[assignment]
    out._meta, out._view, out._edge, out._grad = meta, None, None, None
    out._where, out._numbers, out._coalesced = where, numbers, coalesced
    return out


def places_of(t: SparseTensor) -> tuple[Tensor, ...]:
    """The places as indices of a dense tensor."""
    return tuple(t._where.unbind(0))


def add_into(dense: Tensor, t: SparseTensor, alpha: Any = 1) -> Tensor:
    """Add `alpha` times a sparse tensor to a dense one in place; returns it."""
    return dense.index_put_(places_of(t), t._numbers * alpha, accumulate=True)


@public(method=False)
def sparse_coo_tensor(
    indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """A sparse tensor of `indices` (sparse_dim, nnz) and `values` (nnz, *), as PyTorch's.

    Without `size` it is as small as the places allow. Raises RuntimeError where they do not fit.
    """
    if device is not None:
        usable(device)
    where, numbers = as_tensor(indices).to(int64), as_tensor(values, dtype)
    if where._meta.ndim != 2:
        raise RuntimeError(
            "indices must be sparse_dim x nnz, but got: " + str(list(where._meta.shape))
        )
    count = where._meta.shape[1]
    if not numbers._meta.ndim:
        numbers = numbers.expand(count).clone()
    if numbers._meta.shape[0] != count:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {count}, nnz from "
            f"values: {numbers._meta.shape[0]}"
        )
    largest = where.amax(1).tolist() if count else [-1] * where._meta.shape[0]
    dense = tuple(numbers._meta.shape[1:])
    size = (*[k + 1 for k in largest], *dense) if size is None else tuple(size)
    if len(size) != len(largest) + len(dense):
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({len(largest)}) + dense_dim "
            f"({len(dense)}), but got {len(size)}"
        )
    for axis, (top, length) in enumerate(zip(largest, size)):
        if top >= length:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {axis}, size is {length} but found "
                f"index {top}"
            )
    made = sparse(where, numbers.detach(), size, bool(is_coalesced))
    return made.requires_grad_(requires_grad)


@method
def to_sparse(self: Tensor) -> SparseTensor:
    """The tensor in coordinate form; its elements are looked at."""
    where = check_tensor(self, "to_sparse").detach().nonzero().t().contiguous()
    return sparse(where, self.detach()[tuple(where.unbind(0))], self._meta.shape, True)


@method
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """The tensor itself, which is dense."""
    return self if dtype is None else self.to(dtype)
