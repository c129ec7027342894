"""Cholesky's decomposition A = L L^H, and what is computed from it.

Room: ops. Gradient of L: with P the lower triangle of L^H g_L, its diagonal halved,
g_A = L^-H (P + P^H) / 2 L^-1 (Murray 2016, "Differentiation of the Cholesky decomposition").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.lapack import (
    batch,
    check_floating,
    check_kernel,
    check_sides,
    check_square,
    deprecated,
    info_of,
    is_singular,
    lapack,
    no_info,
    refuse_failed,
    whole_or_each,
)
from bital.ops.return_types import named
from bital.ops.triangular import solve_with, triangular_solution
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _rule(fn: str) -> Any:
    def rule(A: Meta, upper: bool) -> tuple:
        check_square(A, fn)
        check_floating(A, fn, low=True)
        check_kernel(A, "cholesky_cpu")
        return (A, info_of(A)), {"upper": upper}

    return rule


def _factor_of_one(x: Any) -> tuple[Any, int]:
    return lapack("potrf", x)(x, lower=1, clean=1)


def _adjoint(x: Any) -> Any:
    return x.conj().swapaxes(-1, -2)


def _impl(xp: Any, x: Any, *, upper: bool) -> tuple[Any, Any]:
    x = _adjoint(x) if upper else x
    out, info = whole_or_each(xp.linalg.cholesky, _factor_of_one, x, blank=lambda: np.empty_like(x))
    return xp.ascontiguousarray(_adjoint(out) if upper else out), info


def _vjp(g: Any, out0: Tensor, upper: bool) -> Tensor:
    L, gL = (out0.mH, g[0].mH) if upper else (out0, g[0])
    low = (L.mH @ gL).tril()
    both = (low + low.tril(-1).mH) * 0.5
    return solve_with(L, solve_with(L.mH, both, True), False, left=False)


def _op(name: str, fn: str, grad_fn: str) -> Op:
    return Op(name, _rule(fn), _impl, inputs=("A",), vjp=(_vjp,), grad_fn=grad_fn)


_EX = _op("linalg_cholesky_ex", "linalg.cholesky", "LinalgCholeskyExBackward0")
_OLD = _op("cholesky", "cholesky", "CholeskyBackward0")
_CholeskyEx = named("linalg_cholesky_ex", "L", "info")


def _not_positive(info: int) -> str:
    return (
        "The factorization could not be completed because the input is not positive-definite "
        f"(the leading minor of order {info} is not positive-definite)."
    )


@public("linalg", method=False, out=True)
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info) as `cholesky`; `info` is the order of the first minor that is not positive, or 0.

    With `check_errors` that raises LinAlgError.
    """
    out = apply(_EX, (check_tensor(input, "linalg_cholesky_ex"),), (bool(upper),))
    if check_errors:
        refuse_failed(out[1], "linalg.cholesky_ex", _not_positive)
    return _CholeskyEx(out)


@public("linalg", name="cholesky", method=False, out=True)
def linalg_cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """Lower triangular L with A = L L^H for positive definite A (..., N, N), or U with A = U^H U.

    Only A's lower triangle, or its upper one, is read. What is not positive definite raises
    LinAlgError.
    """
    out, info = apply(_EX, (check_tensor(input, "linalg_cholesky"),), (bool(upper),))
    refuse_failed(info, "linalg.cholesky", _not_positive)
    return out


@public(name="cholesky", out=True)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """As `torch.linalg.cholesky`. As in PyTorch this warns of its end."""
    deprecated("torch.cholesky", "torch.linalg.cholesky")
    out, info = apply(_OLD, (check_tensor(input, "cholesky"),), (bool(upper),))
    refuse_failed(info, "cholesky", _not_positive)
    return out


def _inverse_rule(L: Meta, upper: bool) -> tuple:
    check_square(L, "cholesky_inverse")
    check_kernel(L, "cholesky_inverse_out_cpu")
    return (L, info_of(L)), {"upper": upper}


def _inverse_impl(xp: Any, x: Any, *, upper: bool) -> tuple[Any, Any]:
    info = no_info(x)
    for k in batch(x):
        zeros = np.flatnonzero(x[k].diagonal() == 0)
        info[k] = zeros[0] + 1 if len(zeros) else 0
    one = xp.eye(x.shape[-1], dtype=x.dtype)
    inverse = triangular_solution(x, one, upper)
    left, right = (inverse, _adjoint(inverse)) if upper else (_adjoint(inverse), inverse)
    return xp.matmul(left, right), info


def _by_factor(common: Tensor, L: Tensor, upper: bool) -> Tensor:
    return -(L @ common) if upper else -(common @ L)


def _inverse_vjp(g: Any, L: Tensor, out0: Tensor, upper: bool) -> Tensor:
    # of the inverse X of A = L L^H: g_A = -X (g + g^H) X for both halves, and g_L = g_A L
    return _by_factor(out0 @ (g[0] + g[0].mH) @ out0, L, upper)


_INVERSE = Op("cholesky_inverse", _inverse_rule, _inverse_impl, inputs=("L",), vjp=(_inverse_vjp,))


@public(out=True)
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L L^H, or U^H U, from Cholesky's factor (..., N, N) of it."""
    out, info = apply(_INVERSE, (check_tensor(input, "cholesky_inverse"),), (bool(upper),))
    refuse_failed(info, "cholesky_inverse", is_singular)
    return out


def _solve_rule(B: Meta, L: Meta, upper: bool) -> tuple[Meta, dict]:
    for name, m in (("b", B), ("u", L)):
        if m.ndim < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {m.ndim} dimensions instead"
            )
    check_sides(B, L, "cholesky_solve")
    check_kernel(L, "cholesky_solve_cpu")
    shape = (*broadcast_shapes(tuple(B.shape[:-2]), tuple(L.shape[:-2])), *B.shape[-2:])
    return meta_of(shape, B.dtype, B.device), {"upper": upper}


def _solve_impl(xp: Any, b: Any, x: Any, *, upper: bool) -> Any:
    turned = _adjoint(x)
    first, last = (turned, x) if upper else (x, turned)
    with np.errstate(all="ignore"):
        return triangular_solution(last, triangular_solution(first, b, False), True)


def _solve_vjp(g: Tensor, L: Tensor, out: Tensor, upper: bool) -> tuple[Tensor, Tensor]:
    found = apply(_SOLVE, (g, L), (upper,))
    half = found @ out.mH
    return found, _by_factor(half + half.mH, L, upper)


_SOLVE = Op(
    "cholesky_solve",
    _solve_rule,
    _solve_impl,
    inputs=("B", "L"),
    vjp=_solve_vjp,
)


@public(out=True)
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """X with A X = B for A = L L^H, or U^H U with `upper`, from Cholesky's factor of A."""
    check_tensor(input, "cholesky_solve")
    return apply(
        _SOLVE, (input, check_tensor(input2, "cholesky_solve", "input2", 2)), (bool(upper),)
    )
