"""Further products: outer, inner, tensordot, kron, cross, chains and powers of matrices.

Room: ops.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from bital.base.size import broadcast_shapes, normalize_dim, normalize_dims
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, public
from bital.ops.create import eye
from bital.ops.family import common_dtype, conj
from bital.ops.inverse import inv
from bital.ops.matmul import dot, matmul, mm
from bital.ops.window import attach, packed
from bital.tensor.dispatch import apply
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, window


def in_shape(t: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """A fresh result in another shape, as itself and not as a view; `name` is its node's."""
    old = t._meta.shape
    t = t if t._view is None else packed(t)
    meta = meta_of(shape, t._meta.dtype, t._meta.device)
    out = window(t._storage, meta, view_at(0, meta.strides))
    return attach(out, t, name, lambda g: g.reshape(old))


@public(out=True, aliases=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector and one of another, (M, N)."""
    for t, name in ((check_tensor(input, "outer"), "self"), (vec2, "vec2")):
        if check_tensor(t, "outer", name, 2)._meta.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t._meta.ndim}-D")
    return input.view(-1, 1) * vec2


@public(out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last axes of two tensors, as `torch.inner`."""
    check_tensor(other, "inner", "other", 2)
    if not check_tensor(input, "inner")._meta.ndim or not other._meta.ndim:
        return input * other
    if input._meta.shape[-1] != other._meta.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input._meta.shape)} and {list(other._meta.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def _contracted(dims: Any, a: Meta, b: Meta) -> tuple[list[int], list[int]]:
    """The axes that a tensordot sums over, of either operand."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(-dims, 0)), list(range(dims))
    first, second = dims
    return (
        [first] if isinstance(first, int) else list(first),
        [second] if isinstance(second, int) else list(second),
    )


@public(method=False)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Products of two tensors summed over pairs of axes, as `torch.tensordot`.

    `dims` is how many last axes of a meet the first ones of b, or a pair of lists of axes.
    """
    x, y = check_tensor(a, "tensordot", "a")._meta, check_tensor(b, "tensordot", "b", 2)._meta
    first, second = _contracted(dims, x, y)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    over, under = (
        normalize_dims(first, x.ndim, empty_is_all=False),
        normalize_dims(second, y.ndim, empty_is_all=False),
    )
    for i, j, given, taken in zip(over, under, first, second):
        if x.shape[i] != y.shape[j] and 1 not in (x.shape[i], y.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {x.shape[i]} in dim "
                f"{given} and second has size {y.shape[j]} in dim {taken}"
            )
        if x.shape[i] != y.shape[j]:
            a = a.sum(i, True, dtype=x.dtype) if y.shape[j] == 1 else a
            b = b.sum(j, True, dtype=y.dtype) if x.shape[i] == 1 else b
    left = [k for k in range(x.ndim) if k not in over]
    right = [k for k in range(y.ndim) if k not in under]
    shape = [x.shape[k] for k in left] + [y.shape[k] for k in right]
    inner_size = math.prod([a._meta.shape[k] for k in over])
    lead = math.prod([x.shape[k] for k in left])
    trail = math.prod([y.shape[k] for k in right])
    rows = a.permute(*left, *over)
    columns = b.permute(*under, *right)
    if not left and not right:
        result = dot(rows.reshape(inner_size), columns.reshape(inner_size))
    else:
        result = mm(rows.reshape(lead, inner_size), columns.reshape(inner_size, trail))
    result = result.view(shape)
    return result if out is None else out.copy_(result)


@public(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product: every element of one tensor times all of the other."""
    m, n = check_tensor(input, "kron")._meta.shape, check_tensor(other, "kron")._meta.shape
    ndim = max(len(m), len(n))
    m, n = (1,) * (ndim - len(m)) + m, (1,) * (ndim - len(n)) + n
    a = input.reshape([k for size in m for k in (size, 1)])
    b = other.reshape([k for size in n for k in (1, size)])
    return in_shape(a * b, tuple([p * q for p, q in zip(m, n)]), "UnsafeViewBackward0")


def _cross_rule(a: Meta, b: Meta, dim: int) -> tuple:
    d = common_dtype(a, b)
    shape = broadcast_shapes(tuple(a.shape), tuple(b.shape))
    return meta_of(shape, d, a.device), {"axis": dim}, d


def _cross_impl(xp: Any, a: Any, b: Any, *, axis: int) -> Any:
    out = xp.empty(xp.broadcast_shapes(a.shape, b.shape), a.dtype)
    (x, y, z), (u, v, w) = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    parts = np.moveaxis(out, axis, 0)
    parts[0] = y * w - z * v
    parts[1] = z * u - x * w
    parts[2] = x * v - y * u
    return out


def _cross_native(xp: Any, a: Any, b: Any, *, axis: int) -> Any:
    (x, y, z), (u, v, w) = xp.moveaxis(a, axis, 0), xp.moveaxis(b, axis, 0)
    return xp.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis)


_CROSS = Op(
    "linalg_cross",
    _cross_rule,
    _cross_impl,
    inputs=("self", "other"),
    vjp=(
        lambda g, other, axis: apply(_CROSS, (conj(other), g), (axis,)),
        lambda g, self, axis: apply(_CROSS, (g, conj(self)), (axis,)),
    ),
    batch=again(0),
    native=_cross_native,
)


@public("linalg", name="cross", method=False, out=True)
def linalg_cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three along `dim`, other axes broadcast."""
    x, y = check_tensor(input, "linalg_cross")._meta, check_tensor(other, "linalg_cross")._meta
    if x.ndim != y.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = normalize_dim(dim, x.ndim)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {x.shape[axis]} and "
            f"{y.shape[axis]}"
        )
    return apply(_CROSS, (input, other), (axis,))


@public(out=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product along `dim`, by default the first axis of length 3, as `torch.cross`."""
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass "
            "the dim explicitly or simply use torch.linalg.cross.\nThe default value of dim will "
            "change to agree with that of linalg.cross in a future release.",
            UserWarning,
            stacklevel=2,
        )
        threes = [k for k, n in enumerate(input._meta.shape) if n == 3]
        if not threes:
            raise RuntimeError("no dimension of size 3 in input")
        dim = threes[0]
    return linalg_cross(input, other, dim=dim)


def _best_order(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices so that multiplying is cheapest (dynamic programming).

    >>> _best_order([10, 100, 5, 50])[0, 2]      # (A B) C costs 7,500, A (B C) 75,000
    1
    """
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            choices = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i, j], split[i, j] = min(choices)
    return split


@public("linalg", method=False)
def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of two or more matrices in the cheapest order; the ends may be vectors."""
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    parts = list(tensors)
    shape = []
    if parts[0]._meta.ndim == 1:
        parts[0] = parts[0].unsqueeze(0)
    else:
        shape.append(parts[0]._meta.shape[0])
    if parts[-1]._meta.ndim == 1:
        parts[-1] = parts[-1].unsqueeze(-1)
    else:
        shape.append(parts[-1]._meta.shape[-1])
    for k, t in enumerate(parts):
        if t._meta.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D but got {t._meta.ndim}D")
    split = _best_order([t._meta.shape[0] for t in parts] + [parts[-1]._meta.shape[1]])

    def multiplied(i: int, j: int) -> Tensor:
        if i == j:
            return parts[i]
        k = split[i, j]
        return mm(multiplied(i, k), multiplied(k + 1, j))

    result = multiplied(0, len(parts) - 1).view(shape)
    return result if out is None else out.copy_(result)


@public(method=False)
def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of matrices in the cheapest order, as `torch.chain_matmul`."""
    listed = matrices[0] if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else matrices
    return listed[0] if len(listed) == 1 else multi_dot(listed, out=out)


@public(out=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices (..., M, M); negative powers are those of the inverse."""
    meta = check_tensor(input, "matrix_power")._meta
    if meta.ndim < 2:
        raise RuntimeError(
            "linalg.matrix_power: The input tensor A must have at least 2 dimensions."
        )
    if meta.shape[-1] != meta.shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{meta.shape[-2]} by {meta.shape[-1]} matrices"
        )
    if n == 0:
        return input.clone().copy_(eye(meta.shape[-1], dtype=meta.dtype))
    if n < 0:
        return matrix_power(inv(input), -n) if n < -1 else inv(input)
    if n == 1:
        return input.clone()
    if n == 3:
        return matmul(matmul(input, input), input)
    power, result = input, None
    while True:
        if n & 1:
            result = power if result is None else matmul(result, power)
        n >>= 1
        if not n:
            return result  # type: ignore[return-value]
        power = matmul(power, power)


public("linalg", name="matrix_power", method=False, out=True)(matrix_power)
