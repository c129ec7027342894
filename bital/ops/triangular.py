"""Equations with triangular matrices: solve_triangular, triangular_solve.

Room: ops. Gradients as of any linear equation (`inverse`), the matrix's cut to its triangle.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bital.base.size import broadcast_shapes
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.inverse import check_equation
from bital.ops.lapack import batch, check_kernel, check_sides, deprecated, lapack
from bital.ops.return_types import named
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: from this many matrices per row on, all of them are solved together, row by row
_MANY = 2


def _substituted(a: Any, b: Any, upper: bool, unit: bool) -> Any:
    """X with a X = b in all the batch at once: one step per row, b being written to."""
    rows = range(a.shape[-1])
    with np.errstate(all="ignore"):
        for i in reversed(rows) if upper else rows:
            done = slice(i + 1, None) if upper else slice(0, i)
            row = b[..., i, :]
            row -= (a[..., i : i + 1, done] @ b[..., done, :])[..., 0, :]
            if not unit:
                row /= a[..., i, i, None]
    return b


def triangular_solution(a: Any, b: Any, upper: bool, unit: bool = False) -> Any:
    """X with a X = b for arrays (..., N, N) and (..., N, K); a singular one gives infinities."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.array(np.broadcast_to(b, (*lead, *b.shape[-2:])), order="C")
    if not out.size:
        return out
    a = np.broadcast_to(a, (*lead, *a.shape[-2:]))
    if math.prod(lead) >= _MANY * a.shape[-1]:
        return _substituted(a, out, upper, unit)
    solve = lapack("trtrs", a)
    for k in batch(a):  # the transpose of an array in C's order is one in Fortran's
        found, info = solve(a[k].T, out[k], lower=upper, trans=1, unitdiag=unit)
        out[k] = _substituted(a[k], out[k], upper, unit) if info else found
    return out


def _impl(xp: Any, a: Any, b: Any, *, upper: bool, left: bool, unit: bool) -> Any:
    if left:
        return triangular_solution(a, b, upper, unit)
    a, b = a.swapaxes(-1, -2), b.swapaxes(-1, -2)
    return xp.ascontiguousarray(triangular_solution(a, b, not upper, unit).swapaxes(-1, -2))


def _rule(A: Meta, B: Meta, upper: bool, left: bool, unit: bool) -> tuple[Meta, dict]:
    fn = "linalg.solve_triangular"
    check_equation(A, B, left, fn)
    check_kernel(A, "triangular_solve_cpu")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{fn}: Expected A and B to have the same dtype, but found A of type "
            f"{A.dtype.legacy_name} and B of type {B.dtype.legacy_name} instead"
        )
    shape = (*broadcast_shapes(tuple(A.shape[:-2]), tuple(B.shape[:-2])), *B.shape[-2:])
    return meta_of(shape, A.dtype, A.device), {"upper": upper, "left": left, "unit": unit}


def triangle(x: Tensor, upper: bool, unit: bool = False) -> Tensor:
    """The triangle of matrices, without its diagonal for `unit`."""
    return x.triu(int(unit)) if upper else x.tril(-int(unit))


def _vjp(
    g: Tensor, A: Tensor, out: Tensor, upper: bool, left: bool, unit: bool
) -> tuple[Tensor, Tensor]:
    found = solve_with(A.mH, g, not upper, left, unit)
    return triangle(-(found @ out.mH if left else out.mH @ found), upper, unit), found


_SOLVE = Op("linalg_solve_triangular", _rule, _impl, inputs=("A", "B"), vjp=_vjp, batch=again())


def solve_with(A: Tensor, B: Tensor, upper: bool, left: bool = True, unit: bool = False) -> Tensor:
    """X with A X = B, or X A = B, for A of which one triangle is read."""
    return apply(_SOLVE, (A, B), (upper, left, unit))


@public("linalg", method=False, out=True)
def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B, or X A = B without `left`, for triangular A (..., N, N).

    The other triangle is not read, nor the diagonal for `unitriangular`. A zero on the diagonal
    gives infinities or NaN.
    """
    check_tensor(input, "linalg_solve_triangular")
    check_tensor(B, "linalg_solve_triangular", "B", 2)
    return solve_with(input, B, bool(upper), bool(left), bool(unitriangular))


_TriangularSolve = named("triangular_solve", "solution", "cloned_coefficient")


@public(out=True)
def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """(solution, cloned_coefficient): X with A X = b for triangular A, and A, in all the batch.

    With `transpose` the equation is A^T X = b. As in PyTorch this warns of its end.
    """
    deprecated("torch.triangular_solve", "torch.linalg.solve_triangular")
    x, a = (
        check_tensor(input, "triangular_solve")._meta,
        check_tensor(A, "triangular_solve", "A", 2)._meta,
    )
    for name, m in (("b", x), ("A", a)):
        if m.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it "
                f"has {m.ndim} dimensions instead"
            )
    check_sides(x, a, "triangular_solve")
    check_kernel(a, "triangular_solve_cpu")
    batch = broadcast_shapes(tuple(x.shape[:-2]), tuple(a.shape[:-2]))
    whole = A.expand(*batch, *a.shape[-2:])
    turned = (whole.mT, not upper) if transpose else (whole, upper)
    solution = solve_with(turned[0], input, bool(turned[1]), unit=bool(unitriangular))
    return _TriangularSolve((solution, whole.clone()))
