"""Matrix products: mm, bmm, mv, dot and the `@` that is all of them.

Room: ops. The products of matrices take flags for transposed operands, so that gradients of
products are products and nothing has to be turned around in memory. Half precision is multiplied
in float32 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, FLOAT, LOW_PRECISION
from bital.base.extent import hint
from bital.base.size import broadcast_shapes
from bital.base.stride import reshape_strides
from bital.ir.batch import Batch, Batching
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, method, public
from bital.ops.family import conj
from bital.tensor.dispatch import apply, as_it_is
from bital.tensor.recorders import binary_with
from bital.tensor.tensor import Tensor, requires, strides_of

Ints = tuple[int, ...]
_PLAIN = (False, False)
#: C++ names of dtypes, as PyTorch's messages have them
C_NAMES = {
    "float32": "float", "float64": "double", "bfloat16": "c10::BFloat16", "float16": "c10::Half",
    "int64": "long int", "int32": "int", "int16": "short int", "int8": "signed char",
    "uint8": "unsigned char", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}  # fmt: skip


def check_factors(a: Meta, b: Meta, kernel: str = "addmm_impl_cpu_") -> None:
    """PyTorch's errors for dtypes that are not multiplied with each other, or at all."""
    if a.dtype is not b.dtype:
        x, y = (C_NAMES.get(m.dtype.name, m.dtype.name) for m in (a, b))
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {x} != {y}")
    if a.dtype.category == BOOL:
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def check_batches(a: Meta, b: Meta) -> None:
    """PyTorch's errors for dtypes of batches of matrices."""
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected scalar type {a.dtype.legacy_name} but found {b.dtype.legacy_name}"
        )
    if a.dtype.category == BOOL:
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")


def check_vector(x: Meta, a: Meta, v: Meta) -> None:
    """PyTorch's errors for dtypes of a vector x to which a product of a and v is added."""
    kinds = [m.dtype for m in (x, a, v)]
    if len(set(kinds)) > 1:
        first, second, third = [d.legacy_name for d in kinds]
        raise RuntimeError(
            f"addmv input tensors must have the same dtype, but got {first}, {second}, and {third}"
        )
    if a.dtype.category == BOOL:
        raise NotImplementedError("\"addmv_impl_cpu\" not implemented for 'Bool'")


def product(a: Any, b: Any) -> Any:
    """The product of matrices (M, K) and (K, N), or of a matrix and a vector."""
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":
        return np.dot(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.dot(a, b)


def products(a: Any, b: Any) -> Any:
    """The products of matrices (..., M, K) and (..., K, N), their batches broadcast."""
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":
        return np.matmul(a.astype(np.float32), b.astype(np.float32), order="C").astype(a.dtype)
    return np.matmul(a, b, order="C")


def many_products(a: Any, b: Any) -> Any:
    """`products` of arrays whose batches may be broadcast ones, each in the shortest way."""
    if not isinstance(b, np.ndarray):  # what is compiled finds its own way
        return products(a, b)
    if a.shape[-1] == 1 and a.dtype.itemsize > 2:  # outer products
        return np.multiply(a, b, order="C")
    if b.ndim > 2 and not any(b.strides[:-2]) and a.ndim > 2 and any(a.strides[:-2]):
        b = b[(0,) * (b.ndim - 2)]  # one and the same factor: its products are one product
        shape = (*a.shape[:-1], b.shape[-1])
        return products(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(shape)
    return products(a, b)


def of_matrices(multiply: Callable) -> Batching:
    """How an operator of two matrices is batched: `multiply(a, b, **attributes)` for batches."""

    def batching(batch: Batch) -> Callable:
        full = [batch.full(k) for k in range(len(batch.metas))]

        def call(*args: Any) -> Any:
            return multiply(*[line(a) for line, a in zip(full, args)], **batch.kwargs)

        return call

    return batching


def _turned_products(a: Any, b: Any, turn_a: bool, turn_b: bool, **_: Any) -> Any:
    return many_products(_swapped(a) if turn_a else a, _swapped(b) if turn_b else b)


def _vectors(a: Any, b: Any) -> Any:
    return many_products(a[..., None, :], b[..., None])[..., 0, 0]


def _mm_rule(a: Meta, b: Meta, turn_a: bool, turn_b: bool) -> tuple[Meta, dict]:
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    check_factors(a, b)
    m, k = a.shape[::-1] if turn_a else a.shape
    k2, n = b.shape[::-1] if turn_b else b.shape
    if k != k2:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {k2}x{n})")
    attrs = {"turn_a": turn_a, "turn_b": turn_b, "half": a.dtype in LOW_PRECISION}
    return meta_of((m, n), a.dtype, a.device), attrs


#: elements of the second factor up to which `dot` is the faster call
_DOT_BELOW = 4096


def _mm_impl(xp: Any, a: Any, b: Any, *, turn_a: bool, turn_b: bool, half: bool) -> Any:
    if turn_a:
        a = a.T
    if turn_b:
        if xp is np and 4 * a.shape[0] < b.shape[0] and not half:
            return xp.matmul(b, a.T).T  # few rows: BLAS takes a third less for the turned product
        b = b.T
    if half:
        return product(a, b)
    # dot has the smaller overhead, but fills the result with zeros first
    return a.dot(b) if hint(b.size) < _DOT_BELOW else xp.matmul(a, b)


def _mm_vjp_a(g: Tensor, b: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    # out = A B with A, B perhaps turned: dA = g B^T, and the transpose of that where A is turned
    if turn_a:
        return matrix_product(conj(b), g, (turn_b, True))
    return matrix_product(g, conj(b), (False, not turn_b))


def _mm_vjp_b(g: Tensor, a: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    if turn_b:
        return matrix_product(g, conj(a), (True, turn_a))
    return matrix_product(conj(a), g, (not turn_a, False))


_MM = Op(
    "mm",
    _mm_rule,
    _mm_impl,
    inputs=("a", "b"),
    vjp=(_mm_vjp_a, _mm_vjp_b),
    grad_fn="MmBackward0",
    positive_zero=True,
    batch=of_matrices(_turned_products),
)
#: the product of two matrices, each turned if its flag of the third argument says so
matrix_product = binary_with(_MM)


@public(out=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of matrices (M, K) and (K, N), as `torch.mm`."""
    if not isinstance(mat2, Tensor):
        check_tensor(mat2, "mm", "mat2", 2)
    return matrix_product(input, mat2, _PLAIN)


def _swapped(x: Any) -> Any:
    return x.swapaxes(-1, -2)


def _batches(a: Meta, b: Meta, turn_a: bool, turn_b: bool) -> tuple[Meta, dict]:
    """The rule of products of matrices in batches that broadcast."""
    check_batches(a, b)
    m, k = (a.shape[-1], a.shape[-2]) if turn_a else a.shape[-2:]
    k2, n = (b.shape[-1], b.shape[-2]) if turn_b else b.shape[-2:]
    batch = broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    if k != k2:
        total = math.prod(batch)
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{total}, {k}] but got: [{total}, {k2}]."
        )
    return meta_of((*batch, m, n), a.dtype, a.device), {"turn_a": turn_a, "turn_b": turn_b}


def _bmm_rule(a: Meta, b: Meta, turn_a: bool, turn_b: bool) -> tuple[Meta, dict]:
    for k, m in enumerate((a, b)):
        if m.ndim != 3:
            raise RuntimeError(f"batch{k + 1} must be a 3D tensor")
    first, inner = a.shape[0], a.shape[1 if turn_a else 2]
    if (b.shape[0], b.shape[2 if turn_b else 1]) != (first, inner):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{first}, {inner}] "
            f"but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    return _batches(a, b, turn_a, turn_b)


def _bmm_impl(xp: Any, a: Any, b: Any, *, turn_a: bool, turn_b: bool) -> Any:
    return products(_swapped(a) if turn_a else a, _swapped(b) if turn_b else b)


def _bmm_vjp_a(g: Tensor, b: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    if turn_a:
        return batch_product(conj(b), g, (turn_b, True))
    return batch_product(g, conj(b), (False, not turn_b))


def _bmm_vjp_b(g: Tensor, a: Tensor, turn_a: bool, turn_b: bool) -> Tensor:
    if turn_b:
        return batch_product(g, conj(a), (True, turn_a))
    return batch_product(conj(a), g, (not turn_a, False))


def _batch_of_batches(batch: Batch) -> Callable:
    """Batches broadcast, so that the lanes are only more of them; a lone operand needs none."""
    rank = max(m.ndim for m in batch.metas)
    a, b = (batch.align(k, rank) for k in (0, 1))
    return lambda x, y: batch.fn(a(x), b(y))


def _batch_op(name: str, rule: Callable, grad_fn: str) -> Callable:
    return binary_with(
        Op(
            name,
            rule,
            _bmm_impl,
            inputs=("a", "b"),
            vjp=(_bmm_vjp_a, _bmm_vjp_b),
            grad_fn=grad_fn,
            batch=_batch_of_batches,
        )  # fmt: skip
    )


_bmm = _batch_op("bmm", _bmm_rule, "BmmBackward0")
#: products of matrices in batches that broadcast, with flags for turned ones
batch_product = _batch_op("batch_product", _batches, "UnsafeViewBackward0")
_matrix_by_batch = _batch_op("matrix_by_batch", _batches, "CloneBackward0")


@public(out=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of matrices (B, M, K) and (B, K, N), as `torch.bmm`."""
    return _bmm(check_tensor(input, "bmm"), check_tensor(mat2, "bmm", "mat2", 2), _PLAIN)


def rows_of(x: Any) -> Any:
    """(..., K) as a matrix of all its rows."""
    return x if x.ndim == 2 else x.reshape(-1 if x.size else math.prod(x.shape[:-1]), x.shape[-1])


def _fold_rule(x: Meta, w: Meta, turned: bool) -> tuple[Meta, dict]:
    check_factors(x, w)
    k, n = w.shape[::-1] if turned else w.shape
    if x.shape[-1] != k:
        rows = math.prod(x.shape[:-1])
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {k}x{n})"
        )
    out = meta_of((*x.shape[:-1], n), x.dtype, x.device)
    return out, {"turned": turned, "shape": out.shape}


def _fold_impl(xp: Any, x: Any, w: Any, *, turned: bool, shape: Ints) -> Any:
    return product(rows_of(x), w.T if turned else w).reshape(shape)


def _fold_many(x: Any, w: Any, turned: bool, shape: Ints) -> Any:
    rows = x.reshape(*w.shape[:-2], -1 if x.size else math.prod(shape[:-1]), x.shape[-1])
    return many_products(rows, _swapped(w) if turned else w).reshape(*w.shape[:-2], *shape)


#: (..., K) by a matrix (K, N), or by the transpose of one (N, K): one product of all the rows
_FOLD = Op(
    "fold_product",
    _fold_rule,
    _fold_impl,
    inputs=("x", "w"),
    vjp=(
        lambda g, w, turned: fold_product(g, conj(w), (not turned,)),
        lambda g, x, turned: sum_of_outer(g, conj(x)) if turned else sum_of_outer(conj(x), g),
    ),
    grad_fn="UnsafeViewBackward0",
    batch=of_matrices(_fold_many),
)
fold_product = binary_with(_FOLD)


def _outer_rule(x: Meta, g: Meta) -> tuple[Meta, dict]:
    return meta_of((x.shape[-1], g.shape[-1]), x.dtype, x.device), {}


def _sum_many(batch: Batch) -> Callable:
    full, sizes = (batch.full(0), batch.full(1)), batch.sizes

    def call(x: Any, g: Any) -> Any:
        x, g = (line(a) for line, a in zip(full, (x, g)))
        count = math.prod(x.shape[len(sizes) : -1])
        x, g = (a.reshape(*sizes, count, a.shape[-1]) for a in (x, g))
        return many_products(_swapped(x), g)

    return call


#: the sum over all rows of their outer products: what a matrix gets from (..., K) and (..., N)
_SUM_OF_OUTER = Op(
    "sum_of_outer",
    _outer_rule,
    lambda xp, x, g: product(rows_of(x).T, rows_of(g)),
    batch=_sum_many,
    inputs=("x", "g_"),
    vjp=(
        lambda h, g_: fold_product(conj(g_), h, (True,)),
        lambda h, x: fold_product(conj(x), h, (False,)),
    ),
    grad_fn="MmBackward0",
)


def sum_of_outer(x: Tensor, g: Tensor) -> Tensor:
    """The sum over rows of x (..., K) and g (..., N) of their outer products, (K, N)."""
    if x._meta.ndim == 2 == g._meta.ndim:
        return matrix_product(x, g, (True, False))
    return apply(_SUM_OF_OUTER, (x, g))


def _vector_rule(a: Meta, v: Meta) -> tuple[Meta, dict]:
    check_vector(v, a, v)
    if a.shape[-1] != v.shape[0]:
        if a.ndim == 2:
            raise RuntimeError(
                f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec "
                f"({v.shape[0]})"
            )
        raise RuntimeError(
            f"size mismatch, got input ({math.prod(a.shape[:-1])}), mat "
            f"({math.prod(a.shape[:-1])}x{a.shape[-1]}), vec ({v.shape[0]})"
        )
    out = meta_of(a.shape[:-1], a.dtype, a.device)
    return out, {"shape": out.shape}


def _vector_impl(xp: Any, a: Any, v: Any, *, shape: Ints) -> Any:
    return product(rows_of(a), v).reshape(shape)


def _column(g: Tensor) -> Tensor:
    return g.unsqueeze(-1)


def _vector_many(a: Any, v: Any, shape: Ints) -> Any:
    lanes = v.shape[:-1]
    if not isinstance(v, np.ndarray):  # what is compiled finds its own way
        return products(a.reshape(*lanes, -1, a.shape[-1]), v[..., None]).reshape(*lanes, *shape)
    if any(v.strides[:-1]) and not any(a.strides[: len(lanes)]) and lanes:
        a = a[(0,) * len(lanes)]  # one matrix: all its products with vectors are one product
        out = products(v.reshape(math.prod(lanes), v.shape[-1]), rows_of(a).T)
        return out.reshape(*lanes, *shape)
    rows = a.reshape(*lanes, math.prod(shape), a.shape[-1])
    return many_products(rows, v[..., None]).reshape(*lanes, *shape)


def _recorded(op: Op) -> Callable:
    """What records an operator of two tensors and nothing else."""
    record = binary_with(op)
    return lambda a, b: record(a, b, ())


def _vector_op(name: str, grad_fn: str) -> Callable:
    """(..., K) by a vector (K): one sum of products per row."""
    op = Op(
        name,
        _vector_rule,
        _vector_impl,
        inputs=("a", "v"),
        vjp=(
            lambda g, v: _column(g) * conj(v),
            lambda g, a: sum_of_outer(conj(a), _column(g)).view(-1),
        ),
        grad_fn=grad_fn,
        batch=of_matrices(_vector_many),
    )
    return _recorded(op)


_matrix_vector = _vector_op("mv", "MvBackward0")
_rows_by_vector = _vector_op("rows_by_vector", "UnsafeViewBackward0")


@public(out=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (M, K) and a vector (K), as `torch.mv`."""
    check_tensor(input, "mv")
    check_tensor(vec, "mv", "vec", 2)
    if input._meta.ndim != 2 or vec._meta.ndim != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got 1, {input._meta.ndim}, {vec._meta.ndim}"
        )
    return _matrix_vector(input, vec)


def _row_rule(v: Meta, w: Meta) -> tuple[Meta, dict]:
    check_factors(v, w)
    if v.shape[0] != w.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied (1x{v.shape[0]} and "
            f"{w.shape[0]}x{w.shape[1]})"
        )
    return meta_of((w.shape[1],), v.dtype, v.device), {}


#: a vector (K) by a matrix (K, N)
_ROW_BY_MATRIX = Op(
    "row_by_matrix",
    _row_rule,
    lambda xp, v, w: product(v, w),
    inputs=("v", "w"),
    batch=of_matrices(lambda v, w: many_products(v[..., None, :], w)[..., 0, :]),
    vjp=(
        lambda g, w: _matrix_vector(conj(w), g),
        lambda g, v: _column(conj(v)) * g,
    ),
    grad_fn="SqueezeBackward4",
)


_row_by_matrix = _recorded(_ROW_BY_MATRIX)


def _dot_rule(name: str) -> Callable:
    def rule(a: Meta, b: Meta) -> tuple[Meta, dict]:
        if a.ndim != 1 or b.ndim != 1:
            raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
        if a.dtype is not b.dtype:
            raise RuntimeError(
                f"dot : expected both vectors to have same dtype, but found "
                f"{a.dtype.legacy_name} and {b.dtype.legacy_name}"
            )
        if a.numel != b.numel:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor [{a.numel}] and src [{b.numel}] to "
                f"have the same number of elements, but got {a.numel} and {b.numel} elements "
                "respectively"
            )
        if a.dtype.category == BOOL:
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
        return meta_of((), a.dtype, a.device), {}

    return rule


_DOT = Op(
    "dot",
    _dot_rule("dot"),
    lambda xp, a, b: product(a, b),
    inputs=("a", "b"),
    vjp=(lambda g, b: g * conj(b), lambda g, a: g * conj(a)),
    batch=of_matrices(_vectors),
)
_dot = _recorded(_DOT)
_VDOT = Op(
    "vdot",
    _dot_rule("vdot"),
    lambda xp, a, b: product(a.conj() if a.dtype.kind == "c" else a, b),
    inputs=("a", "b"),
    vjp=(lambda g, b: conj(g) * b, lambda g, a: g * a),
    batch=of_matrices(lambda a, b: _vectors(a.conj(), b)),
)


@public(out=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors' elements, as `torch.dot`."""
    return _dot(check_tensor(input, "dot"), check_tensor(tensor, "dot", "tensor", 2))


@public(out=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """As `dot`, the first vector conjugated."""
    return apply(_VDOT, (check_tensor(input, "vdot"), check_tensor(other, "vdot", "other", 2)))


@public(out=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product of tensors of any rank, batches broadcast, as `torch.matmul`."""
    if not isinstance(other, Tensor):
        check_tensor(other, "matmul", "other", 2)
    if not isinstance(input, Tensor):
        check_tensor(input, "matmul")
    m, n = input._meta.ndim, other._meta.ndim
    if m == 2 == n:
        return matrix_product(input, other, _PLAIN)
    if not m or not n:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D"
        )
    if n == 1:
        if m == 1:
            return _dot(input, other)
        return _matrix_vector(input, other) if m == 2 else _rows_by_vector(input, other)
    if n == 2:
        return _row_by_matrix(input, other) if m == 1 else fold_product(input, other, (False,))
    if m == 1:
        return _vector_by_batch(input, other)
    if m == 2 and requires(input) and input._meta.dtype.category >= FLOAT:
        return _matrix_by_batch(input, _folded(other), _PLAIN)
    return batch_product(input, other, _PLAIN)


def _folded(t: Tensor) -> Tensor:
    """The batch for a matrix to be multiplied by, which PyTorch turns and folds into one.

    Where that takes a copy, it is the copy that backward keeps: the batch may be written to.
    """
    *batch, k, n = t._meta.shape
    *steps, down, across = strides_of(t)
    rows = (math.prod(batch) * n, k)
    lies_so = reshape_strides((*batch, n, k), (*steps, across, down), rows) is not None
    return t if lies_so else as_it_is(t)


def _vector_by_batch(v: Tensor, other: Tensor) -> Tensor:
    """A vector by matrices: the turned matrices by the vector."""
    check_vector(v._meta, other._meta, v._meta)
    if v._meta.numel != other._meta.shape[-2]:
        *batch, k, n = other._meta.shape
        raise RuntimeError(
            f"size mismatch, got input ({math.prod(batch) * n}), mat ({math.prod(batch) * n}x{k}), "
            f"vec ({v._meta.numel})"
        )
    return _rows_by_vector(other.transpose(-1, -2), v)


public("linalg", name="matmul", method=False, out=True)(matmul)


@method
def __matmul__(self: Tensor, other: Any) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


@method
def __rmatmul__(self: Tensor, other: Any) -> Any:
    return matmul(other, self) if isinstance(other, Tensor) else NotImplemented
