"""Inverses and linear equations: inv, solve, tensorinv, tensorsolve.

Room: ops. Gradients: of X = A^-1, -X^H g X^H; of X with A X = B, g_B = A^-H g and
g_A = -g_B X^H (Giles 2008, "Collected matrix derivative results").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.size import broadcast_shapes, normalize_dim
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.lapack import (
    batch,
    check_floating,
    check_matrix,
    check_square,
    info_of,
    is_singular,
    lapack,
    no_info,
    refuse_failed,
    whole_or_each,
    zero_pivot,
)
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor


def _inv_rule(A: Meta) -> tuple:
    check_square(A, "linalg.inv")
    check_floating(A, "linalg.inv")
    return (A, info_of(A)), {}


#: from this size on, SciPy's LAPACK is faster than NumPy's functions of whole batches
_LARGE = 64
#: memory that LAPACK's inversion is given, in rows
_BLOCK = 64


def _inv_of_one(x: Any) -> tuple[Any, int]:
    # the transpose of an array in C's order is one in Fortran's
    lu, pivots, info = lapack("getrf", x)(x.T)
    if info:
        return np.nan, zero_pivot(x)
    return lapack("getri", x)(lu, pivots, lwork=_BLOCK * len(x))[0].T, 0


def inverses(xp: Any, x: Any) -> tuple[Any, Any]:
    """(inverse, info) of an array of matrices; NaN for singular ones."""
    if x.shape[-1] < _LARGE:
        return whole_or_each(xp.linalg.inv, _inv_of_one, x, blank=lambda: np.empty_like(x))
    out, info = np.empty_like(x, order="C"), no_info(x)
    for k in batch(x):
        out[k], info[k] = _inv_of_one(x[k])
    return out, info


_INV = Op(
    "linalg_inv_ex",
    _inv_rule,
    inverses,
    inputs=("A",),
    vjp=(lambda g, out0: -(out0.mH @ g[0] @ out0.mH),),
    grad_fn="LinalgInvExBackward0",
    batch=again(),
)
_InvEx = named("linalg_inv_ex", "inverse", "info")


def inverse_of(A: Tensor) -> Tensor:
    """The inverses of square matrices; NaN for singular ones."""
    return apply(_INV, (A,))[0]


@public("linalg", method=False, out=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info) of square matrices; `info` is 0 where there is an inverse.

    With `check_errors` a singular matrix raises LinAlgError.
    """
    out = apply(_INV, (check_tensor(A, "linalg_inv_ex", "A"),))
    if check_errors:
        refuse_failed(out[1], "linalg.inv_ex", is_singular)
    return _InvEx(out)


@public("linalg", method=False, out=True)
def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices (..., N, N); a singular one raises LinAlgError."""
    out, info = apply(_INV, (check_tensor(A, "linalg_inv", "A"),))
    refuse_failed(info, "linalg.inv", is_singular)
    return out


@public(out=True)
def inverse(input: Tensor) -> Tensor:
    """`torch.linalg.inv(input)`."""
    return inv(check_tensor(input, "inverse"))


def check_equation(A: Meta, B: Meta, left: bool, fn: str) -> None:
    """Refuse matrices A and B between which AX = B, or XA = B, cannot hold."""
    check_square(A, fn)
    check_matrix(B, fn, "B")
    if A.shape[-2] != B.shape[-2 if left else -1]:
        sizes = [f"{m.shape[-2]}x{m.shape[-1]}" for m in (A, B)]
        raise RuntimeError(
            f"{fn}: Incompatible shapes of A and B for the equation {'AX' if left else 'XA'} = B "
            f"({sizes[0]} and {sizes[1]})"
        )


def is_vector(A: Meta, B: Meta) -> bool:
    """Whether B holds right sides that are vectors."""
    return B.ndim == 1 or (A.ndim == B.ndim + 1 and A.shape[:-1] == B.shape)


def _solve_rule(A: Meta, B: Meta, left: bool) -> tuple:
    fn = "linalg.solve"
    check_matrix(A, fn)
    check_floating(A, fn)
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{fn}: Expected A and B to have the same dtype, but found A of type "
            f"{A.dtype.legacy_name} and B of type {B.dtype.legacy_name} instead"
        )
    vector = is_vector(A, B)
    if vector and not left:
        check_square(A, fn)
        raise RuntimeError(
            f"{fn}: Incompatible shapes of A and B for the equation XA = B "
            f"({A.shape[-2]}x{A.shape[-1]} and {B.shape[-1]}x1)"
        )
    sides = meta_of((*B.shape, 1), B.dtype, B.device) if vector else B
    check_equation(A, sides, left, fn)
    shape = (*broadcast_shapes(tuple(A.shape[:-2]), tuple(sides.shape[:-2])), *sides.shape[-2:])
    out = meta_of(shape[:-1] if vector else shape, A.dtype, A.device)
    info = info_of(A)
    return (out, info), {"left": left, "vector": vector}


def _solve_impl(xp: Any, a: Any, b: Any, *, left: bool, vector: bool) -> tuple[Any, Any]:
    if vector:
        b = b[..., None]
    if not left:
        a, b = a.swapaxes(-1, -2), b.swapaxes(-1, -2)
    if a.shape[-1] >= _LARGE and b.size:
        x, info = _solve_each(a, b)
    else:
        try:
            x, info = xp.linalg.solve(a, b), no_info(a)
        except np.linalg.LinAlgError:
            x, info = _solve_each(a, b)
    if not left:
        x = xp.ascontiguousarray(x.swapaxes(-1, -2))
    return (x[..., 0] if vector else x), info


def _solve_each(a: Any, b: Any) -> tuple[Any, Any]:
    """Matrix by matrix; NaN where A is singular."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    failed = np.zeros(lead, np.int32)
    wide, b = (np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in (a, b))
    x = np.empty(b.shape, b.dtype)
    solver = lapack("gesv", a)
    for k in np.ndindex(lead):
        _, _, found, failed[k] = solver(wide[k], b[k])
        x[k] = np.nan if failed[k] else found
    info = no_info(a)
    extra = failed.ndim - info.ndim
    many = tuple([i + extra for i, n in enumerate(info.shape) if n == 1])
    info[...] = failed.max((*range(extra), *many), initial=0).reshape(info.shape)
    return x, info


def _solve_vjp(g: Any, A: Tensor, out0: Tensor, left: bool, vector: bool) -> tuple[Tensor, Tensor]:
    found = solution_of(A.mH, g[0], left)
    if vector:
        return -(found.unsqueeze(-1) @ out0.unsqueeze(-1).mH), found
    return -(found @ out0.mH if left else out0.mH @ found), found


_SOLVE = Op(
    "linalg_solve_ex",
    _solve_rule,
    _solve_impl,
    inputs=("A", "B"),
    vjp=_solve_vjp,
    grad_fn="LinalgSolveExBackward0",
    batch=again(),
)
_SolveEx = named("linalg_solve_ex", "result", "info")


def solution_of(A: Tensor, B: Tensor, left: bool = True) -> Tensor:
    """X with A X = B, or X A = B; NaN where A is singular."""
    return apply(_SOLVE, (A, B), (left,))[0]


def _solver_failed(info: int) -> str:
    return "The solver failed because the input matrix is singular."


def _solved(A: Any, B: Any, left: bool, fn: str) -> tuple:
    check_tensor(A, fn, "A")
    return apply(_SOLVE, (A, check_tensor(B, fn, "B", 2)), (bool(left),))


@public("linalg", method=False, out=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(result, info) of A X = B, as `solve`; `info` is not 0 where A is singular."""
    out = _solved(A, B, left, "linalg_solve_ex")
    if check_errors:
        refuse_failed(out[1], "torch.linalg.solve_ex", _solver_failed)
    return _SolveEx(out)


@public("linalg", method=False, out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or X A = B without `left`; B may be vectors or matrices.

    A is (..., N, N), B is (..., N), where that fits A's shape, or (..., N, K); batches broadcast.
    A singular A raises LinAlgError.
    """
    out, info = _solved(A, B, left, "linalg_solve")
    refuse_failed(info, "torch.linalg.solve", _solver_failed)
    return out


@public("linalg", method=False, out=True)
def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map between its first `ind` axes and the others."""
    shape = check_tensor(input, "linalg_tensorinv")._meta.shape
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, last = shape[:ind], shape[ind:]
    m, n = math.prod(first), math.prod(last)
    if m != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {n} != {m}"
        )
    out, info = apply(_INV, (input.reshape(m, n),))
    refuse_failed(info, "inv", is_singular)
    return out.reshape(*last, *first)


@public("linalg", method=False, out=True)
def tensorsolve(input: Tensor, other: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; the axes `dims` of A are moved to its end before."""
    check_tensor(input, "linalg_tensorsolve")
    check_tensor(other, "linalg_tensorsolve", "other", 2)
    ndim = input._meta.ndim
    if dims is not None:
        axes = [normalize_dim(d, ndim) for d in dims]
        input = input.movedim(axes, list(range(ndim - len(axes), ndim)))
    rest = input._meta.shape[other._meta.ndim :]
    size, total = other._meta.numel, math.prod(rest)
    if total != size or input._meta.numel != size * total:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {total} != "
            f"{math.prod(input._meta.shape[: other._meta.ndim])}"
        )
    return solve(input.reshape(total, total), other.flatten()).reshape(rest)
