"""The decomposition A = P L D L^T P^T of symmetric matrices (L^H for Hermitian ones).

Room: ops. D has blocks of one or two rows on its diagonal. It is LAPACK's sytrf and hetrf that
decompose; a pivot counts rows from 1 and is negative for both rows of a block of two. As in
PyTorch there are no gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import COMPLEX, INT, int32
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.family import not_implemented
from bital.ops.lapack import (
    batch,
    check_floating,
    check_kernel,
    check_sides,
    check_square,
    info_of,
    lapack,
    refuse_failed,
)
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _factor_rule(A: Meta, hermitian: bool) -> tuple:
    fn = "torch.linalg.ldl_factor_ex"
    check_square(A, fn)
    check_floating(A, fn, low=True)
    check_kernel(A, "ldl_factor_kernel_cpu")
    hermitian = hermitian and A.dtype.category == COMPLEX
    pivots = meta_of(A.shape[:-1], int32, A.device)
    return (A, pivots, info_of(A)), {"name": "hetrf" if hermitian else "sytrf"}


def _factor_impl(xp: Any, x: Any, *, name: str) -> tuple[Any, Any, Any]:
    out = np.zeros(x.shape, x.dtype)
    pivots = np.empty(x.shape[:-1], np.int32)
    info = np.zeros(x.shape[:-2], np.int32)
    if out.size:
        factor = lapack(name, x)
        for k in batch(x):
            out[k], pivots[k], info[k] = factor(x[k], lower=1)
    return np.tril(out), pivots, info


_FACTOR = Op(
    "linalg_ldl_factor_ex",
    _factor_rule,
    _factor_impl,
    inputs=("A",),
    vjp=(not_implemented("linalg_ldl_factor_ex"),),
    grad_fn="NotImplemented",
)
_LdlFactor = named("linalg_ldl_factor", "LD", "pivots")
_LdlFactorEx = named("linalg_ldl_factor_ex", "LD", "pivots", "info")


def _failed(info: int) -> str:
    return f"D[{info},{info}] is zero, and using it to solve equations would divide by zero."


@public("linalg", method=False, out=True)
def ldl_factor_ex(input: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """(LD, pivots, info) as `ldl_factor`; `info` is the first zero on D's diagonal, or 0."""
    out = apply(_FACTOR, (check_tensor(input, "linalg_ldl_factor_ex"),), (bool(hermitian),))
    if check_errors:
        refuse_failed(out[2], "torch.linalg.ldl_factor_ex", _failed, RuntimeError)
    return _LdlFactorEx(out)


@public("linalg", method=False, out=True)
def ldl_factor(input: Tensor, *, hermitian: bool = False) -> Any:
    """(LD, pivots) of symmetric or Hermitian A (..., N, N), of which the lower triangle is read.

    LD holds D on the diagonal and, in blocks of two, beside it, and L below. A zero on D's diagonal
    raises RuntimeError.
    """
    *out, info = apply(_FACTOR, (check_tensor(input, "linalg_ldl_factor"),), (bool(hermitian),))
    refuse_failed(info, "torch.linalg.ldl_factor", _failed, RuntimeError)
    return _LdlFactor(out)


def _solve_rule(LD: Meta, pivots: Meta, B: Meta, hermitian: bool) -> tuple[Meta, dict]:
    fn = "torch.linalg.ldl_solve"
    check_square(LD, fn)
    if B.ndim < 2:
        raise RuntimeError(
            f"{fn}: Expected B to have at least 2 dimensions, but it has {B.ndim} dimensions "
            "instead"
        )
    if LD.shape[:-1] != pivots.shape:
        raise RuntimeError(
            f"{fn}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.dtype.category != INT:
        raise RuntimeError(f"{fn}: Expected pivots to be integers. Got {pivots.dtype.legacy_name}")
    check_sides(B, LD, fn)
    check_kernel(LD, "ldl_solve_kernel_cpu")
    shape = (*broadcast_shapes(tuple(LD.shape[:-2]), tuple(B.shape[:-2])), *B.shape[-2:])
    return meta_of(shape, B.dtype, B.device), {"hermitian": hermitian}


def _blocks(pivots: Any) -> list[tuple[int, int, int]]:
    """D's blocks: first row, rows, and what row the last of them was exchanged with."""
    found, k = [], 0
    while k < len(pivots):
        rows = 1 if pivots[k] > 0 else 2
        found.append((k, rows, abs(int(pivots[k])) - 1))
        k += rows
    return found


def _exchange(b: Any, i: int, j: int) -> None:
    if i != j:
        b[[i, j]] = b[[j, i]]


def _solved(ld: Any, pivots: Any, b: Any, hermitian: bool) -> Any:
    """One matrix: through P L from the first block on, D, and L^T P^T from the last block back."""
    turned = ld.conj() if hermitian else ld
    blocks = _blocks(pivots)
    for k, rows, other in blocks:
        end = k + rows
        _exchange(b, end - 1, other)
        b[end:] -= ld[end:, k:end] @ b[k:end]
        block = np.tril(ld[k:end, k:end])
        block += np.tril(turned[k:end, k:end], -1).T
        b[k:end] = np.linalg.solve(block, b[k:end])
    for k, rows, other in reversed(blocks):
        end = k + rows
        b[k:end] -= turned[end:, k:end].T @ b[end:]
        _exchange(b, end - 1, other)
    return b


def _solve_impl(xp: Any, ld: Any, pivots: Any, b: Any, *, hermitian: bool) -> Any:
    lead = np.broadcast_shapes(ld.shape[:-2], b.shape[:-2])
    out = np.array(np.broadcast_to(b, (*lead, *b.shape[-2:])), order="C")
    ld = np.broadcast_to(ld, (*lead, *ld.shape[-2:]))
    pivots = np.broadcast_to(pivots, (*lead, pivots.shape[-1]))
    for k in batch(out):
        _solved(ld[k], pivots[k], out[k], hermitian)
    return out


_no_gradient = not_implemented("linalg_ldl_solve")
_SOLVE = Op(
    "linalg_ldl_solve",
    _solve_rule,
    _solve_impl,
    inputs=("LD", "pivots", "B"),
    vjp=(_no_gradient, None, _no_gradient),
    grad_fn="NotImplemented",
    fallible=True,
)


@public("linalg", method=False, out=True)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with A X = B, from A's decomposition by `ldl_factor`."""
    for position, (t, name) in enumerate(((LD, "LD"), (pivots, "pivots"), (B, "B"))):
        check_tensor(t, "linalg_ldl_solve", name, position + 1)
    return apply(_SOLVE, (LD, pivots, B), (bool(hermitian),))
