"""Singular values and vectors, A = U S V^H.

Room: ops. Gradient, with E_ij = S_j^2 - S_i^2 off the diagonal and skew(X) = X - X^H (Townsend
2016, "Differentiating the singular value decomposition"; the complex diagonal: Wan and Zhang
2019, "Automatic differentiation for complex valued SVD"):
U [(skew(U^H g_U) / E) S + S (skew(V^H g_V) / E) + diag(g_S)] V^H, and what of g_U and g_V lies
outside the spaces of U and V, divided by S.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.eigen import free_of_phases, gaps, off_diagonal
from bital.ops.lapack import (
    check_floating,
    check_kernel,
    check_matrix,
    info_of,
    needs_gradient,
    no_info,
    refuse_failed,
)
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _rule(A: Meta, full: bool, vectors: bool) -> tuple:
    check_matrix(A, "linalg.svd")
    check_floating(A, "linalg.svd", low=True)
    check_kernel(A, "linalg_svd_cpu")
    *lead, m, n = A.shape
    k = min(m, n)
    shapes = [(*lead, m, m if full else k), (*lead, n if full else k, n)]
    U, Vh = [meta_of(s if vectors else (0,), A.dtype, A.device) for s in shapes]
    S = meta_of((*lead, k), A.dtype.to_real(), A.device)
    return (U, S, Vh, info_of(A)), {"full": full, "vectors": vectors}


#: `info` of a matrix with NaN or infinity in it, and of one that took too many steps
_NON_FINITE, _NO_CONVERGENCE = 1, 2


def _impl(xp: Any, x: Any, *, full: bool, vectors: bool) -> tuple:
    info = no_info(x)
    try:
        if vectors:
            return (*xp.linalg.svd(x, full), info)
        return np.empty(0, x.dtype), xp.linalg.svd(x, compute_uv=False), np.empty(0, x.dtype), info
    except np.linalg.LinAlgError:
        finite = xp.isfinite(x).all((-2, -1))
        info[...] = xp.where(finite, 0 if not finite.all() else _NO_CONVERGENCE, _NON_FINITE)
    # nobody sees these numbers: the functions below look at `info` first
    found = _impl(xp, xp.zeros(x.shape, x.dtype), full=full, vectors=vectors)
    return (*found[:3], info)


_ILL_DEFINED = (
    "svd_backward: The singular vectors in the complex case are specified up to multiplication by "
    "e^{i phi}. The specified loss function depends on this phase term, making it ill-defined."
)


def _skew_parts(left: Tensor | None, right: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """X - X^H of both; of complex ones the sum is checked for phases."""
    a, b = [None if x is None else x - x.mH for x in (left, right)]
    given = [x for x in (a, b) if x is not None]
    if given[0]._meta.dtype.category != COMPLEX:
        return a, b
    both = free_of_phases(sum(given[1:], given[0]), _ILL_DEFINED)
    if a is None:
        return None, both
    return both if b is None else both - b, b


def _vjp(g: Any, out0: Tensor, out1: Tensor, out2: Tensor) -> Tensor:
    S = out1
    m, n, k = out0._meta.shape[-2], out2._meta.shape[-1], S._meta.shape[-1]
    U, Vh = out0.narrow(-1, 0, k), out2.narrow(-2, 0, k)
    gU, gS, gVh, _ = g
    columns, rows = S.unsqueeze(-2), S.unsqueeze(-1)
    if gU is None and gVh is None:
        return (U * gS.unsqueeze(-2)) @ Vh
    left = right = None
    if gU is not None:
        gU = gU.narrow(-1, 0, k)
        left = U.mH @ gU
    if gVh is not None:
        gVh = gVh.narrow(-2, 0, k)
        right = Vh @ gVh.mH
    turn_u, turn_v = _skew_parts(left, right)
    apart = gaps(S * S)
    parts = [] if gS is None else [gS.diag_embed()]
    if turn_u is not None:
        parts.append(off_diagonal(turn_u) / apart * columns)
        if turn_u._meta.dtype.category == COMPLEX:
            parts.append((turn_u.diagonal(dim1=-2, dim2=-1) / (2 * S)).diag_embed())
    if turn_v is not None:
        parts.append(rows * (off_diagonal(turn_v) / apart))
    found = U @ sum(parts[1:], parts[0]) @ Vh
    if m > k and left is not None:
        found = found + ((gU - U @ left) / columns) @ Vh
    if n > k and right is not None:
        found = found + U @ ((gVh - right.mH @ Vh) / rows)
    return found


_SVD = Op(
    "linalg_svd",
    _rule,
    _impl,
    inputs=("A",),
    vjp=(_vjp,),
    grad_fn="LinalgSvdBackward0",
    batch=again(),
)
_LinalgSvd = named("linalg_svd", "U", "S", "Vh")
_OldSvd = named("svd", "U", "S", "V")


def _failed(info: int) -> str:
    why = (
        "contained non-finite values."
        if info == _NON_FINITE
        else f"is ill-conditioned or has too many repeated singular values (error code: {info})."
    )
    return f"The algorithm failed to converge because the input matrix {why}"


def decomposed(A: Tensor, full: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V^H), for rules and compositions that need it."""
    U, S, Vh, info = apply(_SVD, (A,), (full, True))
    refuse_failed(info, "linalg.svd", _failed)
    return U, S, Vh


def singular_values(A: Tensor) -> Tensor:
    """The singular values; the vectors are found where a gradient needs them."""
    _, S, _, info = apply(_SVD, (A,), (False, needs_gradient(A)))
    refuse_failed(info, "linalg.svd", _failed)
    return S


@public("linalg", name="svd", method=False, out=True)
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with A = U S Vh for A (..., M, N): S descending, U and Vh of orthonormal vectors.

    Without `full_matrices` only the first min(M, N) vectors are given. The vectors' gradient is of
    use where all singular values differ, and no function of their signs or phases. NaN and
    infinity raise LinAlgError. `driver` is for GPUs.
    """
    check_tensor(A, "linalg_svd", "A")
    _no_driver(driver)
    return _LinalgSvd(decomposed(A, bool(full_matrices)))


def _no_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@public("linalg", method=False, out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of A (..., M, N), descending, (..., min(M, N))."""
    _no_driver(driver)
    return singular_values(check_tensor(A, "linalg_svdvals", "A"))


@public(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with A = U S V^H, square U and V unless `some`; zeros without `compute_uv`."""
    meta = check_tensor(input, "svd")._meta
    if compute_uv:
        U, S, Vh = decomposed(input, not some)
        return _OldSvd((U, S, Vh.mH))
    S = singular_values(input)
    *lead, m, n = meta.shape
    return _OldSvd((input.new_zeros((*lead, m, m)), S, input.new_zeros((*lead, n, n))))
