"""Decompositions of matrices: QR and the Vandermonde matrix.

Room: ops. LAPACK is called through NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import INT
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.join import stack
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.node import not_differentiable
from bital.tensor.tensor import Tensor


def _qr_rule(x: Meta, mode: str) -> tuple[tuple[Meta, Meta], dict]:
    if x.ndim < 2:
        raise RuntimeError("linalg.qr: The input tensor A must have at least 2 dimensions.")
    if x.dtype.category <= INT:
        raise RuntimeError(
            "linalg.qr: Expected a floating point or complex tensor as input. Got "
            f"{x.dtype.legacy_name}"
        )
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    *batch, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    q = meta_of((0,) if mode == "r" else (*batch, m, k), x.dtype, x.device)
    return (q, meta_of((*batch, k, n), x.dtype, x.device)), {"mode": mode}


def _qr_impl(xp: Any, x: Any, *, mode: str) -> tuple[Any, Any]:
    got = xp.linalg.qr(x, mode=mode)
    q, r = (np.empty(0, x.dtype), got) if mode == "r" else got
    return q, r


linalg_qr = named("linalg_qr", "Q", "R")


def _qr_vjp(g: Any) -> Tensor:
    raise not_differentiable("linalg_qr")


_QR = Op("linalg_qr", _qr_rule, _qr_impl, vjp=(_qr_vjp,), grad_fn="LinalgQrBackward0")


@public("linalg", method=False, name="qr")
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """Q and R with A = Q R, Q's columns orthonormal and R upper triangular (..., M, N).

    Householder reflections by LAPACK's geqrf. There is no gradient yet: backward raises
    Unsupported.
    """
    check_tensor(A, "linalg_qr", "A")
    return linalg_qr(apply(_QR, (A,), (mode,)))


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
