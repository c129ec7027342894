"""Functions of whole matrices and special matrices: matrix_exp, vander, vecdot, diagonal.

Room: ops. The gradient of the exponential is the upper right block of exp([[A^H, g], [0, A^H]])
(Al-Mohy and Higham 2009, "Computing the Frechet derivative of the matrix exponential").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import BOOL, LOW_PRECISION
from bital.ir.batch import again
from bital.ir.meta import Meta
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import conj
from bital.ops.join import cat, stack
from bital.ops.lapack import check_floating, check_square
from bital.ops.matmul import vdot
from bital.ops.part import diagonal
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _exp_rule(A: Meta) -> tuple[Meta, dict]:
    check_square(A, "linalg.matrix_exp")
    check_floating(A, "linalg.matrix_exp", low=True)
    return A, {}


#: the coefficients of Pade's approximant of degree 13, and the norm up to which it is exact to
#: double precision (Higham 2005, "The scaling and squaring method for the matrix exponential")
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
    129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0,
    960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_EXACT_TO = 5.371920351148152


def _exp_impl(xp: Any, x: Any) -> Any:
    # in double precision, as squaring magnifies errors
    wide = x.astype(xp.complex128 if x.dtype.kind == "c" else xp.float64)
    with np.errstate(all="ignore"):
        return _exponential(xp, wide).astype(x.dtype)


def _exponential(xp: Any, a: Any) -> Any:
    """exp(A) = (exp(A / 2^s))^(2^s), with every matrix's own s."""
    if not a.size:
        return a
    size = xp.abs(a).sum(-2).max(-1)
    finite = xp.isfinite(size)
    s = xp.ceil(xp.log2(xp.maximum(xp.where(finite, size, 0) / _EXACT_TO, 1))).astype(int)
    a = xp.where(finite[..., None, None], a, 0) * xp.exp2(-s)[..., None, None]
    one = xp.eye(a.shape[-1])
    b = _PADE
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2
    odd = a @ (odd + b[1] * one)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2
    even += b[0] * one
    out = xp.linalg.solve(even - odd, even + odd)
    for k in range(s.max()):
        more = s > k
        out[more] = out[more] @ out[more]
    out[~finite] = np.nan
    return out


def _exp_vjp(g: Tensor, A: Tensor) -> Tensor:
    n = A._meta.shape[-1]
    turned = A.mH
    above = cat([turned, g], -1)
    below = cat([turned.new_zeros(turned._meta.shape), turned], -1)
    return apply(_EXP, (cat([above, below], -2),)).narrow(-2, 0, n).narrow(-1, n, n)


_EXP = Op(
    "linalg_matrix_exp",
    _exp_rule,
    _exp_impl,
    inputs=("A",),
    vjp=(_exp_vjp,),
    grad_fn="LinalgMatrixExpBackward0",
    batch=again(),
)


@public()
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices (..., N, N): the sum of all A^k / k!."""
    return apply(_EXP, (check_tensor(input, "matrix_exp"),))


@public("linalg", name="matrix_exp", method=False)
def linalg_matrix_exp(input: Tensor) -> Tensor:
    """`torch.matrix_exp(A)`."""
    return matrix_exp(check_tensor(input, "linalg_matrix_exp"))


@public(method=False)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of powers of a vector's elements, highest first unless `increasing`."""
    check_tensor(x, "vander", "x")
    if x._meta.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x._meta.numel if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = [x.new_ones(x.shape).to(x.dtype)]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    if not count:
        return x.new_empty((x._meta.numel, 0))
    return stack(powers if increasing else powers[::-1], 1)


@public("linalg", name="vander", method=False)
def linalg_vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 (by default as many as the last axis is long) along a new last axis."""
    meta = check_tensor(x, "linalg_vander", "x")._meta
    if meta.dtype.category == BOOL or meta.dtype in LOW_PRECISION:
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got "
            f"{meta.dtype.legacy_name}"
        )
    if not meta.ndim:
        x = x.unsqueeze(-1)
    shape = x._meta.shape
    count = shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    powers = x.unsqueeze(-1).expand(*shape, count - 1).cumprod(-1)
    return cat([powers.new_ones((*shape, 1)), powers], -1)


@public("linalg", method=False, out=True)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sums of conj(x) y along `dim`, other axes broadcast."""
    a = check_tensor(x, "linalg_vecdot", "x")._meta
    b = check_tensor(y, "linalg_vecdot", "y", 2)._meta
    check_floating(a, "linalg.vecdot", low=True)
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{a.dtype.legacy_name} and y of type {b.dtype.legacy_name} instead"
        )
    if a.ndim == 1 == b.ndim:
        return vdot(x, y)
    return (conj(x) * y).sum(dim)


@public("linalg", name="diagonal", method=False)
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """`torch.diagonal` over the last two axes by default."""
    return diagonal(check_tensor(A, "linalg_diagonal", "A"), offset, dim1, dim2)
