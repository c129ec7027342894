"""Advanced indexing as operators: reading and writing at tensors of indices, and under masks.

Room: ops. What stands between [ and ] is understood in `indexing.py`; here are the primitives it
uses. Indices that are known are checked when the operation is recorded, others when it is run.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from bital.base.dtype import dtype
from bital.base.stride import contiguous_strides, elementwise_strides
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, asking
from bital.ops.window import laid_out
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, known_array, strides_of

Ints = tuple[int, ...]


def broadcast_indices(metas: list[Meta]) -> Ints:
    """The common shape of index tensors; IndexError where there is none."""
    shapes = [m.shape for m in metas]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        each = ", ".join(str(list(s)) for s in shapes)
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes " + each
        ) from None


def place_of(axes: Ints) -> int:
    """The axis at which the indices' own axes stand in the result: the first, or 0 if apart."""
    adjacent = axes[-1] - axes[0] == len(axes) - 1
    return axes[0] if adjacent else 0


def result_shape(shape: Ints, axes: Ints, indices: Ints) -> Ints:
    """The shape of x[…] for index tensors of the common shape `indices` on `axes`."""
    rest = [n for k, n in enumerate(shape) if k not in axes]
    at = place_of(axes)
    return (*rest[:at], *indices, *rest[at:])


def _index_tuple(ndim: int, axes: Ints, indices: tuple) -> tuple:
    full: list[Any] = [slice(None)] * (axes[-1] + 1)
    for k, i in zip(axes, indices):
        full[k] = i
    return tuple(full)


def out_of_bounds(shape: Ints, axes: Ints, indices: tuple) -> IndexError | None:
    """PyTorch's error for the first index that is out of range, or None."""
    for k, i in zip(axes, indices):
        n = shape[k]
        if i.size and (i.max() >= n or i.min() < -n):
            bad = i[(i >= n) | (i < -n)].flat[0]
            return IndexError(f"index {int(bad)} is out of bounds for dimension {k} with size {n}")
    return None


def check_known(x: Tensor, axes: Ints, indices: tuple[Tensor, ...]) -> None:
    """Raise IndexError now for indices that are known and out of range."""
    known = [(k, t._storage.value.buf) for k, t in zip(axes, indices)]
    for k, buf in known:
        if buf is not None and buf.size:
            n = tuple(x._meta.shape)[k]
            if np.maximum.reduce(buf, None) >= n or np.minimum.reduce(buf, None) < -n:
                raise_bad(x, axes, indices)


def check_real(number: Any, d: dtype) -> None:
    """PyTorch's error for a complex number that is to become an element of a real tensor."""
    if isinstance(number, complex) and not d.is_complex:
        word = {"float32": "float", "float64": "double", "int32": "int"}.get(d.name, f"{d.name}_t")
        raise RuntimeError(f"value cannot be converted to type {word} without overflow")


def raise_bad(x: Tensor, axes: Ints, indices: tuple[Tensor, ...]) -> None:
    """Raise for indices whose storages hold one out of range, if they themselves do."""
    known = [(k, known_array(t)) for k, t in zip(axes, indices)]
    known = [(k, array) for k, array in known if array is not None]
    where, arrays = tuple([k for k, _ in known]), tuple([array for _, array in known])
    error = out_of_bounds(tuple(x._meta.shape), where, arrays)
    if error is not None:
        raise error


def _index_impl(xp: Any, x: Any, *indices: Any, axes: Ints) -> Any:
    try:
        if len(indices) == 1:
            return x.take(indices[0], axes[0])
        return xp.asarray(x[_index_tuple(x.ndim, axes, indices)], order="C")
    except IndexError:
        raise (out_of_bounds(x.shape, axes, indices) or IndexError("index out of range")) from None


def from_the_end(xp: Any, index: Any, n: int) -> Any:
    """Indices into n elements, negative ones counted from the end."""
    xp.require((index >= -n) & (index < n))
    return xp.where(index < 0, index + n, index).astype(xp.int64)


def _rows_at(xp: Any, x: Any, indices: tuple, axes: Ints) -> tuple[Any, Any, Ints]:
    """In array words x with the indexed axes in front, as one; places there; the order of axes."""
    places: Any = 0
    for k, index in zip(axes, indices):
        places = places * x.shape[k] + from_the_end(xp, index, x.shape[k])
    order = (*axes, *[k for k in range(x.ndim) if k not in axes])
    shape = (math.prod([x.shape[k] for k in axes]), *[x.shape[k] for k in order[len(axes) :]])
    return x.transpose(order).reshape(shape), places, order


def _index_native(xp: Any, x: Any, *indices: Any, axes: Ints) -> Any:
    if len(axes) == 1:
        return xp.take(x, from_the_end(xp, indices[0], x.shape[axes[0]]), axes[0])
    rows, places, _ = _rows_at(xp, x, indices, axes)
    taken, own, at = xp.take_rows(rows, places), places.ndim, place_of(axes)
    order = list(range(own, taken.ndim))
    order[at:at] = range(own)
    return taken.transpose(order)


def _index_rule(x: Meta, *rest: Any) -> tuple[Meta, dict]:
    *indices, axes = rest
    shape = result_shape(x.shape, axes, broadcast_indices(indices))
    return meta_of(shape, x.dtype, x.device), {"axes": axes}


def _put_rule(x: Meta, values: Meta, *rest: Any) -> tuple[Meta, dict]:
    *indices, axes, accumulate = rest
    shape = result_shape(x.shape, axes, broadcast_indices(indices))
    if x.dtype is not values.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{x.dtype.legacy_name} for the destination and {values.dtype.legacy_name} for the "
            "source."
        )
    lead = values.ndim - len(shape)
    fits = all(n in (1, m) for n, m in zip(values.shape[max(lead, 0) :], shape[max(-lead, 0) :]))
    if lead > 0 or not fits:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        )
    return x, {"axes": axes, "accumulate": accumulate}


def _put_impl(
    xp: Any, x: Any, values: Any, *indices: Any, axes: Ints, accumulate: bool, out: Any = None
) -> Any:
    if out is None:
        out = xp.array(x, order="C", copy=True)
    place = _index_tuple(x.ndim, axes, indices)
    try:
        if accumulate:
            add_at(xp, out, axes, indices, values, place)
        else:
            out[place] = values
    except IndexError:
        raise (out_of_bounds(x.shape, axes, indices) or IndexError("index out of range")) from None
    return out


def _put_native(xp: Any, x: Any, values: Any, *indices: Any, axes: Ints, accumulate: bool) -> Any:
    rows, places, order = _rows_at(xp, x, indices, axes)
    own, at = places.ndim, place_of(axes)
    rest = rows.shape[1:]
    values = xp.broadcast_to(values, (*rest[:at], *places.shape, *rest[at:]))
    values = values.transpose([
        *range(at, at + own), *range(at), *range(at + own, own + len(rest)),
    ])  # fmt: skip
    out = xp.put_rows(values, places, rows, how="add" if accumulate else None)
    out = out.reshape([x.shape[k] for k in order])
    return out.transpose([order.index(k) for k in range(x.ndim)])


def add_at(xp: Any, out: Any, axes: Ints, indices: tuple, values: Any, place: tuple) -> None:
    """out[place] += values, counting places given several times as often as they are given."""
    lead = math.prod(out.shape[: len(axes)])
    width = out.size // lead if lead else 0
    if axes != tuple(range(len(axes))) or width < 4 or not out.flags.c_contiguous:
        xp.add.at(out, place, values)
        return
    rows = indices[0] if len(indices) == 1 else _joint_index(xp, out.shape, indices)
    if (rows < 0).any():
        rows = xp.where(rows < 0, rows + lead, rows)
    values = xp.broadcast_to(values, rows.shape + out.shape[len(axes) :])
    add_rows(xp, out.reshape(lead, width), rows.ravel(), values.reshape(-1, width))


def _joint_index(xp: Any, shape: Ints, indices: tuple) -> Any:
    """Indices of several leading axes as one index of them taken together."""
    steps = contiguous_strides(tuple(shape[: len(indices)]))
    total = 0
    for n, step, i in zip(shape, steps, indices):
        total = total + xp.where(i < 0, i + n, i) * step
    return total


def add_rows(xp: Any, out: Any, index: Any, rows: Any) -> None:
    """out[index] += rows for a matrix, in order; equal indices add up."""
    if not index.size:
        return
    if index.max() >= len(out) or index.min() < 0:
        raise IndexError("index out of range")
    order = index.argsort(kind="stable")
    ordered = index[order]
    starts = xp.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts = xp.concatenate([[0], starts])
    if len(starts) == len(index):
        out[index] += rows
    else:
        out[ordered[starts]] += xp.add.reduceat(rows[order], starts, axis=0)


@functools.cache
def index_op(count: int) -> Op:
    """x[…] at `count` index tensors on given axes."""
    names = [f"index{k}" for k in range(count)]

    def back(g: Tensor, *saved: Any) -> Tensor:
        *indices, axes, shape = saved
        zeros = g.new_zeros(shape)
        return apply(put_op(count), (zeros, g, *indices), (axes, True))

    return Op(
        f"index_{count}", _index_rule, _index_impl, inputs=("x", *names), grad_fn="IndexBackward0",
        vjp=(asking(back, *names, "axes", "x_shape"), None), fallible=True,
        native=_index_native,
    )  # fmt: skip


@functools.cache
def put_op(count: int) -> Op:
    """x with values written, or added, at `count` index tensors on given axes."""
    names = [f"index{k}" for k in range(count)]

    def back_x(g: Tensor, *saved: Any) -> Tensor:
        *indices, axes, accumulate = saved
        if accumulate:
            return g
        zero = g.new_zeros(())
        return apply(put_op(count), (g, zero, *indices), (axes, False))

    def back_values(g: Tensor, *saved: Any) -> Tensor:
        *indices, axes = saved
        return apply(index_op(count), (g, *indices), (axes,))

    return Op(
        f"index_put_{count}", _put_rule, _put_impl, inputs=("x", "values", *names),
        vjp=(
            asking(back_x, *names, "axes", "accumulate"),
            asking(back_values, *names, "axes"),
            None,
        ),
        grad_fn="IndexPutBackward0", out="first", fallible=True, native=_put_native,
    )  # fmt: skip


def _mask_impl(
    xp: Any, x: Any, value: Any, mask: Any, *, axis: int, keep: bool, out: Any = None
) -> Any:
    if out is None:
        out = xp.array(x, order="C", copy=True)
    mask = mask if not keep else ~xp.asarray(mask)
    out[(slice(None),) * axis + (mask,)] = value
    return out


def _masked(g: Tensor, mask: Tensor, axis: int, keep: bool) -> Tensor:
    zero = g.new_zeros(())
    return apply(MASK_PUT, (g, zero, mask), (axis, keep))


#: x with one number written where a mask (of some of its axes, from `axis` on) is true, or false
MASK_PUT = Op(
    "mask_put",
    lambda x, value, mask, axis, keep: (x, {"axis": axis, "keep": keep}),
    _mask_impl,
    inputs=("x", "value", "mask"),
    vjp=(
        lambda g, mask, axis, keep: _masked(g, mask, axis, keep),
        lambda g, mask, axis, keep: _masked(g, mask, axis, not keep),
        None,
    ),
    grad_fn="IndexPutBackward0",
    out="first",
)


def read_at(x: Tensor, axes: Ints, indices: tuple[Tensor, ...]) -> Tensor:
    """x at index tensors on `axes`; the result lies in memory as x does."""
    check_known(x, axes, indices)
    out: Tensor = apply(index_op(len(axes)), (x, *indices), (axes,))
    if x._view is None or x._view.strides == x._meta.strides:
        return out
    strides = _strides_like(x, axes, indices, tuple(out._meta.shape))
    if strides == out._meta.strides:
        return out
    edge, out._edge = out._edge, None
    turned = laid_out(out, strides)
    turned._edge = edge
    return turned


def _strides_like(x: Tensor, axes: Ints, indices: tuple[Tensor, ...], shape: Ints) -> Ints:
    """The strides of x at index tensors: the indices' axes count as repeated."""
    rest = [s for k, s in enumerate(strides_of(x)) if k not in axes]
    inner = broadcast_indices([t._meta for t in indices])
    at = place_of(axes)
    operands = [(shape, (*rest[:at], *(0,) * len(inner), *rest[at:]))]
    after = len(shape) - at - len(inner)
    for t in indices:
        lead = (0,) * (len(shape) - after - t._meta.ndim)
        operands.append((shape, (*lead, *strides_of(t), *(0,) * after)))
    return elementwise_strides(shape, operands)


def write_at(
    x: Tensor, axes: Ints, indices: tuple[Tensor, ...], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy of x with values written (or added) at index tensors on `axes`."""
    check_known(x, axes, indices)
    return apply(put_op(len(axes)), (x, values, *indices), (axes, accumulate))
