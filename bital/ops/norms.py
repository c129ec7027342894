"""Norms of vectors and matrices, and distances between two tensors.

Room: ops. The gradient of a norm is a subgradient where there is no derivative: zero at zero,
shared among equals for the norms of infinite order. Formulas: PyTorch's documentation of
`torch.linalg.vector_norm`, and calculus.
"""

from __future__ import annotations

import math
from typing import Any

from bital.base.dtype import COMPLEX, FLOAT, INT, LOW_PRECISION, dtype, float32
from bital.base.size import broadcast_shapes, normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import NAMESPACES, check_tensor, numpy_names, public
from bital.ops.broadcast import repeat_over
from bital.ops.family import HALF, check_dtype, common_dtype, conj, elementwise_rule, masked_op
from bital.ops.peaks import shared_or_nan
from bital.ops.reduce import Dims, Ints, axes, hashable_dims, reduced, runs_of, total, widened
from bital.ops.svd import singular_values
from bital.tensor.dispatch import apply, composite
from bital.tensor.recorders import unary_with
from bital.tensor.tensor import Tensor

_INF = math.inf


def _check_dtype(x: Meta, d: dtype | None) -> dtype:
    """The dtype a norm is computed in, or PyTorch's error for what has none."""
    if x.dtype.category <= INT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{x.dtype.legacy_name}"
        )
    if d is None:
        return x.dtype
    if d.category <= INT:
        raise RuntimeError(
            "linalg.vector_norm: dtype should be floating point or complex, but got "
            f"{d.legacy_name}"
        )
    if (d.category == COMPLEX) != (x.dtype.category == COMPLEX):
        kind = "complex" if x.dtype.category == COMPLEX else "floating point"
        raise RuntimeError(
            f"linalg.vector_norm: dtype should be {kind} for {kind} inputs, but got {d.legacy_name}"
        )
    if d.to_real().itemsize < x.dtype.to_real().itemsize:
        raise RuntimeError(
            f"linalg.vector_norm: the dtype of the input ({x.dtype.legacy_name}) should be "
            f"convertible without narrowing to the specified dtype ({d.legacy_name})"
        )
    return d


def _rule(x: Meta, p: float, dims: Any, keepdim: bool, d: dtype | None) -> tuple:
    compute = _check_dtype(x, d)
    axis = axes(x, dims)
    if not x.numel and (p < 0 or p == _INF):
        if dims is None:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {p:g} norm on an empty tensor because the "
                "operation does not have an identity"
            )
        for k in axis:
            if not x.shape[k]:
                raise RuntimeError(
                    f"linalg.vector_norm cannot compute the {p:g} norm on the dimension {k} "
                    "because this dimension is empty and the operation does not have an identity"
                )
    out = reduced(x, axis, keepdim, compute.to_real())
    attrs = {"p": p, "axis": axis, "keepdims": keepdim, "runs": runs_of(x.shape, axis)}
    return out, attrs, compute


def _impl(xp: Any, x: Any, *, p: float, axis: Ints, keepdims: bool, runs: tuple | None) -> Any:
    d = x.real.dtype
    x = widened(x)
    if p == 2:
        squares = x.real * x.real
        if x.dtype.kind == "c":
            squares += x.imag * x.imag
        return xp.sqrt(total(xp, squares, axis, keepdims, runs)).astype(d, copy=False)
    size = xp.abs(x)
    if p == 1:
        out = total(xp, size, axis, keepdims, runs)
    elif p == 0:
        out = total(xp, (size != 0).astype(size.dtype), axis, keepdims, runs)
    elif p == _INF:
        out = xp.maximum.reduce(size, axis, None, None, keepdims)
    elif p == -_INF:
        out = xp.minimum.reduce(size, axis, None, None, keepdims)
    else:
        power = size.dtype.type(p)
        summed = total(xp, xp.power(size, power), axis, keepdims, runs)
        out = xp.power(summed, size.dtype.type(1 / p))
    return out.astype(d, copy=False)


#: its first operand where the second is not zero, else 0
_WHERE_NONZERO = masked_op("where_nonzero", lambda xp, t: t != 0, ("t",))


def _over(g: Tensor, norm: Tensor) -> Tensor:
    """g / norm, 0 where norm is 0; and so are the derivatives by g."""
    inverse = apply(_WHERE_NONZERO, (norm.reciprocal(), norm))  # type: ignore[attr-defined]
    return apply(_WHERE_NONZERO, (g * inverse, norm))


def norm_gradient(g: Tensor, x: Tensor, norm: Tensor, p: float, axis: Ints) -> Tensor | None:
    """The gradient of the p-norm over `axis`, of value `norm`, at x; None where there is none."""
    shape = x._meta.shape
    if p == 0:
        return None
    if p == 1:
        return repeat_over(g, shape, axis) * x.sgn()
    if p == 2:
        return x * repeat_over(_over(g, norm), shape, axis)
    if abs(p) == _INF:
        return shared_or_nan(g, x.abs(), norm, axis) * x.sgn()
    size = x.abs()
    if p < 2:
        direction = x.sgn() * apply(_WHERE_NONZERO, (size ** (p - 1), size))
    else:
        direction = x * size ** (p - 2)
    return direction * repeat_over(_over(g, norm ** (p - 1)), shape, axis)


_NORM = Op(
    "linalg_vector_norm",
    _rule,
    _impl,
    vjp=(lambda g, x, out, p, axis: norm_gradient(g, x, out, p, axis),),
    batch=again(1, all_for_none=True),
)


_norm = unary_with(_NORM)


def _order(p: Any, fn: str) -> float:
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"{fn}(): argument 'ord' must be Number, not {type(p).__name__}")
    return float(p)


@public("linalg", method=False, out=True)
@numpy_names
def vector_norm(
    input: Tensor,
    ord: Any = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """The norm of order `ord` over `dim` (all by default), as `torch.linalg.vector_norm`."""
    check_tensor(input, "linalg_vector_norm")
    p = _order(ord, "linalg_vector_norm")
    dims = hashable_dims(dim, "linalg_vector_norm")
    return _norm(input, (p, None if dims == () else dims, bool(keepdim), dtype))


def whole_norm(x: Tensor, p: float) -> Tensor:
    """`vector_norm(x, p)` of all elements, without its questions."""
    return _norm(x, (p, None, False, None))


def _matrix_axes(x: Tensor, dim: Any) -> tuple[int, int]:
    if x._meta.ndim < 2:
        raise RuntimeError(
            "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."
        )
    dims = tuple([normalize_dim(d, x._meta.ndim) for d in dim])
    if len(dims) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {list(dim)}")
    if dims[0] == dims[1]:
        raise RuntimeError(
            f"linalg.matrix_norm: dims must be different. Got ({dims[0]}, {dims[1]})"
        )
    return dims


@public("linalg", method=False, out=True)
@numpy_names
def matrix_norm(
    input: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """The norm of matrices, as `torch.linalg.matrix_norm`: "fro", "nuc", 1, 2, inf or minus them.

    The spectral and the nuclear norm are made of the singular values.
    """
    _check_dtype(check_tensor(input, "linalg_matrix_norm")._meta, dtype)
    rows, columns = _matrix_axes(input, dim)
    if ord == "fro":
        return vector_norm(input, 2, (rows, columns), keepdim, dtype=dtype)
    if ord == "nuc" or (not isinstance(ord, str) and abs(ord) == 2):
        return _of_singular_values(input, ord, (rows, columns), keepdim, dtype)
    if isinstance(ord, str) or abs(ord) not in (1, _INF):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = vector_norm(input, 1, inner, keepdim, dtype=dtype)
    if not keepdim and inner < outer:
        outer -= 1
    return sums.amax(outer, keepdim) if ord > 0 else sums.amin(outer, keepdim)


def _of_singular_values(
    A: Tensor, ord: Any, dims: tuple[int, int], keepdim: bool, d: dtype | None
) -> Tensor:
    A = A if d is None else A.to(d)
    values = singular_values(A.movedim(dims, (-2, -1)))
    if ord == "nuc":
        out = values.sum(-1)
    else:
        out = values.amax(-1) if ord > 0 else values.amin(-1)
    if keepdim:
        for k in sorted(dims):
            out = out.unsqueeze(k)
    return out


@public("linalg", name="norm", method=False, out=True)
@numpy_names
def linalg_norm(
    input: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *,
    dtype: dtype | None = None,
) -> Tensor:  # fmt: skip
    """The norm of vectors or matrices, as `torch.linalg.norm`: by `ord` and the number of dims."""
    ndim = check_tensor(input, "linalg_norm")._meta.ndim
    if dim is not None and not isinstance(dim, int) and len(dim) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}"
        )
    if ord is not None and dim is None and ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{ndim}D."
        )
    if isinstance(ord, str):
        return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    pair = ndim == 2 if dim is None else not isinstance(dim, int) and len(dim) == 2
    if ord is None or not pair:
        return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


@public()
@numpy_names
def norm(
    input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False,
    out: Tensor | None = None, dtype: dtype | None = None,
) -> Tensor:  # fmt: skip
    """The norm of order `p` over `dim`, as `torch.norm`: "fro" is 2, "nuc" is of matrices."""
    check_tensor(input, "norm")
    if p == "nuc":
        dims = (-2, -1) if dim is None else dim
        result = matrix_norm(input, "nuc", dims, keepdim, dtype=dtype)
    elif isinstance(p, str) and p != "fro":
        result = matrix_norm(input, p, (-2, -1), keepdim, dtype=dtype)
    else:
        order = 2 if p is None or p == "fro" else p
        result = vector_norm(input, order, dim, keepdim, dtype=dtype)
    return result if out is None else out.copy_(result)


def _dist_rule(a: Meta, b: Meta, p: float) -> tuple:
    out, _, compute = elementwise_rule("promote")(a, b)
    if compute.category <= INT:
        raise RuntimeError(
            "norm(): input dtype should be either floating point or complex. Got "
            f"{compute.legacy_name} instead."
        )
    return reduced(out, tuple(range(out.ndim)), False, compute.to_real()), {"p": p}


def _dist_vjp(g: Tensor, self: Tensor, other: Tensor, out: Tensor, p: float) -> Tensor | None:
    apart = self - other
    return norm_gradient(g, apart, out, p, tuple(range(apart._meta.ndim)))


def _dist_vjp_other(g: Tensor, self: Tensor, other: Tensor, out: Tensor, p: float) -> Tensor | None:
    return _dist_vjp(g, other, self, out, p)


_DIST = Op(
    "dist",
    _dist_rule,
    None,
    inputs=("self", "other"),
    vjp=(_dist_vjp, _dist_vjp_other),
)


@public()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference of two tensors, which broadcast."""
    check_tensor(input, "dist")
    check_tensor(other, "dist", "other", 2)
    return composite(_DIST, lambda a, b, *, p: vector_norm(a - b, p), (input, other), (float(p),))


def _renorm_rule(x: Meta, p: float, dim: int) -> tuple[Meta, dict]:
    k = normalize_dim(dim, x.ndim)
    if x.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {x.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    return x, {"p": p, "axis": tuple([i for i in range(x.ndim) if i != k])}


def _scale(norm: Tensor, maxnorm: float) -> tuple[Tensor, Tensor]:
    """What each slice is multiplied by, and where that is less than one."""
    too_long = norm > maxnorm
    change = apply(_WHERE_NONZERO, (maxnorm / (norm + 1e-7) - 1, too_long))
    return change + 1, too_long


def _length(x: Tensor, p: float, axis: Ints) -> Tensor:
    """The p-norm of each slice; of 16-bit types in float32, as PyTorch does it."""
    low = x._meta.dtype in LOW_PRECISION
    return vector_norm(x, p, axis, True, dtype=float32 if low else None)


def _renormed(x: Tensor, maxnorm: float, *, p: float, axis: Ints) -> Tensor:
    return (x * _scale(_length(x, p, axis), maxnorm)[0]).to(x._meta.dtype)


def _renorm_vjp(g: Tensor, x: Tensor, maxnorm: float, p: float, axis: Ints) -> Tensor:
    length = _length(x, p, axis)
    scale, too_long = _scale(length, maxnorm)
    along = g * conj(x)
    along = along.real if along._meta.dtype.category == COMPLEX else along
    slope = along.sum(axis, True) * (-maxnorm / (length + 1e-7) ** 2)
    slope = apply(_WHERE_NONZERO, (slope, too_long))
    return g * scale + norm_gradient(slope, x, length, p, axis)


_RENORM = Op("renorm", _renorm_rule, None, params=("maxnorm",), vjp=(_renorm_vjp,))


@public(inplace=True, out=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices along `dim` scaled down to p-norm `maxnorm` where theirs is larger."""
    check_tensor(input, "renorm")
    return composite(_RENORM, _renormed, (input,), (float(p), dim), (float(maxnorm),))


@public("torch", "nn.functional", method=False)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; norms count as at least `eps`."""
    d = common_dtype(check_tensor(x1, "cosine_similarity")._meta, x2._meta)
    if d.category <= INT:
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is " + d.legacy_name
        )
    if x1._meta.shape != x2._meta.shape:
        shape = broadcast_shapes(x1._meta.shape, x2._meta.shape)
        x1, x2 = x1.expand(shape), x2.expand(shape)
    lengths = [vector_norm(x, 2, dim, True).clamp_min(eps) for x in (x1, x2)]
    return ((x1 / lengths[0]) * (x2 / lengths[1])).sum(dim)


def _pairwise_rule(x: Meta, p: float, dims: Any, keepdim: bool) -> tuple:
    return _rule(x, p, dims, keepdim, None)


_NORM_OF_DIFFERENCE = Op(
    "norm",
    _pairwise_rule,
    _impl,
    vjp=(lambda g, x, out, p, axis: norm_gradient(g, x, out, p, axis),),
    grad_fn="NormBackward1",
)


@public("torch", "nn.functional", method=False)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last axis."""
    check_tensor(x1, "pairwise_distance", "x1")
    last = max(x1._meta.ndim, x2._meta.ndim) - 1
    return apply(_NORM_OF_DIFFERENCE, (x1 - x2 + eps,), (float(p), last, keepdim))


def _cdist_rule(a: Meta, b: Meta, p: float) -> tuple[Meta, dict]:
    for k, m in enumerate((a, b)):
        if m.dtype.category != 2:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, X{k + 1} got: {m.dtype.legacy_name}"
            )
    for k, m in enumerate((a, b)):
        if m.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{k + 1} got: {m.ndim}D")
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {a.shape[-1]} X2: {b.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    return a, {"p": p}


def _apart(x1: Tensor, x2: Tensor) -> Tensor:
    return x1.unsqueeze(-2) - x2.unsqueeze(-3)


def _cdist(x1: Tensor, x2: Tensor, *, p: float) -> Tensor:
    return vector_norm(_apart(x1, x2), p, -1)


def _euclidean(x1: Tensor, x2: Tensor, *, p: float) -> Tensor:
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b
    squares = (x1 * x1).sum(-1, True), (x2 * x2).sum(-1, True).mT
    both = squares[0] + squares[1] - 2 * (x1 @ x2.mT)
    return both.clamp_min(0).sqrt()


def _cdist_vjp(g: Tensor, x1: Tensor, x2: Tensor, out: Tensor, p: float) -> tuple:
    """The gradients of both sides."""
    if p == 2:
        pull = apply(_WHERE_NONZERO, (g / out, out))
        return (
            pull.sum(-1, True) * x1 - pull @ x2,
            pull.mT.sum(-1, True) * x2 - pull.mT @ x1,
        )
    apart = _apart(x1, x2)
    pull = norm_gradient(g, apart, out, p, (apart._meta.ndim - 1,))
    if pull is None:  # of the number of elements that differ
        return x1.new_zeros(x1._meta.shape), x2.new_zeros(x2._meta.shape)
    return (pull.sum(-2), -pull.sum(-3))


def _cdist_op(name: str, grad_fn: str) -> Op:
    return Op(
        name,
        _cdist_rule,
        None,
        inputs=("x1", "x2"),
        vjp=(
            lambda g, x1, x2, out, p: _cdist_vjp(g, x1, x2, out, p)[0],
            lambda g, x1, x2, out, p: _cdist_vjp(g, x1, x2, out, p)[1],
        ),
        grad_fn=grad_fn,
    )


_CDIST = _cdist_op("cdist", "CdistBackward0")
_EUCLIDEAN = _cdist_op("euclidean_distances", "ViewBackward0")
#: from more rows than this on, PyTorch's euclidean distances are made of a matrix product
_MANY_ROWS = 25


@public(method=False)
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:  # fmt: skip
    """The p-norm distances of all rows of x1 (..., P, M) to those of x2 (..., R, M)."""
    check_tensor(x1, "cdist", "x1")
    check_tensor(x2, "cdist", "x2", 2)
    rows = max([n for x in (x1, x2) for n in x._meta.shape[-2:-1]], default=0)
    by_product = compute_mode == "use_mm_for_euclid_dist" or (
        compute_mode == "use_mm_for_euclid_dist_if_necessary" and rows > _MANY_ROWS
    )
    if p == 2 and by_product:
        return composite(_EUCLIDEAN, _euclidean, (x1, x2), (2.0,))
    return composite(_CDIST, _cdist, (x1, x2), (float(p),))


@public(method=False)
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of v along all axes but `dim`, which stay with size 1; of all of v for -1."""
    if dim == -1:
        return norm(v, pow)
    axis = normalize_dim(dim, v._meta.ndim)
    others = [k for k in range(v._meta.ndim) if k != axis]
    return vector_norm(v, pow, others, True) if others else v.abs()


@public(method=False, name="_weight_norm")
def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """`g v / |v|`, the norms taken along all axes but `dim`."""
    return v * (g / norm_except_dim(v, 2, dim))


def _pdist_rule(x: Meta, p: float) -> tuple[Meta, dict]:
    if x.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {x.ndim}D")
    if x.dtype.category != FLOAT:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    check_dtype(x.dtype, (HALF,), "pdist")
    rows = x.shape[0]
    return meta_of((rows * (rows - 1) // 2,), x.dtype, x.device), {"p": p, "rows": rows}


def _pairs(x: Tensor, rows: int) -> tuple[Any, Any]:
    """The first and the second of every pair of rows."""
    indices = NAMESPACES["torch"]["triu_indices"](rows, rows, 1)
    return indices[0], indices[1]


def _pdist(x: Any, *, p: float, rows: int) -> Tensor:
    first, second = _pairs(x, rows)
    return vector_norm(x.index_select(0, first) - x.index_select(0, second), p, 1)


def _pdist_vjp(g: Tensor, x: Any, out: Tensor, p: float, rows: int) -> Tensor:
    first, second = _pairs(x, rows)
    apart = x.index_select(0, first) - x.index_select(0, second)
    pull = norm_gradient(g, apart, out, p, (1,))
    zeros = x.new_zeros(x._meta.shape)
    if pull is None:
        return zeros
    return zeros.index_add(0, first, pull).index_add(0, second, -pull)


_PDIST = Op("pdist", _pdist_rule, None, vjp=(_pdist_vjp,))


@public("torch", "nn.functional", method=False)
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances of all pairs of rows of (N, M), those of the first row first."""
    return composite(_PDIST, _pdist, (check_tensor(input, "pdist"),), (float(p),))
