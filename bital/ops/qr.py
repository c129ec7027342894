"""The QR decomposition, and products of Householder's reflections.

Room: ops. Gradient of square and tall A = Q R: with M = R g_R^H - g_Q^H Q, its lower triangle
completed to a Hermitian C, g_A = (g_Q + Q C) R^-H (Walter and Lehmann 2012, "Algorithmic
differentiation of linear algebra functions"); the columns to the right of a wide one are products.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.size import normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public, type_error
from bital.ops.create import eye
from bital.ops.family import conj
from bital.ops.join import cat
from bital.ops.lapack import batch, check_floating, check_kernel, check_matrix, deprecated, lapack
from bital.ops.return_types import named
from bital.ops.triangular import solve_with
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _qr_rule(x: Meta, mode: str) -> tuple[tuple[Meta, Meta], dict]:
    check_matrix(x, "linalg.qr")
    check_floating(x, "linalg.qr", low=True)
    check_kernel(x, "geqrf_cpu")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    *lead, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    q = meta_of((0,) if mode == "r" else (*lead, m, k), x.dtype, x.device)
    return (q, meta_of((*lead, k, n), x.dtype, x.device)), {"mode": mode}


def _qr_impl(xp: Any, x: Any, *, mode: str) -> tuple[Any, Any]:
    got = xp.linalg.qr(x, mode=mode)
    return (np.empty(0, x.dtype), got) if mode == "r" else tuple(got)


def _qr_vjp(g: Any, out0: Tensor, out1: Tensor, mode: str) -> Tensor:
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    Q, R = out0, out1
    m, n = Q._meta.shape[-2], R._meta.shape[-1]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        )
    gQ, gR = (x.new_zeros(x._meta.shape) if d is None else d for d, x in zip(g, (Q, R)))
    if m >= n:
        return _tall_gradient(gQ, gR, Q, R)
    first, rest = R.narrow(-1, 0, m), R.narrow(-1, m, n - m)
    g_rest = gR.narrow(-1, m, n - m)
    square = _tall_gradient(gQ + Q @ (rest @ g_rest.mH), gR.narrow(-1, 0, m), Q, first)
    return cat([square, Q @ g_rest], -1)


def _tall_gradient(gQ: Tensor, gR: Tensor, Q: Tensor, R: Tensor) -> Tensor:
    M = R @ gR.mH - gQ.mH @ Q
    n = M._meta.shape[-1]
    keep = M.new_ones((n, n)).tril()
    lower = M * (keep - keep.triu() * 0.5)  # the diagonal halved
    return solve_with(R.mH, gQ + Q @ (lower + lower.mH), False, left=False)


_QR = Op(
    "linalg_qr",
    _qr_rule,
    _qr_impl,
    inputs=("A",),
    vjp=(_qr_vjp,),
    grad_fn="LinalgQrBackward0",
    batch=again(),
)
_LinalgQr = named("linalg_qr", "Q", "R")
_OldQr = named("qr", "Q", "R")


@public("linalg", method=False, name="qr", out=True)
def linalg_qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R, Q's columns orthonormal and R upper triangular, for A (..., M, N).

    `mode` is "reduced", "complete" (Q square) or "r" (Q empty, and no gradient).
    """
    check_tensor(A, "linalg_qr", "A")
    if not isinstance(mode, str):
        raise type_error("linalg_qr", "mode", 2, mode, "str")
    return _LinalgQr(apply(_QR, (A,), (mode,)))


@public(out=True)
def qr(input: Tensor, some: bool = True) -> Any:
    """As `torch.linalg.qr`, complete unless `some`. As in PyTorch this warns of its end."""
    deprecated("torch.qr", "torch.linalg.qr")
    check_tensor(input, "qr")
    return _OldQr(apply(_QR, (input,), ("reduced" if some else "complete",)))


def _geqrf_rule(x: Meta) -> tuple[tuple[Meta, Meta], dict]:
    if x.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    check_kernel(x, "geqrf_cpu")
    return (x, meta_of((*x.shape[:-2], min(x.shape[-2:])), x.dtype, x.device)), {}


def _geqrf_impl(xp: Any, x: Any) -> tuple[Any, Any]:
    turned, tau = xp.linalg.qr(x, mode="raw")
    return xp.ascontiguousarray(turned.swapaxes(-1, -2)), tau


def _no_derivative(g: Any) -> Tensor:
    raise NotImplementedError("the derivative for 'geqrf' is not implemented.")


_GEQRF = Op("geqrf", _geqrf_rule, _geqrf_impl, vjp=(_no_derivative,))
_Geqrf = named("geqrf", "a", "tau")


@public(out=True)
def geqrf(input: Tensor) -> Any:
    """(a, tau) as LAPACK's geqrf: R on and above a's diagonal, reflections below."""
    return _Geqrf(apply(_GEQRF, (check_tensor(input, "geqrf"),)))


def _product_rule(A: Meta, tau: Meta) -> tuple[Meta, dict]:
    fn = "torch.linalg.householder_product"
    if A.ndim < 2:
        raise RuntimeError(f"{fn}: input must have at least 2 dimensions.")
    if A.shape[-2] < A.shape[-1]:
        raise RuntimeError(
            f"{fn}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if A.shape[-1] < tau.shape[-1]:
        raise RuntimeError(f"{fn}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    if A.ndim - tau.ndim != 1:
        raise RuntimeError(
            f"{fn}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{tau.ndim} and input.ndim is equal to {A.ndim}"
        )
    if A.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            f"{fn}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(tau.shape[:-1])}"
        )
    if A.dtype is not tau.dtype:
        raise RuntimeError(
            f"{fn}: tau dtype {tau.dtype.legacy_name} does not match input dtype "
            f"{A.dtype.legacy_name}"
        )
    check_kernel(A, "orgqr_cpu")
    return A, {}


def _product_impl(xp: Any, x: Any, tau: Any) -> Any:
    out = np.empty_like(x, order="C")
    make = lapack("ungqr" if x.dtype.kind == "c" else "orgqr", x)
    if out.size:
        for k in batch(x):
            out[k] = make(x[k], tau[k])[0]
    return out


def _reflectors(A: Tensor, count: int) -> Tensor:
    """The vectors of the reflections, as columns: 0 above the diagonal, 1 on it."""
    low = A.narrow(-1, 0, count).tril(-1)
    return low + eye(*low._meta.shape[-2:], dtype=low._meta.dtype)


def _product_vjp(g: Tensor, A: Tensor, tau: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of A and tau where Q = H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H.

    With X_i the product of the reflections after the i-th and s = v^H g before it:
    g_tau = -s (v^H X)^H, g_v = -conj(tau) g (v^H X)^H - tau X s^H, and g passes on as H^H g.
    """
    count = tau._meta.shape[-1]
    if not tau._meta.numel:
        return None, None
    V = _reflectors(A, count)
    steps = [(V.narrow(-1, i, 1), tau.narrow(-1, i, 1).unsqueeze(-1)) for i in range(count)]
    after = [eye(*A._meta.shape[-2:], dtype=A._meta.dtype).expand(A._meta.shape)]
    for v, t in reversed(steps[1:]):
        after.append(after[-1] - t * (v @ (v.mH @ after[-1])))
    vectors, scales = [], []
    for (v, t), X in zip(steps, reversed(after)):
        s, w = v.mH @ g, v.mH @ X
        scales.append(-(s @ w.mH).squeeze(-1))
        vectors.append(-(conj(t) * (g @ w.mH) + t * (X @ s.mH)))
        g = g - conj(t) * (v @ s)
    rest = A.new_zeros((*A._meta.shape[:-1], A._meta.shape[-1] - count))
    return cat([*vectors, rest], -1).tril(-1), cat(
        [*scales, tau.new_zeros((*tau._meta.shape[:-1], 0))], -1
    )


_PRODUCT = Op(
    "linalg_householder_product",
    _product_rule,
    _product_impl,
    inputs=("A", "tau"),
    vjp=_product_vjp,
)


def _product(A: Tensor, tau: Tensor, fn: str) -> Tensor:
    check_tensor(A, fn)
    normalize_dim(-1, check_tensor(tau, fn, "tau", 2)._meta.ndim)
    return apply(_PRODUCT, (A, tau))


@public("linalg", method=False, out=True)
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first N columns of H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H, for A (..., M, N).

    The vectors v_i are A's columns below the diagonal, with ones on it; `geqrf` gives both.
    """
    return _product(input, tau, "linalg_householder_product")


@public(out=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """`torch.linalg.householder_product(input, tau)`."""
    return _product(input, input2, "orgqr")


def _check_ormqr(A: Meta, tau: Meta, C: Meta, left: bool) -> None:
    fn = "torch.ormqr"
    for name, m in (("input", A), ("other", C)):
        if m.ndim < 2:
            raise RuntimeError(f"{fn}: {name} must have at least 2 dimensions.")
    axis = -2 if left else -1
    normalize_dim(-1, tau.ndim)
    if tau.shape[-1] != min(C.shape[axis], A.shape[-1]):
        raise RuntimeError(
            f"{fn}: tau.shape[-1] must be equal to min(other.shape[{axis}], input.shape[-1])"
        )
    if C.shape[axis] != A.shape[-2]:
        raise RuntimeError(f"{fn}: other.shape[{axis}] must be equal to input.shape[-2]")
    for name, m, ndim in (("tau", tau, A.ndim - 1), ("other", C, A.ndim)):
        if m.ndim != ndim:
            than = "one dimension less than" if m is tau else "the same number of dimensions as"
            raise RuntimeError(
                f"{fn}: Expected {name} to have {than} input, but got {name}.ndim equal to "
                f"{m.ndim} and input.ndim is equal to {A.ndim}"
            )
        lead = m.shape[: A.ndim - 2]
        if lead != A.shape[:-2]:
            raise RuntimeError(
                f"{fn}: Expected batch dimensions of {name} to be equal to input.shape[:-2], but "
                f"got {list(lead)}"
            )
        if m.dtype is not A.dtype:
            raise RuntimeError(
                f"{fn}: Expected input and {name} to have the same dtype, but input has dtype"
                f"{A.dtype.legacy_name} and {name} has dtype {m.dtype.legacy_name}"
            )
    check_kernel(A, "ormqr_cpu")


@public(out=True)
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Q C, or C Q without `left`, Q^H with `transpose`: Q as `geqrf` gives it in (input, input2).

    The reflections are applied one after the other, so that Q itself is never made.
    """
    check_tensor(input, "ormqr")
    check_tensor(input2, "ormqr", "input2", 2)
    check_tensor(input3, "ormqr", "input3", 3)
    _check_ormqr(input._meta, input2._meta, input3._meta, left)
    count = input2._meta.shape[-1]
    V = _reflectors(input, count)
    backwards = bool(left) != bool(transpose)
    out = input3.clone()
    if not input2._meta.numel:
        return out
    for i in reversed(range(count)) if backwards else range(count):
        v, t = V.narrow(-1, i, 1), input2.narrow(-1, i, 1).unsqueeze(-1)
        t = conj(t) if transpose else t
        out = out - (t * (v @ (v.mH @ out)) if left else t * ((out @ v) @ v.mH))
    return out
