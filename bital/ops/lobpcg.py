"""A few extreme eigenpairs of a large symmetric matrix: lobpcg.

Room: ops. Knyazev 2001, "Toward the optimal preconditioned eigensolver: locally optimal block
preconditioned conjugate gradient method": in the space of the vectors, their residuals and their
last steps, whose basis is made orthonormal by QR, the best vectors are found by Rayleigh and Ritz.
"""

from __future__ import annotations

from typing import Any

from bital.base.dtype import FLOAT, finfo
from bital.base.errors import Unsupported
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.cholesky import linalg_cholesky
from bital.ops.create import eye
from bital.ops.eigen import decomposed_hermitian, gaps, off_diagonal
from bital.ops.inverse import solution_of
from bital.ops.join import cat
from bital.ops.norms import matrix_norm, vector_norm
from bital.ops.qr import linalg_qr
from bital.ops.random import randn
from bital.ops.triangular import solve_with
from bital.tensor.dispatch import composite
from bital.tensor.tensor import Tensor

#: steps at most where the caller gives no number
_STEPS = 1000


def _ritz(Q: Tensor, A: Tensor, n: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The n best values and vectors of A in the space of Q's orthonormal columns."""
    values, C = decomposed_hermitian(Q.mT @ A @ Q)
    if largest:
        values, C = values.flip(-1), C.flip(-1)
    return values.narrow(-1, 0, n), Q @ C.narrow(-1, 0, n)


def _iterated(
    A: Tensor, X: Tensor, k: int, iK: Tensor | None, tol: float, niter: int, largest: bool
) -> tuple[Tensor, Tensor]:
    n = X._meta.shape[-1]
    size = matrix_norm(A).unsqueeze(-1)
    E, X = _ritz(linalg_qr(X)[0], A, n, largest)
    step: list[Tensor] = []
    count = 0
    while count != niter:
        R = A @ X - X * E.unsqueeze(-2)
        if not (vector_norm(R, 2, -2) > tol * (size + E.abs())).narrow(-1, 0, k).any():
            break
        W = R if iK is None else iK @ R
        Q = linalg_qr(cat([X, W, *step], -1))[0]
        E, better = _ritz(Q, A, n, largest)
        step = [better - X @ (X.mT @ better)]
        X = better
        count += 1
    return E.narrow(-1, 0, k), X.narrow(-1, 0, k)


def _forward(
    A: Tensor, X: Tensor, *more: Tensor, k: int, has_b: bool, tol: float, niter: int, largest: bool
) -> tuple[Tensor, Tensor]:
    B = more[0] if has_b else None
    iK = more[-1] if len(more) > has_b else None
    if B is None:
        return _iterated(A, X, k, iK, tol, niter, largest)
    # A X = B X E is (L^-1 A L^-T) (L^T X) = (L^T X) E for B = L L^T
    L = linalg_cholesky(B)
    inner = solve_with(L.mT, solve_with(L, A, False), True, left=False)
    iK = None if iK is None else L.mT @ iK @ L
    E, Y = _iterated(inner, L.mT @ X, k, iK, tol, niter, largest)
    return E, solve_with(L.mT, Y, True)


def _rule(A: Meta, X: Meta, *args: Any) -> tuple:
    *more, k, has_b, tol, niter, largest = args
    outs = (
        meta_of((*X.shape[:-2], k), A.dtype, A.device),
        meta_of((*X.shape[:-1], k), A.dtype, A.device),
    )
    attrs = {"k": k, "has_b": has_b, "tol": tol, "niter": niter, "largest": largest}
    return outs, attrs


def _vjp(g: Any, A: Tensor, out0: Tensor, out1: Tensor, has_b: bool) -> Tensor:
    """As of all eigenpairs; of the vectors not found (A - E_i) z_i = -(1 - U U^T) g_i tells."""
    if has_b:
        raise RuntimeError("lobpcg.backward does not support backward with B != I yet.")
    (gE, gU), E, U = g, out0, out1
    inner = None if gE is None else gE.diag_embed()
    rest = None
    if gU is not None:
        inside = U.mT @ gU
        change = off_diagonal(inside) / gaps(E)
        inner = change if inner is None else inner + change
        outside = (gU - U @ inside).mT.unsqueeze(-1)
        # in the space of U the matrices are moved away from zero, which changes no z
        far = (E.amax(-1) - E.amin(-1)).unsqueeze(-1).unsqueeze(-1) * 2 + 1
        one = eye(A._meta.shape[-1], dtype=A._meta.dtype)
        moved = (A + far * (U @ U.mT)).unsqueeze(-3) - E.unsqueeze(-1).unsqueeze(-1) * one
        rest = -solution_of(moved, outside).squeeze(-1).mT @ U.mT
    found = U @ inner @ U.mT  # type: ignore[operator]
    found = found if rest is None else found + rest
    return (found + found.mT) * 0.5


_LOBPCG = Op("lobpcg", _rule, None, inputs=("A", "X", "B", "iK"), vjp=(_vjp, None, None, None))


@public(method=False)
def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: dict | None = None,
    ortho_fparams: dict | None = None,
    ortho_bparams: dict | None = None,
) -> tuple[Tensor, Tensor]:
    """(E, X): k extreme eigenvalues of symmetric A (..., M, M), and vectors with A X = B X E.

    X begins with n random columns, `iK` is a preconditioner; it ends where all residuals are within
    `tol` of the size of A, by default the root of the precision, or after `niter` steps. Both
    values of `method` mean the one that orthonormalises, so the parameters for that are not used.
    Gradients go to A where there is no B.
    """
    shape = check_tensor(A, "lobpcg", "A")._meta.shape
    if A._meta.ndim < 2 or shape[-1] != shape[-2]:
        raise AssertionError(f"A must be square, got shape {shape}")
    if A._meta.dtype.category != FLOAT:
        raise RuntimeError(f"lobpcg: expected floating point numbers, got {A._meta.dtype}")
    if tracker is not None:
        raise Unsupported("bital's lobpcg has no tracker")
    m = shape[-1]
    k = (1 if X is None else X._meta.shape[-1]) if k is None else k
    n = (k if X is None else X._meta.shape[-1]) if n is None else n
    if m < 3 * n:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3"
            f" x the number of requested eigenpairs (={n})"
        )
    if not 0 < k <= n:
        raise RuntimeError(f"lobpcg: expected 0 < k <= n, got k={k} and n={n}")
    if X is None:
        X = randn(*shape[:-2], m, n, dtype=A._meta.dtype)
    tensors = tuple([t for t in (A, X, B, iK) if t is not None])
    tol = finfo(A._meta.dtype).eps ** 0.5 if tol is None else tol
    attrs = (k, B is not None, float(tol), _STEPS if niter is None else niter, largest is not False)
    return composite(_LOBPCG, _forward, tensors, attrs)
