"""The LU decomposition with row exchanges, A = P L U, and what is solved with it.

Room: ops. Gradient for square A: g_A = P L^-H [tril(L^H g_L, -1) + triu(g_U U^H)] U^-H. Of a tall
matrix the rows below, of a wide one the columns to the right, are products with the square part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.dtype import int32
from bital.base.size import broadcast_shapes
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.inverse import check_equation
from bital.ops.join import cat
from bital.ops.lapack import (
    Ints,
    batch,
    check_kernel,
    check_square,
    deprecated,
    info_of,
    lapack,
    refuse_failed,
)
from bital.ops.return_types import named
from bital.ops.triangular import solve_with, triangular_solution
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, values_of


def _check(A: Meta, fn: str, pivot: bool) -> None:
    if A.ndim < 2:
        raise RuntimeError(
            f"{fn}: Expected tensor with 2 or more dimensions. Got size: {list(A.shape)} instead"
        )
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    check_kernel(A, "lu_cpu")


def _pivots(A: Meta) -> Meta:
    return meta_of((*A.shape[:-2], min(A.shape[-2:])), int32, A.device)


def _factor_rule(A: Meta, pivot: bool) -> tuple:
    _check(A, "torch.lu_factor", pivot)
    return (A, _pivots(A), info_of(A)), {}


def _factor_impl(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    out = np.empty(x.shape, x.dtype)
    pivots = np.empty((*x.shape[:-2], min(x.shape[-2:])), np.int32)
    info = np.zeros(x.shape[:-2], np.int32)
    if pivots.size:
        factor = lapack("getrf", x)
        for k in batch(x):
            out[k], pivots[k], info[k] = factor(x[k])
        pivots += 1
    return out, pivots, info


def _order(pivots: Any, rows: int) -> Any:
    """Where the rows of P^T A come from in A: the row exchanges, carried out one by one."""
    order = np.empty((*pivots.shape[:-1], rows), np.int64)
    order[...] = np.arange(rows)
    for i in range(pivots.shape[-1]):
        j = pivots[..., i, None].astype(np.int64) - 1
        there = np.take_along_axis(order, j, -1)
        np.put_along_axis(order, j, order[..., i : i + 1].copy(), -1)
        order[..., i] = there[..., 0]
    return order


def _permutation(pivots: Any, rows: int, d: Any) -> Any:
    """P with A = P L U."""
    out = np.zeros((*pivots.shape[:-1], rows, rows), d)
    if out.size:
        np.put_along_axis(out, _order(pivots, rows)[..., None, :], 1, -2)
    return out


def _parts(LU: Any) -> tuple[Any, Any]:
    """L with ones on its diagonal, (M, K), and U, (K, N), out of LU (M, N)."""
    k = min(LU.shape[-2:])
    low = np.tril(LU[..., :k], -1)
    low[..., range(k), range(k)] = 1
    return low, np.triu(LU[..., :k, :])


def _unpack_rule(LU: Meta, pivots: Meta, data: bool, exchanges: bool) -> tuple:
    if LU.ndim < 2:
        raise RuntimeError(
            "torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: "
            f"{list(LU.shape)} instead"
        )
    if exchanges and pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    *lead, m, n = LU.shape
    k = min(m, n)
    shapes = [
        (*lead, m, m) if exchanges else (0,),
        (*lead, m, k) if data else (0,),
        (*lead, k, n) if data else (0,),
    ]
    outs = tuple([meta_of(shape, LU.dtype, LU.device) for shape in shapes])
    return outs, {"data": data, "exchanges": exchanges}


def _unpack_impl(xp: Any, LU: Any, pivots: Any, *, data: bool, exchanges: bool) -> tuple:
    none = np.empty(0, LU.dtype)
    P = _permutation(pivots, LU.shape[-2], LU.dtype) if exchanges else none
    return (P, *(_parts(LU) if data else (none, none.copy())))


def _in_corner(x: Tensor, shape: Ints) -> Tensor:
    """x with zeros to its right or below."""
    for dim in (-2, -1):
        missing = shape[dim] - x._meta.shape[dim]
        if missing:
            rest = list(x._meta.shape)
            rest[dim] = missing
            x = cat([x, x.new_zeros(rest)], dim)
    return x


def _packed(gL: Tensor | None, gU: Tensor | None, shape: Ints) -> Tensor | None:
    """The gradient of LU from those of L and U."""
    low = None if gL is None else _in_corner(gL.tril(-1), shape)
    up = None if gU is None else _in_corner(gU.triu(), shape)
    return low if up is None else up if low is None else low + up


_UNPACK = Op(
    "lu_unpack",
    _unpack_rule,
    _unpack_impl,
    inputs=("LU", "pivots"),
    vjp=(lambda g, LU_shape: _packed(g[1], g[2], LU_shape), None),
)
_LuUnpack = named("lu_unpack", "P", "L", "U")


@public(method=False, out=True)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """(P, L, U) out of what `torch.linalg.lu_factor` gives; what is not wanted is empty."""
    check_tensor(LU_data, "lu_unpack", "LU_data")
    check_tensor(LU_pivots, "lu_unpack", "LU_pivots", 2)
    attrs = (bool(unpack_data), bool(unpack_pivots))
    P, L, U = apply(_UNPACK, (LU_data, LU_pivots), attrs)
    if unpack_pivots:
        found = values_of(LU_pivots)
        if found.size and (found.min() < 1 or found.max() > LU_data._meta.shape[-2]):
            raise RuntimeError(
                "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.Did you "
                "properly pass the result of lu_factor?"
            )
    return _LuUnpack((P.detach(), L, U))


def _gradient(gL: Tensor | None, gU: Tensor | None, P: Tensor, L: Tensor, U: Tensor) -> Tensor:
    """The gradient of A = P L U."""
    m, n = L._meta.shape[-2], U._meta.shape[-1]
    k = min(m, n)
    gL = L.new_zeros(L._meta.shape) if gL is None else gL
    gU = U.new_zeros(U._meta.shape) if gU is None else gU
    more = None
    square = L.narrow(-2, 0, k), U.narrow(-1, 0, k)
    if m > k:  # L2 = A2 U^-1
        low, below = L.narrow(-2, k, m - k), gL.narrow(-2, k, m - k)
        more = solve_with(U.mH, below, False, left=False)
        gL, gU = gL.narrow(-2, 0, k), gU - low.mH @ more
    elif n > k:  # U2 = L^-1 A2
        right, beside = U.narrow(-1, k, n - k), gU.narrow(-1, k, n - k)
        more = solve_with(L.mH, beside, True, unit=True)
        gL, gU = gL - more @ right.mH, gU.narrow(-1, 0, k)
    L, U = square
    g = (L.mH @ gL).tril(-1) + (gU @ U.mH).triu()
    g = solve_with(U.mH, solve_with(L.mH, g, True, unit=True), False, left=False)
    if more is not None:
        g = cat([g, more], -2 if m > k else -1)
    return P @ g


def _factor_vjp(g: Any, out0: Tensor, out1: Tensor) -> Tensor:
    P, L, U = apply(_UNPACK, (out0, out1), (True, True))
    k = min(out0._meta.shape[-2:])
    return _gradient(g[0].narrow(-1, 0, k), g[0].narrow(-2, 0, k), P, L, U)


_FACTOR = Op(
    "linalg_lu_factor_ex",
    _factor_rule,
    _factor_impl,
    inputs=("A",),
    vjp=(_factor_vjp,),
    grad_fn="LinalgLuFactorExBackward0",
)
_LuFactor = named("linalg_lu_factor", "LU", "pivots")
_LuFactorEx = named("linalg_lu_factor_ex", "LU", "pivots", "info")


def _zero_pivot(info: int) -> str:
    return (
        f"U[{info},{info}] is zero and using it on lu_solve would result in a division by zero. If "
        "you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
        "linalg.lu_factor_ex(A, pivot)"
    )


@public("linalg", method=False, out=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info) as `lu_factor`; `info` is the first zero of U's diagonal, or 0."""
    out = apply(_FACTOR, (check_tensor(A, "linalg_lu_factor_ex", "A"),), (bool(pivot),))
    if check_errors:
        refuse_failed(out[2], "torch.linalg.lu_factor_ex", _zero_pivot, RuntimeError)
    return _LuFactorEx(out)


@public("linalg", method=False, out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU, pivots): L below the diagonal and U on and above it, and the row exchanges.

    Row i was exchanged with row `pivots[i]` (counted from 1), one after the other. A zero on U's
    diagonal raises RuntimeError.
    """
    *out, info = apply(_FACTOR, (check_tensor(A, "linalg_lu_factor", "A"),), (bool(pivot),))
    refuse_failed(info, "torch.linalg.lu_factor", _zero_pivot, RuntimeError)
    return _LuFactor(out)


_LuWithInfo = named("_lu_with_info", "LU", "pivots", "info")


@public(method=False, out=True)
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """As `torch.linalg.lu_factor`, with `info` where asked for, and no error.

    As in PyTorch this warns of its end.
    """
    deprecated("torch.lu", "torch.linalg.lu_factor / torch.linalg.lu_factor_ex")
    out = apply(_FACTOR, (check_tensor(A, "_lu_with_info"),), (bool(pivot),))
    return _LuWithInfo(out) if get_infos else out[:2]


@public("Tensor", name="lu")
def lu_method(self: Tensor, pivot: bool = True, get_infos: bool = False) -> tuple[Tensor, ...]:
    """`torch.lu` as a plain tuple."""
    return tuple(lu(self, pivot, get_infos))


def _lu_rule(A: Meta, pivot: bool) -> tuple:
    _check(A, "linalg.lu", pivot)
    return _unpack_rule(A, _pivots(A), True, True)[0], {}


def _lu_impl(xp: Any, x: Any) -> tuple:
    LU, pivots, _ = _factor_impl(xp, x)
    return _unpack_impl(xp, LU, pivots, data=True, exchanges=True)


_LU = Op(
    "linalg_lu",
    _lu_rule,
    _lu_impl,
    inputs=("A",),
    vjp=(lambda g, out0, out1, out2: _gradient(g[1], g[2], out0, out1, out2),),
    grad_fn="LinalgLuBackward0",
)
_LinalgLu = named("linalg_lu", "P", "L", "U")


@public("linalg", name="lu", method=False, out=True)
def linalg_lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U: a permutation, a unit lower and an upper triangular matrix."""
    P, L, U = apply(_LU, (check_tensor(A, "linalg_lu", "A"),), (bool(pivot),))
    return _LinalgLu((P.detach(), L, U))


def _solve_rule(LU: Meta, pivots: Meta, B: Meta, left: bool, adjoint: bool) -> tuple:
    fn = "linalg.lu_solve"
    if LU.dtype is not B.dtype:
        raise RuntimeError(
            f"{fn}: Expected LU and B to have the same dtype, but found LU of type "
            f"{LU.dtype.legacy_name} and B of type {B.dtype.legacy_name} instead"
        )
    if pivots.dtype is not int32:
        raise RuntimeError(f"{fn}: pivots should be a Tensor of scalar type torch.int32")
    check_square(LU, f"torch.{fn}")
    check_equation(LU, B, left, fn)
    if LU.shape[-1] != pivots.shape[-1]:
        raise RuntimeError(
            f"{fn}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if LU.shape[:-1] != pivots.shape:
        raise RuntimeError(
            f"{fn}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    check_kernel(LU, "lu_solve_cpu")
    shape = (*broadcast_shapes(tuple(LU.shape[:-2]), tuple(B.shape[:-2])), *B.shape[-2:])
    return meta_of(shape, LU.dtype, LU.device), {"left": left, "adjoint": adjoint}


def _solve_impl(xp: Any, LU: Any, pivots: Any, b: Any, *, left: bool, adjoint: bool) -> Any:
    if not left:  # X A = B is A^H X^H = B^H
        b, adjoint = b.conj().swapaxes(-1, -2), not adjoint
    order = _order(pivots, LU.shape[-1])[..., None]
    lead = np.broadcast_shapes(LU.shape[:-2], b.shape[:-2])
    order = np.broadcast_to(order, (*lead, *order.shape[-2:]))
    b = np.broadcast_to(b, (*lead, *b.shape[-2:]))
    if adjoint:
        turned = LU.conj().swapaxes(-1, -2)
        b = triangular_solution(turned, b, False)
        b = triangular_solution(turned, b, True, unit=True)
        x = np.empty_like(b)
        np.put_along_axis(x, order, b, -2)
    else:
        b = triangular_solution(LU, np.take_along_axis(b, order, -2), False, unit=True)
        x = triangular_solution(LU, b, True)
    return x if left else xp.ascontiguousarray(x.conj().swapaxes(-1, -2))


def _solve_vjp(
    g: Tensor, LU: Tensor, pivots: Tensor, out: Tensor, left: bool, adjoint: bool
) -> tuple:
    found = apply(_SOLVE, (LU, pivots, g), (left, not adjoint))
    whole = found @ out.mH if left else out.mH @ found  # of A, or of A^H
    P, L, U = apply(_UNPACK, (LU, pivots), (True, True))
    turned = P.mT @ -(whole.mH if adjoint else whole)
    return _packed(turned @ U.mH, L.mH @ turned, LU._meta.shape), None, found


_SOLVE = Op(
    "linalg_lu_solve",
    _solve_rule,
    _solve_impl,
    inputs=("LU", "pivots", "B"),
    vjp=_solve_vjp,
    grad_fn="LinalgLuSolveBackward0",
)


@public("linalg", name="lu_solve", method=False, out=True)
def linalg_lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B from A's decomposition by `lu_factor`; X A = B without `left`.

    With `adjoint` it is A^H that X is multiplied by.
    """
    for position, (t, name) in enumerate(((LU, "LU"), (pivots, "pivots"), (B, "B"))):
        check_tensor(t, "linalg_lu_solve", name, position + 1)
    return apply(_SOLVE, (LU, pivots, B), (bool(left), bool(adjoint)))


@public(out=True)
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """As `torch.linalg.lu_solve(LU_data, LU_pivots, b)`. As in PyTorch this warns of its end."""
    deprecated("torch.lu_solve", "torch.linalg.lu_solve")
    return linalg_lu_solve(LU_data, LU_pivots, input)
