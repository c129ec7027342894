"""What the functions on LAPACK share: checks of matrices, loops over batches, and errors.

Room: ops. NumPy's functions take batches; where it has none, SciPy's LAPACK is called matrix by
matrix. What can fail for the numbers it meets gives LAPACK's `info` too, 0 for success, one per
matrix; the public functions look at it at once, so that errors come at the user's line.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bital.base.dtype import INT, LOW_PRECISION, int32
from bital.base.errors import LinAlgError
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import local
from bital.ops.family import raise_not_implemented
from bital.tensor.tensor import Tensor, edge_of, values_of

Ints = tuple[int, ...]

#: what LAPACK's functions are called for a dtype
_PREFIX = {"f": "s", "d": "d", "F": "c", "D": "z"}


def lapack(name: str, x: Any) -> Callable:
    """LAPACK's function `name` for the dtype of x."""
    from scipy.linalg import lapack as functions

    return getattr(functions, _PREFIX[x.dtype.char] + name)


def check_matrix(x: Meta, fn: str, name: str = "A") -> None:
    """Refuse what has fewer than two axes."""
    if x.ndim < 2:
        raise RuntimeError(f"{fn}: The input tensor {name} must have at least 2 dimensions.")


def check_square(x: Meta, fn: str, name: str = "A") -> None:
    """Refuse what is no batch of square matrices."""
    check_matrix(x, fn, name)
    m, n = x.shape[-2:]
    if m != n:
        raise RuntimeError(
            f"{fn}: {name} must be batches of square matrices, but they are {m} by {n} matrices"
        )


def check_floating(x: Meta, fn: str, low: bool = False) -> None:
    """Refuse integers and, unless `low`, the types of 16 bits, as PyTorch's linalg does."""
    if x.dtype.category <= INT:
        raise RuntimeError(
            f"{fn}: Expected a floating point or complex tensor as input. Got {x.dtype.legacy_name}"
        )
    if not low and x.dtype in LOW_PRECISION:
        raise RuntimeError(f"{fn}: Low precision dtypes not supported. Got {x.dtype.legacy_name}")


def check_kernel(x: Meta, kernel: str) -> None:
    """Refuse the dtypes that LAPACK has not, as PyTorch's kernels do."""
    if x.dtype.category <= INT or x.dtype in LOW_PRECISION:
        raise_not_implemented(kernel, x.dtype)


def info_of(x: Meta) -> Meta:
    """The meta of `info` for matrices x."""
    return meta_of(x.shape[:-2], int32, x.device)


def no_info(x: Any) -> Any:
    """`info` of success for every matrix of x."""
    return np.zeros(x.shape[:-2], np.int32)


def batch(x: Any) -> Iterator[Ints]:
    """The indices of the matrices of x."""
    return np.ndindex(x.shape[:-2])


def whole_or_each(
    attempt: Callable, single: Callable, x: Any, *more: Any, blank: Callable
) -> tuple[Any, Any]:
    """(result, info) by `attempt` on the whole batch, or matrix by matrix where that raises.

    `single` gives the result and `info` of one matrix; `blank()` makes the array for the results.
    """
    try:
        return attempt(x, *more), no_info(x)
    except np.linalg.LinAlgError:
        out, info = blank(), no_info(x)
        for k in batch(x):
            out[k], info[k] = single(x[k], *[m[k] for m in more])
        return out, info


def zero_pivot(x: Any) -> int:
    """The first diagonal element of U that is 0 in the matrix's LU decomposition, from 1, or 0."""
    return lapack("getrf", x)(x)[2]


def refuse_failed(info: Tensor, fn: str, message: Callable[[int], str], kind: Any = None) -> None:
    """Raise for the first matrix that failed; `message` says why, from its `info`."""
    found = values_of(info)
    if not found.any():
        return
    flat = found.ravel()
    first = int(np.flatnonzero(flat)[0])
    where = f"(Batch element {first}): " if found.ndim else ""
    raise (kind or LinAlgError)(f"{fn}: {where}{message(int(flat[first]))}")


def is_singular(info: int) -> str:
    """What the inversion of a singular matrix says."""
    return (
        f"The diagonal element {info} is zero, the inversion could not be completed because the "
        "input matrix is singular."
    )


def check_sides(b: Meta, A: Meta, fn: str) -> None:
    """Refuse b and A that are no equation A X = b, as PyTorch's older functions do."""
    if b.dtype is not A.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {b.dtype.legacy_name} "
            f"and A of type {A.dtype.legacy_name} instead."
        )
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            "A must be batches of square matrices, but they are "
            f"{A.shape[-2]} by {A.shape[-1]} matrices"
        )
    if A.shape[-2] != b.shape[-2]:
        n, (rows, columns) = A.shape[-1], b.shape[-2:]
        raise RuntimeError(
            f"Incompatible matrix sizes for {fn}: each A matrix is {n} by {n} but each b matrix is "
            f"{rows} by {columns}"
        )


def needs_gradient(t: Tensor) -> bool:
    """Whether an operation on t will be recorded for backward."""
    return bool(local.trace.grad) and edge_of(t) is not None


def deprecated(old: str, new: str) -> None:
    """Warn, as PyTorch does, that a function will go."""
    warnings.warn(
        f"{old} is deprecated in favor of {new} and will be removed in a future PyTorch release.",
        UserWarning,
        stacklevel=4,
    )
