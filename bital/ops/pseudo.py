"""The pseudoinverse, rank, condition and least squares.

Room: ops. Gradient of P = A^+: -P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A) (Golub and
Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear least squares problems").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, FLOAT, LOW_PRECISION, finfo, int64
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, type_error
from bital.ops.eigen import decomposed_hermitian, hermitian_values
from bital.ops.inverse import inverse_of, is_vector
from bital.ops.lapack import batch, check_matrix, check_square
from bital.ops.mask import where
from bital.ops.norms import matrix_norm
from bital.ops.return_types import named
from bital.ops.svd import decomposed, singular_values
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor


def _threshold(A: Meta, largest: Tensor, atol: Any, rtol: Any, fn: str) -> Tensor:
    """Below what singular values (..., K) count as 0: max(atol, rtol largest), (..., 1).

    Without rtol it is the precision times the longer side, or 0 where atol is given.
    """
    for name, t in (("atol", atol), ("rtol", rtol)):
        if isinstance(t, Tensor) and t._meta.dtype.category == COMPLEX:
            raise RuntimeError(
                f"torch.linalg.{fn}: {name} tensor of complex type is not supported. Got "
                f"{t._meta.dtype.legacy_name}"
            )
    usual = finfo(A.dtype.to_real()).eps * max(A.shape[-2:])
    if rtol is None:
        if isinstance(atol, Tensor):
            rtol = where(atol > 0, 0.0, usual)
        else:
            rtol = 0.0 if atol else usual
    atol = 0.0 if atol is None else atol
    atol, rtol = (t.unsqueeze(-1) if isinstance(t, Tensor) else t for t in (atol, rtol))
    bound = largest * rtol
    return bound.maximum(atol) if isinstance(atol, Tensor) else bound.clamp_min(atol)


def _one_tolerance(fn: str, old: str, given: Any, atol: Any, rtol: Any) -> None:
    if given is not None and (atol is not None or rtol is not None):
        raise TypeError(
            f"{fn}() received an invalid combination of arguments: {old} stands for atol and rtol"
        )


def _pinv_rule(A: Meta, hermitian: bool, lead: tuple[int, ...]) -> tuple[Meta, dict]:
    batch_shape = broadcast_shapes(tuple(A.shape[:-2]), lead)
    return meta_of((*batch_shape, A.shape[-1], A.shape[-2]), A.dtype, A.device), {
        "hermitian": hermitian
    }


def _pinv_vjp(g: Tensor, A: Tensor, out: Tensor) -> Tensor:
    P, Ph, gh = out, out.mH, g.mH
    outside = ((gh - A @ (P @ gh)) @ P) @ Ph + Ph @ (P @ (gh - (gh @ P) @ A))
    return outside - Ph @ g @ Ph


_PINV = Op(
    "linalg_pinv",
    _pinv_rule,
    None,
    inputs=("A",),
    vjp=(_pinv_vjp,),
    grad_fn="LinalgPinvBackward0",
)


def _pinv(A: Tensor, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
    meta = A._meta
    if meta.ndim < 2 or meta.dtype.category < FLOAT or meta.dtype in LOW_PRECISION:
        raise RuntimeError(
            f"linalg.pinv({meta.dtype.legacy_name}{{{list(meta.shape)}}}): expected a tensor with "
            "2 or more dimensions of float, double, cfloat or cdouble types"
        )
    if hermitian:
        check_square(meta, "linalg.eigh")

    def forward(A: Tensor, *, hermitian: bool) -> Tensor:
        if not A._meta.numel:
            return A.new_zeros((*A._meta.shape[:-2], A._meta.shape[-1], A._meta.shape[-2]))
        if hermitian:
            S, left = decomposed_hermitian(A)
            right, sizes = left.mH, S.abs()
            largest = sizes.amax(-1, True)
        else:
            U, S, Vh = decomposed(A)
            left, right, sizes = Vh.mH, U.mH, S
            largest = S.narrow(-1, 0, 1)
        inverse = where(sizes > _threshold(A._meta, largest, atol, rtol, "pinv"), 1 / S, 0.0)
        return (left * inverse.to(A._meta.dtype).unsqueeze(-2)) @ right

    lead: tuple[int, ...] = ()
    for t in (atol, rtol):
        if isinstance(t, Tensor):
            lead = broadcast_shapes(lead, tuple(t._meta.shape))
    return composite(_PINV, forward, (A,), (bool(hermitian), lead))


@public("linalg", method=False, out=True)
def pinv(
    input: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudoinverse of A (..., M, N), (..., N, M): singular values that count as 0 stay 0.

    That are those up to max(atol, rtol times the largest), either a number or a tensor with one
    per matrix; `rcond` is an older name of rtol. A Hermitian A is decomposed by `eigh`.
    """
    check_tensor(input, "linalg_pinv")
    _one_tolerance("linalg_pinv", "rcond", rcond, atol, rtol)
    if rcond is not None:
        atol, rtol = 0.0, rcond
    return _pinv(input, atol, rtol, hermitian)


@public()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`torch.linalg.pinv(input, rcond)`."""
    return _pinv(check_tensor(input, "pinverse"), 0.0, rcond, False)


@public("linalg", method=False, out=True)
def matrix_rank(
    input: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """How many singular values of A (..., M, N) are above max(atol, rtol times the largest).

    `tol` is an older name of atol, with rtol 0.
    """
    meta = check_tensor(input, "linalg_matrix_rank")._meta
    _one_tolerance("linalg_matrix_rank", "tol", tol, atol, rtol)
    if tol is not None:
        atol, rtol = tol, 0.0
    check_matrix(meta, "torch.linalg.matrix_rank")
    _check_plain(meta)
    if not meta.numel:
        return input.new_zeros(meta.shape[:-2], dtype=int64)
    input = input.detach()
    S = hermitian_values(input).abs() if hermitian else singular_values(input)
    return (_threshold(meta, S.amax(-1, True), atol, rtol, "matrix_rank") < S).sum(-1)


def _check_plain(x: Meta) -> None:
    if x.dtype.category < FLOAT or x.dtype in LOW_PRECISION:
        raise RuntimeError("This function doesn't handle types other than float and double")


@public("linalg", method=False, out=True)
def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition of matrices: the norm of A times that of its inverse, in the norm `p`.

    By default that is the largest singular value by the smallest; infinity for singular A.
    """
    meta = check_tensor(input, "linalg_cond")._meta
    if meta.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    by_values = p is None or (not isinstance(p, str) and abs(p) == 2)
    if not by_values:
        check_square(meta, f"linalg.cond(ord={p})")
    if not meta.numel:
        return input.new_zeros(meta.shape[:-2], dtype=meta.dtype.to_real())
    if by_values:
        S = singular_values(input)
        first, last = S.narrow(-1, 0, 1), S.narrow(-1, -1, 1)
        return (last / first if p == -2 else first / last).squeeze(-1)
    if p not in ("fro", "nuc") and (isinstance(p, str) or abs(p) not in (1, math.inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    product = matrix_norm(input, p) * matrix_norm(inverse_of(input), p)
    return product.nan_to_num(math.inf, math.inf, -math.inf)


_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _lstsq_rule(A: Meta, B: Meta, rcond: float, driver: str) -> tuple:
    lead = broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2]))
    m, n = A.shape[-2:]
    values = (*lead, min(m, n)) if driver in ("gelsd", "gelss") and A.numel else (0,)
    outs = (
        meta_of((*lead, n, B.shape[-1]), A.dtype, A.device),
        meta_of(lead, int64, A.device),
        meta_of(values, A.dtype.to_real(), A.device),
    )
    return outs, {"rcond": rcond, "driver": driver, "shapes": tuple([o.shape for o in outs])}


def _lstsq_impl(xp: Any, a: Any, b: Any, *, rcond: float, driver: str, shapes: tuple) -> tuple:
    from scipy.linalg import lstsq as solver

    x, rank = xp.zeros(shapes[0], a.dtype), xp.zeros(shapes[1], np.int64)
    values = xp.zeros(shapes[2], a.real.dtype)
    if not a.size or not b.size:
        return x, rank, values
    lead = shapes[1]
    a, b = (np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in (a, b))
    # of full rank by definition, A has no tolerance for gels
    method, cut = ("gelsd", 0.0) if driver == "gels" else (driver, rcond)
    for k in batch(a):
        x[k], _, rank[k], s = solver(a[k], b[k], cut, lapack_driver=method, check_finite=False)
        if values.size:
            values[k] = s
    return x, rank, values


def _lstsq_vjp(g: Any, A: Tensor, B: Tensor) -> tuple[Tensor | None, Tensor | None]:
    if g[0] is None:
        return None, None
    P = _pinv(A, None, None, False)
    return _pinv_vjp(g[0] @ B.mH, A, P), P.mH @ g[0]


_LSTSQ = Op(
    "linalg_lstsq",
    _lstsq_rule,
    _lstsq_impl,
    inputs=("A", "B"),
    vjp=_lstsq_vjp,
    grad_fn="LinalgLstsqBackward0",
    fallible=True,
)
_LinalgLstsq = named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")


def _check_lstsq(A: Meta, B: Meta, driver: str) -> bool:
    """PyTorch's checks of a least squares problem; whether B holds vectors."""
    fn = "torch.linalg.lstsq"
    check = [
        (A.ndim < 2, "input must have at least 2 dimensions."),
        (B.ndim < 1, "other must have at least 1 dimension."),
        (
            not 0 <= A.ndim - B.ndim <= 1,
            "input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) "
            "<= 1",
        ),
    ]
    for wrong, message in check:
        if wrong:
            raise RuntimeError(f"{fn}: {message}")
    vector = is_vector(A, B)
    axis = -1 if vector else -2
    if A.shape[-2] != B.shape[axis]:
        raise RuntimeError(f"{fn}: input.size(-2) should match other.size({axis})")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{fn}: Expected input and other to have the same dtype, but got input's dtype "
            f"{A.dtype.legacy_name} and other's dtype {B.dtype.legacy_name}"
        )
    _check_plain(A)
    if driver not in _DRIVERS:
        raise RuntimeError(f"{fn}: parameter `driver` should be one of ({', '.join(_DRIVERS)})")
    return vector


@public("linalg", method=False, out=True)
def lstsq(
    input: Tensor, b: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    """(solution, residuals, rank, singular_values) of min |A X - B| for A (..., M, N).

    B, the argument `b`, is (..., M) or (..., M, K). `residuals` are the squared lengths of A X - B
    where M > N and all A are of full rank, not for the driver "gelsy"; "gels" takes full rank for
    granted and gives no rank; singular values are given by "gelsd" and "gelss". What is not given
    is empty.
    """
    A = check_tensor(input, "linalg_lstsq")
    B = check_tensor(b, "linalg_lstsq", "b", 2)
    if rcond is not None and not isinstance(rcond, (int, float)):
        raise type_error("linalg_lstsq", "rcond", 3, rcond, "float")
    driver = "gelsy" if driver is None else driver
    vector = _check_lstsq(A._meta, B._meta, driver)
    if rcond is None:
        rcond = finfo(A._meta.dtype.to_real()).eps * max(A._meta.shape[-2:])
    sides = B.unsqueeze(-1) if vector else B
    X, rank, values = apply(_LSTSQ, (A, sides), (float(rcond), driver))
    m, n = A._meta.shape[-2:]
    full = driver == "gels" or (driver != "gelsy" and m > n and bool((rank == n).all()))
    if m > n and full:
        residuals = (A @ X - sides).abs().square().sum(-2)
        residuals = residuals.squeeze(-1) if vector else residuals
    else:
        residuals = X.abs().flatten().narrow(0, 0, 0)
    if driver == "gels":
        rank = rank.new_empty((0,))
    return _LinalgLstsq((X.squeeze(-1) if vector else X, residuals, rank, values.detach()))
