"""Eigenvalues and eigenvectors: eigh, eig and their values alone.

Room: ops. Gradient for A V = V L, with E_ij = conj(L_j - L_i) off the diagonal:
g_A = V^-H [diag(g_L) + (V^H g_V - V^H V diag(Re V^H g_V)) / E] V^H (Boeddeker et al. 2017, "On the
computation of complex-valued gradients with application to statistically optimum beamforming").
For Hermitian A, V^-H is V, diag(Re V^H g_V) drops out, and the Hermitian part is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, INT
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, type_error
from bital.ops.create import eye
from bital.ops.inverse import solution_of
from bital.ops.lapack import (
    batch,
    check_kernel,
    check_square,
    info_of,
    needs_gradient,
    no_info,
    refuse_failed,
)
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, values_of


def _gauge_impl(xp: Any, x: Any, *, message: str) -> Any:
    phases = x.diagonal(axis1=-2, axis2=-1).imag
    if not (abs(phases) <= 1e-2).all():
        raise RuntimeError(message)
    return x.copy()


#: matrices V^H g_V as they are, if no loss of phases is among them: their diagonals must be real
_GAUGE = Op(
    "check_gauge",
    lambda x, message: (x, {"message": message}),
    _gauge_impl,
    vjp=(lambda g: g,),
    fallible=True,
)


def free_of_phases(x: Tensor, message: str) -> Tensor:
    """x, of complex gradients V^H g_V; RuntimeError where they depend on the vectors' phases."""
    return apply(_GAUGE, (x,), (message,)) if x._meta.dtype.category == COMPLEX else x


def _ill_defined(fn: str) -> str:
    return (
        f"{fn}_backward: The eigenvectors in the complex case are specified up to multiplication "
        "by e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
    )


def gaps(L: Tensor) -> Tensor:
    """L_j - L_i at (i, j), 1 on the diagonal."""
    one = eye(L._meta.shape[-1], dtype=L._meta.dtype)
    return L.unsqueeze(-2) - L.unsqueeze(-1) + one


def off_diagonal(x: Tensor) -> Tensor:
    """Square matrices with zeros on the diagonal."""
    return x * (1 - eye(x._meta.shape[-1], dtype=x._meta.dtype.to_real()))


def _eigh_rule(A: Meta, uplo: str, vectors: bool) -> tuple:
    check_square(A, "linalg.eigh")
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    check_kernel(A, "linalg_eigh_cpu")
    values = meta_of(A.shape[:-1], A.dtype.to_real(), A.device)
    held = A if vectors else meta_of((0,), A.dtype, A.device)
    return (values, held), {"uplo": uplo.upper(), "vectors": vectors}


def _eigh_of(x: Any, uplo: Any, vectors: bool) -> tuple[Any, Any]:
    if vectors:
        values, found = np.linalg.eigh(x, uplo)
        return values, found
    return np.linalg.eigvalsh(x, uplo), np.empty(0, x.dtype)


def _eigh_impl(xp: Any, x: Any, *, uplo: str, vectors: bool) -> tuple[Any, Any]:
    try:
        return _eigh_of(x, uplo, vectors)
    except np.linalg.LinAlgError:  # NaN or infinity: PyTorch gives NaN
        values = np.full(x.shape[:-1], np.nan, x.real.dtype)
        found = np.full_like(x, np.nan) if vectors else np.empty(0, x.dtype)
        for k in batch(x):
            if np.isfinite(x[k]).all():
                values[k], one = _eigh_of(x[k], uplo, vectors)
                if vectors:
                    found[k] = one
        return values, found


def _eigh_vjp(g: Any, out0: Tensor, out1: Tensor) -> Tensor:
    gL, gV = g
    V = out1
    if gV is None:
        return (V * gL.unsqueeze(-2)) @ V.mH
    inner = free_of_phases(V.mH @ gV, _ill_defined("linalg_eigh"))
    inner = off_diagonal(inner) / gaps(out0)
    inner = (inner + inner.mH) * 0.5  # A is Hermitian, and so is its gradient
    if gL is not None:
        inner = inner + gL.diag_embed()
    return V @ inner @ V.mH


_EIGH = Op(
    "linalg_eigh",
    _eigh_rule,
    _eigh_impl,
    inputs=("A",),
    vjp=(_eigh_vjp,),
    grad_fn="LinalgEighBackward0",
    batch=again(),
)
_LinalgEigh = named("linalg_eigh", "eigenvalues", "eigenvectors")


def decomposed_hermitian(A: Tensor) -> tuple[Tensor, Tensor]:
    """(eigenvalues, eigenvectors), for compositions that need them."""
    return apply(_EIGH, (A,), ("L", True))


def hermitian_values(A: Tensor, uplo: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices; the vectors are found where a gradient needs them."""
    return apply(_EIGH, (A,), (uplo, needs_gradient(A)))[0]


def _check_uplo(uplo: Any, fn: str) -> str:
    if not isinstance(uplo, str):
        raise type_error(fn, "UPLO", 2, uplo, "str")
    return uplo


@public("linalg", method=False, out=True)
def eigh(input: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of Hermitian matrices (..., N, N), the values ascending and real.

    Only the lower ("L") or the upper ("U") triangle is read; the vectors are orthonormal columns.
    Their gradient is of use where all values differ, and no function of the vectors' phases.
    """
    check_tensor(input, "linalg_eigh")
    return _LinalgEigh(apply(_EIGH, (input,), (_check_uplo(UPLO, "linalg_eigh"), True)))


@public("linalg", method=False, out=True)
def eigvalsh(input: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending, as those of `eigh`."""
    check_tensor(input, "linalg_eigvalsh")
    return hermitian_values(input, _check_uplo(UPLO, "linalg_eigvalsh"))


def _eig_rule(fn: str) -> Any:
    def rule(A: Meta, vectors: bool) -> tuple:
        check_square(A, fn)
        if A.dtype.category <= INT:
            raise RuntimeError(f"Unknown Complex ScalarType for {A.dtype.legacy_name}")
        check_kernel(A, "linalg_eig_out_cpu")
        d = A.dtype.to_complex()
        shape = A.shape if vectors else (0,)
        values = meta_of(A.shape[:-1], d, A.device)
        return (values, meta_of(shape, d, A.device), info_of(A)), {"vectors": vectors, "d": d.np}

    return rule


_NON_FINITE = -1


def _eig_impl(xp: Any, x: Any, *, vectors: bool, d: Any) -> tuple:
    info = no_info(x)
    finite = xp.isfinite(x).all((-2, -1))
    info[~finite] = _NON_FINITE
    x = x if finite.all() else xp.where(finite[..., None, None], x, 0)
    try:
        if not vectors:
            return xp.linalg.eigvals(x).astype(d), np.empty(0, d), info
        values, found = xp.linalg.eig(x)
    except np.linalg.LinAlgError:
        info[...] = 1
        values, found = np.full(x.shape[:-1], np.nan), np.full(x.shape if vectors else 0, np.nan)
    return values.astype(d), found.astype(d), info


def _eig_vjp(g: Any, out0: Tensor, out1: Tensor) -> Tensor:
    gL, gV, _ = g
    V = out1
    inner = None if gL is None else gL.diag_embed()
    if gV is not None:
        change = V.mH @ gV
        sizes = free_of_phases(change, _ill_defined("linalg_eig")).diagonal(dim1=-2, dim2=-1).real
        change = change - (V.mH @ V) * sizes.unsqueeze(-2)
        change = off_diagonal(change) / gaps(out0).conj()
        inner = change if inner is None else inner + change
    return solution_of(V.mH, inner @ V.mH)


def _eig_op(name: str, fn: str) -> Op:
    return Op(
        name,
        _eig_rule(fn),
        _eig_impl,
        inputs=("A",),
        vjp=(_eig_vjp,),
        grad_fn="LinalgEigBackward0",
    )


_EIG = _eig_op("linalg_eig", "linalg.eig")
_EIGVALS = _eig_op("linalg_eigvals", "linalg.eigvals")
_LinalgEig = named("linalg_eig", "eigenvalues", "eigenvectors")


def _eig_failed(info: Tensor) -> None:
    found = values_of(info)
    if (found == _NON_FINITE).any():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    refuse_failed(
        info,
        "torch.linalg.eig",
        lambda info: (
            "The algorithm failed to converge because the input matrix is ill-conditioned or has "
            f"too many repeated eigenvalues (error code: {info})."
        ),
    )


@public("linalg", method=False, out=True)
def eig(input: Tensor) -> Any:
    """(eigenvalues, eigenvectors) of square matrices (..., N, N), complex, in no order.

    The vectors are columns of length one. Their gradient is of use where all values differ, and no
    function of the vectors' phases. NaN and infinity raise RuntimeError.
    """
    *out, info = apply(_EIG, (check_tensor(input, "linalg_eig"),), (True,))
    _eig_failed(info)
    return _LinalgEig(out)


@public("linalg", method=False, out=True)
def eigvals(input: Tensor) -> Tensor:
    """The eigenvalues of square matrices, complex, in no order."""
    needed = needs_gradient(check_tensor(input, "linalg_eigvals"))
    out, _, info = apply(_EIGVALS, (input,), (needed,))
    _eig_failed(info)
    return out
