"""Determinants: det, slogdet, logdet.

Room: ops. The gradient of det is the matrix of cofactors, det(A) A^-T. It exists for singular A as
well, and so does its derivative: with A = U S V^H, cof(A) = cof(U) cof(S) cof(V^H), cof(U) =
det(U) conj(U), and the cofactors of a diagonal matrix are products of all elements but one.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import COMPLEX
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.create import eye
from bital.ops.family import conj
from bital.ops.inverse import inverse_of, inverses
from bital.ops.lapack import check_floating, check_kernel, check_square
from bital.ops.mask import where
from bital.ops.return_types import named
from bital.ops.svd import decomposed
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _det_rule(A: Meta) -> tuple[Meta, dict]:
    check_square(A, "linalg.det")
    check_floating(A, "linalg.det", low=True)
    check_kernel(A, "lu_cpu")
    return meta_of(A.shape[:-2], A.dtype, A.device), {}


def _scaled(x: Tensor) -> Tensor:
    """Numbers (...) as matrices (..., 1, 1)."""
    return x.unsqueeze(-1).unsqueeze(-1)


_DET = Op(
    "linalg_det",
    _det_rule,
    lambda xp, x: xp.asarray(xp.linalg.det(x)),
    inputs=("A",),
    vjp=(lambda g, A: _scaled(g) * conj(apply(_COFACTORS, (A,))),),
    grad_fn="LinalgDetBackward0",
    batch=again(),
)


def _cofactors(xp: Any, x: Any) -> Any:
    inverse, info = inverses(xp, x)
    # a small pivot makes a small determinant and a large inverse, and its error cancels
    out = xp.linalg.det(x)[..., None, None] * inverse.swapaxes(-1, -2)
    singular = info != 0
    if singular.any():
        u, s, vh = xp.linalg.svd(x[singular])
        others = xp.stack([xp.delete(s, k, -1).prod(-1) for k in range(s.shape[-1])], -1)
        sign = (xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]
        out[singular] = sign * ((u.conj() * others[..., None, :]) @ vh.conj())
    return xp.ascontiguousarray(out)


def _cofactors_vjp(g: Tensor, A: Tensor) -> Tensor:
    """The gradient through the cofactors, by the derivative of those of a diagonal matrix.

    With P_ij the product of all s but the i-th and j-th, and E the change of S: the i-th diagonal
    element changes by sum_j P_ij E_jj, j not i, and the element (i, j) by -P_ij E_ji.
    """
    U, S, Vh = decomposed(A)
    n = S._meta.shape[-1]
    one = eye(n)
    left_out = one.unsqueeze(1) + one.unsqueeze(0) > 0  # (i, j, l): whether l is i or j
    P = where(left_out, 1.0, S.unsqueeze(-2).unsqueeze(-2)).prod(-1).to(A._meta.dtype)
    P = P * (1 - one).to(A._meta.dtype)
    sign = conj(apply(_DET, (U,)) * apply(_DET, (Vh,)))
    inner = _scaled(sign) * (U.mT @ g @ Vh.mT)
    diagonal = (P @ inner.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)).squeeze(-1)
    return U @ (diagonal.diag_embed() - P * inner.mT) @ Vh


_COFACTORS = Op(
    "cofactors", lambda A: (A, {}), _cofactors, inputs=("A",), vjp=(_cofactors_vjp,), batch=again()
)


@public(out=True)
def det(input: Tensor) -> Tensor:
    """The determinants of square matrices (..., N, N); singular ones have a gradient, too."""
    return apply(_DET, (check_tensor(input, "det"),))


@public("linalg", name="det", method=False, out=True)
def linalg_det(A: Tensor) -> Tensor:
    """The determinants of square matrices (..., N, N), as `torch.det`."""
    return apply(_DET, (check_tensor(A, "linalg_det", "A"),))


def _slogdet_rule(A: Meta) -> tuple[tuple[Meta, Meta], dict]:
    check_square(A, "linalg.slogdet")
    check_floating(A, "linalg.slogdet")
    lead = A.shape[:-2]
    return (
        meta_of(lead, A.dtype, A.device),
        meta_of(lead, A.dtype.to_real(), A.device),
    ), {}


def _slogdet_impl(xp: Any, x: Any) -> tuple[Any, Any]:
    sign, size = xp.linalg.slogdet(x)
    return xp.asarray(sign), xp.asarray(size)


def _slogdet_vjp(g: Any, A: Tensor, out0: Tensor) -> Tensor | None:
    g_sign, g_size = g
    if A._meta.dtype.category == COMPLEX and g_sign is not None:
        turning = (conj(g_sign) * out0).imag * -1j
        g_size = turning if g_size is None else g_size + turning
    if g_size is None:
        return None
    return _scaled(g_size) * inverse_of(A).mH


_SLOGDET = Op(
    "linalg_slogdet",
    _slogdet_rule,
    _slogdet_impl,
    inputs=("A",),
    vjp=(_slogdet_vjp,),
    grad_fn="LinalgSlogdetBackward0",
    batch=again(),
)
_Slogdet = named("slogdet", "sign", "logabsdet")
_LinalgSlogdet = named("linalg_slogdet", "sign", "logabsdet")


@public(out=True)
def slogdet(input: Tensor) -> Any:
    """(sign, logabsdet) of the determinants of square matrices; 0 and -inf for singular ones."""
    return _Slogdet(apply(_SLOGDET, (check_tensor(input, "slogdet"),)))


@public("linalg", name="slogdet", method=False, out=True)
def linalg_slogdet(A: Tensor) -> Any:
    """(sign, logabsdet) of the determinants of square matrices, as `torch.slogdet`."""
    return _LinalgSlogdet(apply(_SLOGDET, (check_tensor(A, "linalg_slogdet", "A"),)))


@public()
def logdet(input: Tensor) -> Tensor:
    """The logarithms of determinants: NaN for negative ones, complex for complex matrices."""
    sign, size = apply(_SLOGDET, (check_tensor(input, "logdet"),))
    if sign._meta.dtype.category == COMPLEX:
        return sign.log() + size
    return where(sign == -1, float("nan"), size)
