"""Movement: roll, flip, rotate, repeat, triangles, diagonals, grids.

Room: ops. Copies in another order; the gradient is the movement backwards. `pad` is in `pad.py`.
"""

from __future__ import annotations

import warnings
from itertools import combinations as choose
from itertools import combinations_with_replacement as choose_again
from typing import Any

import numpy as np

from bital.base.size import normalize_dim, normalize_dims
from bital.base.stride import contiguous_strides, preserved_strides
from bital.ir.batch import again, along
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, method, public
from bital.ops.copies import diagonal_copy
from bital.ops.index import read_at
from bital.ops.join import stack
from bital.ops.part import diagonal, diagonal_window
from bital.ops.view import Ints, ints, tensors_of
from bital.ops.window import laid_out, spread
from bital.tensor.dispatch import apply, composite
from bital.tensor.tensor import Tensor, from_array, strides_of


def _as_before(x: Tensor, out: Tensor) -> Tensor:
    """`out`, of x's shape, laid out in memory as a copy of x would be."""
    if x._view is None or x._view.strides == x._meta.strides:
        return out
    strides = preserved_strides(tuple(x._meta.shape), strides_of(x))
    if strides == out._meta.strides:
        return out
    edge, out._edge = out._edge, None
    out = laid_out(out, strides)
    out._edge = edge
    return out


def _flip_impl(xp: Any, x: Any, *, dims: Ints) -> Any:
    index = [slice(None)] * x.ndim
    for k in dims if x.ndim else ():
        index[k] = slice(None, None, -1)
    return xp.array(x[tuple(index)], order="C", copy=True)


_FLIP = Op(
    "flip",
    lambda x, dims: (x, {"dims": normalize_dims(dims, x.ndim, empty_is_all=False)}),
    _flip_impl,
    vjp=(lambda g, dims: flip(g, dims),),
    batch=again(0),
)


@public()
def flip(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """A copy turned around along the given axes."""
    which = ints("flip", "dims", 2, args if dims is None else (dims,))
    return _as_before(input, apply(_FLIP, (input,), (which,)))


@public()
def fliplr(input: Tensor) -> Tensor:
    """A copy turned around along the second axis."""
    if input._meta.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@public()
def flipud(input: Tensor) -> Tensor:
    """A copy turned around along the first axis."""
    if not input._meta.ndim:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


def _rot90_rule(x: Meta, k: int, dims: Ints) -> tuple[Meta, dict]:
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if x.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {x.ndim}")
    a, b = dims
    if a == b or abs(a - b) == x.ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {a} and dim1 = {b}"
        )
    for n in dims:
        if not -x.ndim <= n < x.ndim:
            which = "dim0" if n == a else "dim1"
            raise RuntimeError(f"Rotation {which} out of range, {which} = {n}")
    a, b = normalize_dim(a, x.ndim), normalize_dim(b, x.ndim)
    shape = list(x.shape)
    if k % 2:
        shape[a], shape[b] = shape[b], shape[a]
    return meta_of(tuple(shape), x.dtype, x.device), {"k": k % 4, "dims": (a, b)}


def _rot90(x: Tensor, *, k: int, dims: Ints) -> Tensor:
    a, b = dims
    if k == 0:
        return x.clone()
    if k == 2:
        return flip(x, a, b)
    turned = flip(x, b if k == 1 else a).transpose(a, b)
    turned._view.base = None
    return turned


_ROT90 = Op("rot90", _rot90_rule, None, vjp=(lambda g, k, dims: rot90(g, -k, dims),))


@public()
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned by k quarters from the first towards the second of two axes."""
    return composite(_ROT90, _rot90, (input,), (k, tuple(dims)))


def _roll_impl(xp: Any, x: Any, shift: int, *, dim: int | None) -> Any:
    flat = x.reshape(-1) if dim is None or not x.ndim else x
    axis = dim or 0
    n = flat.shape[axis]
    cut = n - shift % n if n else 0
    ahead = (slice(None),) * axis
    ends = (flat[(*ahead, slice(cut, None))], flat[(*ahead, slice(cut))])
    return xp.concatenate(ends, axis).reshape(x.shape)


def _roll_native(xp: Any, x: Any, shift: Any, *, dim: int | None) -> Any:
    flat = x.reshape(-1) if dim is None or not x.ndim else x
    axis = dim or 0
    n = flat.shape[axis]
    if not n:
        return x
    places = xp.iota((n,), 0) - shift.astype(xp.int64)
    return xp.take(flat, xp.remainder(places, n), axis).reshape(x.shape)


#: one shift, a run-time scalar, along one axis or along all elements
_ROLL = Op(
    "roll",
    lambda x, dim: (x, {"dim": None if dim is None else normalize_dim(dim, x.ndim)}),
    _roll_impl,
    params=("shift",),
    vjp=(lambda g, dim, shift: apply(_ROLL, (g,), (dim,), (-shift,)),),
    batch=along(0),
    native=_roll_native,
)


@public()
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """A copy moved around along axes; what falls off one end comes in at the other."""
    by, along = ints("roll", "shifts", 2, (shifts,)), ints("roll", "dims", 3, (dims,))
    if not by:
        raise RuntimeError("`shifts` required")
    if not along and len(by) == 1:
        return apply(_ROLL, (input,), (None,), by)
    if len(by) != len(along):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}"
        )
    if along and not input._meta.ndim:
        raise IndexError(f"Dimension specified as {along[0]} but tensor has no dimensions")
    for shift, dim in zip(by, along):
        input = apply(_ROLL, (input,), (dim,), (shift,))
    return input


def _repeat_rule(x: Meta, repeats: Ints) -> tuple[Meta, dict]:
    if len(repeats) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    old = (1,) * (len(repeats) - x.ndim) + tuple(x.shape)
    shape = tuple([n * r for n, r in zip(old, repeats)])
    for n in shape:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(shape)}"
            )
    return meta_of(shape, x.dtype, x.device), {"repeats": repeats}


def _repeat_vjp(g: Tensor, x_shape: Ints, repeats: Ints) -> Tensor:
    # (r0 * n0, r1 * n1, …) -> (r0, n0, r1, n1, …), summed over the r
    if 0 in repeats:
        return g.new_zeros(x_shape)
    old = (1,) * (len(repeats) - len(x_shape)) + tuple(x_shape)
    parts = [k for pair in zip(repeats, old) for k in pair]
    summed = g.reshape(parts).sum(tuple(range(0, len(parts), 2)))
    return summed.reshape(x_shape)


def _repeat_native(xp: Any, x: Any, *, repeats: Ints) -> Any:
    old = (1,) * (len(repeats) - x.ndim) + x.shape
    spread = xp.broadcast_to(
        x.reshape([k for n in old for k in (1, n)]), [k for pair in zip(repeats, old) for k in pair]
    )
    return spread.reshape([n * r for n, r in zip(old, repeats)])


_REPEAT = Op(
    "repeat", _repeat_rule, lambda xp, x, repeats: xp.tile(x, repeats), vjp=(_repeat_vjp,),
    native=_repeat_native,
)  # fmt: skip


@public("Tensor")
def repeat(self: Tensor, *args: Any, repeats: Any = None) -> Tensor:
    """A copy repeated that many times along each axis; further ones are new leading axes."""
    counts = ints("repeat", "repeats", 1, args if repeats is None else (repeats,))
    return apply(_REPEAT, (self,), (counts,))


@public()
def tile(input: Tensor, *args: Any, dims: Any = None) -> Tensor:
    """`repeat` that takes missing leading counts for 1."""
    counts = ints("tile", "dims", 2, args if dims is None else (dims,))
    return apply(_REPEAT, (input,), ((1,) * (input._meta.ndim - len(counts)) + counts,))


def _triangle(name: str, doc: str) -> None:
    def rule(x: Meta, k: int) -> tuple[Meta, dict]:
        if x.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        return x, {"k": k}

    def native(xp: Any, x: Any, *, k: int) -> Any:
        right = xp.iota(x.shape[-2:], 1) - xp.iota(x.shape[-2:], 0)
        return xp.where(right <= k if name == "tril" else right >= k, x, x.dtype.type(0))

    op = Op(
        name,
        rule,
        lambda xp, x, k: getattr(xp, name)(x, k),
        vjp=(lambda g, k: apply(op, (g,), (k,)),),
        native=native,
    )

    def fn(input: Tensor, diagonal: int = 0) -> Tensor:
        return apply(op, (check_tensor(input, name),), (diagonal,))

    fn.__doc__ = doc
    public(name=name, inplace=True, out=True)(fn)


_triangle("tril", "The lower triangle of matrices, up to `diagonal`; zeros above.")
_triangle("triu", "The upper triangle of matrices, from `diagonal` on; zeros below.")


def _embed_rule(x: Meta, offset: int, dim1: int, dim2: int) -> tuple[Meta, dict]:
    n = x.ndim + 1
    a, b = normalize_dim(dim1, n), normalize_dim(dim2, n)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rest = iter(tuple(x.shape)[:-1])
    side = tuple(x.shape)[-1] + abs(offset)
    shape = tuple([side if k in (a, b) else next(rest) for k in range(n)])
    out = meta_of(shape, x.dtype, x.device)
    return out, {"shape": shape, "offset": offset, "dims": (a, b)}


def _embed(x: Tensor, *, shape: Ints, offset: int, dims: Ints) -> Tensor:
    _, strides, start = diagonal_window(shape, contiguous_strides(shape), offset, *dims)
    return spread(x, shape, strides, start)


_DIAG_EMBED = Op(
    "diag_embed", _embed_rule, None, vjp=(lambda g, offset, dims: diagonal(g, offset, *dims),)
)


@public()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices of zeros with the last axis of `input` on a diagonal."""
    return composite(_DIAG_EMBED, _embed, (input,), (offset, dim1, dim2))


@public(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as the diagonal of a matrix, or a copy of a matrix's diagonal."""
    n = input._meta.ndim
    if n not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    return diag_embed(input, diagonal) if n == 1 else diagonal_copy(input, diagonal)


@public()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements as the diagonal of a matrix."""
    return diag_embed(input.reshape(-1), offset)


@public(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector expanded along the axes of the others.

    With indexing "ij" vector k runs along axis k; with "xy" the first two change places.
    """
    given = tensors_of(tensors)
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for k, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {k} in argument 0, but got {type(t).__name__}"
            )
        if t._meta.ndim > 1:
            sizes = ",".join(map(str, t._meta.shape))
            kind = f"torch.{t._meta.dtype.legacy_name}Tensor{{{sizes}}}"
            numbers = " ".join([f"{number:g}" for number in t.flatten()[:100].tolist()])
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{numbers} [ {kind} ]"
            )
        if t._meta.dtype is not given[0]._meta.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    axes = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        axes[:2] = [1, 0]
    shape = [1] * len(given)
    for t, axis in zip(given, axes):
        shape[axis] = t._meta.numel
    outs = []
    for t, axis in zip(given, axes):
        own = [1] * len(given)
        own[axis] = t._meta.numel
        outs.append(t.view(own).expand(shape))
    return tuple(outs)


def _check_vector(t: Tensor) -> None:
    if t._meta.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(t._meta.shape)}")


@public(method=False)
def cartesian_prod(*tensors: Any) -> Tensor:
    """All tuples of one element of each vector, a row each."""
    given = tensors_of(tensors)
    for t in given:
        _check_vector(t)
    if len(given) == 1:
        return given[0]
    return stack([g.flatten() for g in meshgrid(*given, indexing="ij")], 1)


@public(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of r elements of a vector, in order, a row each."""
    _check_vector(input)
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    pick = choose_again if with_replacement else choose
    rows = np.array(list(pick(range(input._meta.numel), r)), np.int64).reshape(-1, r)
    columns = [from_array(np.ascontiguousarray(c)) for c in rows.T]
    return stack([read_at(input, (0,), (c,)) for c in columns], 1)


@method
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number on the main diagonal, in place; `wrap` goes on below a tall matrix."""
    shape, strides = tuple(self._meta.shape), strides_of(self)
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    count, step = min(shape), sum(strides)
    diagonals = [(count, self.storage_offset())]
    if wrap and len(shape) == 2:
        while diagonals[-1][0] == shape[1]:
            used = len(diagonals) * (shape[1] + 1)
            if used >= shape[0]:
                break
            below = self.storage_offset() + used * strides[0]
            diagonals.append((min(shape[0] - used, shape[1]), below))
    for n, start in diagonals:
        self.as_strided((n,), (step,), start).fill_(fill_value)
    return self
