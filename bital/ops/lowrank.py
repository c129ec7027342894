"""Approximate decompositions of low rank: svd_lowrank, pca_lowrank.

Room: ops. The range of A is found from products with random vectors and a few power iterations
(Halko, Martinsson and Tropp 2009, "Finding structure with randomness", algorithm 4.4), and what A
is within it is decomposed (algorithm 5.1).
"""

from __future__ import annotations

from bital.ops.api import check_tensor, public
from bital.ops.qr import linalg_qr
from bital.ops.random import randn
from bital.ops.svd import decomposed
from bital.tensor.tensor import Tensor


def _basis(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """Orthonormal columns that span nearly the range of A - M, (..., M, q)."""

    def product(A: Tensor, M: Tensor | None, X: Tensor) -> Tensor:
        out = A @ X
        out = out if M is None else out - M @ X
        return linalg_qr(out)[0]

    Q = product(A, M, randn(A._meta.shape[-1], q, dtype=A._meta.dtype))
    for _ in range(niter):
        Q = product(A.mH, None if M is None else M.mH, Q)
        Q = product(A, M, Q)
    return Q


def _svd_lowrank(A: Tensor, q: int, niter: int, M: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    m, n = A._meta.shape[-2:]
    if M is not None:
        M = M.broadcast_to(A._meta.shape)
    if m < n:
        A, M = A.mH, None if M is None else M.mH
    Q = _basis(A, q, niter, M)
    inside = Q.mH @ A if M is None else Q.mH @ A - Q.mH @ M
    U, S, Vh = decomposed(inside)
    U, V = Q @ U, Vh.mH
    return (V, S, U) if m < n else (U, S, V)


@public(method=False)
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with U diag(S) V^H near A - M, for A (..., M, N) of rank about q.

    q columns are found from random vectors, `niter` steps of iteration sharpen them.
    """
    check_tensor(A, "svd_lowrank", "A")
    return _svd_lowrank(A, 6 if q is None else q, 2 if niter is None else niter, M)


@public(method=False)
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of the rows of A (..., M, N), their mean subtracted for `center`.

    V's q columns (at most 6 by default) are the principal directions, S**2 / (M - 1) the variances.
    """
    m, n = check_tensor(A, "pca_lowrank", "A")._meta.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return _svd_lowrank(A - A.mean(-2, True) if center else A, q, niter, None)
