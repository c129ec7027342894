"""torch.sparse: products, sums and softmax of sparse matrices.

Room: ops. Products are SciPy's, imported when the first of them is computed.
"""

from __future__ import annotations

import functools
from typing import Any

from bital.base.dtype import LOW_PRECISION, dtype, float32
from bital.base.errors import Unsupported
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.api import public
from bital.ops.family import common_dtype
from bital.ops.matmul import matmul
from bital.ops.sparse import SparseTensor, linked, made
from bital.ops.sparse import like as with_values
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor

_declare = functools.partial(public, "sparse", method=False)


def _product_rule(rows: Meta, cols: Meta, values: Meta, other: Meta, n: int) -> tuple:
    return like(other, (n, other.shape[1])), {"n": n}


def _product_impl(xp: Any, rows: Any, cols: Any, values: Any, other: Any, *, n: int) -> Any:
    from scipy import sparse

    matrix = sparse.coo_array((values, (rows, cols)), shape=(n, other.shape[0]))
    return matrix.tocsr() @ xp.ascontiguousarray(other)


def _by_values(g: Tensor, rows: Any, cols: Any, other: Any) -> Any:
    return (g[rows] * other[cols].conj()).sum(1)


#: the matrix of n rows with `values` at (rows, cols), times the dense matrix `other`
_PRODUCT = Op(
    "sparse_mm",
    _product_rule,
    _product_impl,
    inputs=("rows", "cols", "values", "other"),
    vjp=(
        None,
        None,
        _by_values,
        lambda g, rows, cols, values, other_shape: apply(
            _PRODUCT, (cols, rows, values.conj(), g), (other_shape[0],)
        ),
    ),
    grad_fn="SparseAddmmBackward0",
    fallible=True,
)


def _product(a: Any, b: Any) -> Any:
    """a @ b of a sparse matrix and a dense matrix, a vector, or a sparse one (sparse, too)."""
    if isinstance(b, SparseTensor):
        return (a.to_dense() @ b.to_dense()).to_sparse()
    if not isinstance(a, SparseTensor) or a._meta.ndim != 2 or b._meta.ndim > 2:
        return matmul(a.to_dense() if isinstance(a, SparseTensor) else a, b)
    if b._meta.ndim == 1:
        return _product(a, b.unsqueeze(1)).squeeze(1)
    if a._meta.shape[1] != b._meta.shape[0]:
        shapes = "x".join(map(str, a._meta.shape)), "x".join(map(str, b._meta.shape))
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({shapes[0]} and {shapes[1]})"
        )
    d = common_dtype(a._meta, b._meta)
    wide = float32 if d in LOW_PRECISION else d
    operands = (*a._index, cast(linked(a), wide), cast(b, wide))
    return cast(apply(_PRODUCT, operands, (a._meta.shape[0],)), d)


SparseTensor.__matmul__ = SparseTensor.matmul = _product  # type: ignore[attr-defined]


def _matrices(a: Any, b: Any) -> None:
    for t in (a, b):
        if t._meta.ndim != 2:
            raise RuntimeError(f"sparse.mm: expected matrices, got a tensor of {t._meta.ndim} axes")


@_declare()
def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Tensor:
    """The product of two matrices, of which the first is sparse, or both.

    With `reduce` ("sum", "mean", "amax", "amin") the products of a row are put together so.
    """
    _matrices(mat1, mat2)
    if reduce in (None, "sum"):
        return _product(mat1, mat2)
    if not isinstance(mat1, SparseTensor):
        raise NotImplementedError(
            "sparse.mm: the first matrix of a reduction must be sparse (no tensor is under vmap)"
        )
    rows, cols = mat1._index
    terms = linked(mat1).unsqueeze(1) * mat2[cols]
    out = terms.new_zeros((mat1._meta.shape[0], mat2._meta.shape[1]))
    index = rows.unsqueeze(1).expand(terms._meta.shape)
    return out.scatter_reduce(0, index, terms, reduce, include_self=False)


SparseTensor.mm = SparseTensor.smm = mm  # type: ignore[attr-defined]
public(name="spmm", method=False)(lambda input, mat2: mm(input, mat2))


@_declare()
def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta mat + alpha mat1 @ mat2 with a sparse mat1."""
    return mat * beta + _product(mat1, mat2) * alpha


@_declare()
def sampled_addmm(
    input: Any, mat1: Any, mat2: Any, *, beta: float = 1.0, alpha: float = 1.0, out: Any = None
) -> Tensor:
    """beta input + alpha mat1 @ mat2 at the places of a CSR matrix only."""
    if not isinstance(input, SparseTensor) or not input.is_sparse_csr:
        raise RuntimeError("sampled_addmm: Expected self to have sparse csr layout")
    _matrices(mat1, mat2)
    if (mat1._meta.shape[0], mat2._meta.shape[1]) != tuple(input.shape):
        raise RuntimeError(
            "sampled_addmm: self's shape must be that of the product of mat1 and mat2"
        )
    rows, cols = input._index
    products = (mat1[rows] * mat2.t()[cols]).sum(1)
    result = with_values(input, linked(input) * beta + products * alpha)
    return result if out is None else out._become(result)


@_declare()
def sum(input: Any, dim: Any = None, dtype: dtype | None = None) -> Tensor:
    """The sum of all elements, or the sparse one over the axes `dim`."""
    if not isinstance(input, SparseTensor):
        raise RuntimeError("sparse.sum: expected a sparse tensor")
    x = input if dtype is None else input.to(dtype)
    if dim is None:
        return linked(x).sum()
    out: Any = x.to_dense().sum(dim)
    return out.to_sparse() if out._meta.ndim else out


def _soft(name: str) -> None:
    def fn(input: Any, dim: int, *, dtype: dtype | None = None) -> Tensor:
        x = (input if dtype is None else input.to(dtype)).coalesce()
        shape = tuple(x.shape)
        if len(shape) != x._index._meta.shape[0]:
            raise Unsupported(f"torch.sparse.{name}: bital has no sparse tensors with dense axes")
        dim = dim % len(shape)
        group = x._index.new_zeros(x._index._meta.shape[1:])
        for k, n in enumerate(shape):
            group = group if k == dim else group * n + x._index[k]
        count = int(group.max()) + 1 if group._meta.numel else 0
        values = linked(x)
        top = values.detach().new_zeros((count,))
        top = top.scatter_reduce(0, group, values.detach(), "amax", include_self=False)
        raised = (values - top[group]).exp()
        total = raised.new_zeros((count,)).index_add(0, group, raised)[group]
        soft = raised / total if name == "softmax" else values - top[group] - total.log()
        return made(x._index, soft, shape, True)

    fn.__doc__ = f"`{name}` along `dim` of the elements that are there, absent ones being -inf."
    _declare(name=name)(fn)


_soft("softmax")
_soft("log_softmax")
