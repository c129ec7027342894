"""What stands between [ and ]: Tensor.__getitem__ and __setitem__, and the protocol around them.

Room: ops. Numbers, slices, None and … make one window, however many there are; tensors, lists
and arrays of indices are read or written by the operators of `index.py`.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from bital.base.dtype import bool_, int32, int64, uint8
from bital.base.size import expand_shape
from bital.ir.meta import Meta, meta_of
from bital.ops.api import method
from bital.ops.create import constant_value
from bital.ops.index import MASK_PUT, check_real, read_at, write_at
from bital.ops.overwrite import overwrite
from bital.ops.split import unbind
from bital.ops.window import attach, bare_view, spread
from bital.tensor.dispatch import apply, cast, check_overlap, inplace
from bital.tensor.tensor import (
    Tensor,
    array_of,
    from_array,
    onto,
    strides_of,
    view_node,
    wrap,
)

Ints = tuple[int, ...]
#: classes of a slice's ends that need no conversion
_PLAIN = frozenset((int, type(None)))

#: meta -> (size of the first axis, meta of one row)
_rows: dict[Meta, tuple[int, Meta]] = {}


def _row_meta(meta: Meta) -> tuple[int, Meta]:
    if not meta.ndim:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` "
            "in C++ to convert a 0-dim tensor to a number"
        )
    if len(_rows) > 4096:
        _rows.clear()
    shape = tuple(meta.shape)
    found = _rows[meta] = (shape[0], meta_of(shape[1:], meta.dtype, meta.device))
    return found


def _out_of_range(i: int, dim: int, n: int) -> NoReturn:
    raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {n}")


def row(x: Tensor, i: int) -> Tensor:
    """x[i] for an int: a view. Hot."""
    meta = x._meta
    n, row_meta = _rows.get(meta) or _row_meta(meta)
    if not -n <= i < n:
        _out_of_range(i, 0, n)
    if i < 0:
        i += n
    old = x._view
    if old is None:
        strides, offset = meta.strides, 0
    else:
        strides, offset = old.strides, old.offset
    out, edge = onto(x, row_meta, strides[1:], offset + i * strides[0])
    if edge is not None:
        plain = meta.strides
        out._edge = view_node(
            "SelectBackward0", edge, meta,
            lambda g: spread(g, meta.shape, plain[1:], i * plain[0]),
        )  # fmt: skip
    return out


#: (meta, how many rows) -> meta of a slice of the first axis
_slices: dict[tuple[Meta, int], Meta] = {}


def rows(x: Tensor, start: Any, stop: Any) -> Tensor:
    """x[start:stop]: a view of consecutive rows. Hot."""
    meta = x._meta
    n, _ = _rows.get(meta) or _row_meta(meta)
    begin = 0 if start is None else start if 0 <= start <= n else _clipped(start, n)
    end = n if stop is None else stop if 0 <= stop <= n else _clipped(stop, n)
    count = end - begin if end > begin else 0
    new = _slices.get((meta, count))
    if new is None:
        if len(_slices) > 4096:
            _slices.clear()
        new = meta_of((count, *tuple(meta.shape)[1:]), meta.dtype, meta.device)
        _slices[meta, count] = new
    old = x._view
    if old is None:
        strides, offset = meta.strides, 0
    else:
        strides, offset = old.strides, old.offset
    out, edge = onto(x, new, strides, offset + begin * strides[0])
    if edge is not None:
        plain = meta.strides
        out._edge = view_node(
            "SliceBackward0", edge, meta,
            lambda g: spread(g, meta.shape, plain, begin * plain[0]),
        )  # fmt: skip
    return out


def _clipped(end: int, n: int) -> int:
    """Where a slice of an axis of n elements begins or ends."""
    return max(end + n, 0) if end < 0 else min(end, n)


class Place:
    """What an index means: a window (in x's own strides and in plain ones), and index tensors.

    `name` is the node's, None where the window is all of x; `axes` are the window's axes that
    `indices` stand on.
    """

    __slots__ = ("x", "shape", "strides", "plain", "offset", "start", "name", "axes", "indices",
                 "masks")  # fmt: skip

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.shape: list[int] = []
        self.strides: list[int] = []
        self.plain: list[int] = []
        self.offset = x.storage_offset()
        self.start = 0
        self.name: str | None = None
        self.axes: list[int] = []
        self.indices: list[Tensor] = []
        self.masks: list[tuple[int, Tensor]] = []

    def keep(self, n: int, stride: int, plain: int) -> None:
        """Append an axis of the window."""
        self.shape.append(n)
        self.strides.append(stride)
        self.plain.append(plain)

    def window(self) -> Tensor:
        """The window as a tensor, x itself where it is all of x and is read at index tensors."""
        x = self.x
        if self.name is None and self.indices:
            return x
        meta = meta_of(tuple(self.shape), x._meta.dtype, x._meta.device)
        out = bare_view(x, meta, tuple(self.strides), self.offset)
        shape, plain, start = x._meta.shape, tuple(self.plain), self.start
        return attach(
            out, x, self.name or "AliasBackward0", lambda g: spread(g, shape, plain, start)
        )


def place_of(x: Tensor, items: tuple) -> Place:
    """Understand the items between [ and ]."""
    place = Place(x)
    shape, strides, plain = tuple(x._meta.shape), strides_of(x), x._meta.strides
    items = tuple([_as_index(item) for item in items])
    taken = sum([_axes_taken(item) for item in items])
    if taken > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    dim = 0
    for item in items:
        if item is Ellipsis:
            rest = len(shape) - taken if dim + len(shape) - taken <= len(shape) else 0
            rest = rest if rest >= 0 else 0
            for k in range(dim, dim + rest):
                place.keep(shape[k], strides[k], plain[k])
            dim, taken = dim + rest, taken + rest
        elif item is None:
            ahead = dim < len(shape)
            place.keep(1, shape[dim] * strides[dim] if ahead else 1,
                       shape[dim] * plain[dim] if ahead else 1)  # fmt: skip
            place.name = "UnsqueezeBackward0"
        elif item.__class__ is int:
            n = shape[dim]
            if not -n <= item < n:
                _out_of_range(item, dim, n)
            at = item + n if item < 0 else item
            place.offset += at * strides[dim]
            place.start += at * plain[dim]
            place.name = "SelectBackward0"
            dim += 1
        elif item.__class__ is slice:
            _slice(place, item, shape[dim], strides[dim], plain[dim])
            dim += 1
        elif isinstance(item, bool):
            _flag(place, item, shape, strides, plain, dim)
        else:
            dim = _indices(place, item, shape, strides, plain, dim)
    for k in range(dim, len(shape)):
        place.keep(shape[k], strides[k], plain[k])
    return place


def _as_index(item: Any) -> Any:
    """An item as an int, slice, None, Ellipsis, bool, or a tensor of indices or a mask."""
    kind = item.__class__
    if kind is int or kind is slice or item is None or item is Ellipsis or kind is bool:
        return item
    if isinstance(item, Tensor):
        return _as_index_tensor(item)
    if isinstance(item, np.bool_):
        return bool(item)
    if isinstance(item, (list, tuple, range, np.ndarray)):
        return _as_index_tensor(from_sequence(item))
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    if hasattr(item, "__index__"):
        return operator.index(item)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {kind.__name__})"
    )


def _as_index_tensor(item: Tensor) -> Any:
    d = item._meta.dtype
    if d is int64 or d is int32:
        return item if item._meta.ndim or item._meta.device.lanes else item.item()
    if d is bool_:
        return item if item._meta.ndim else bool(item)
    if d is uint8:
        warnings.warn(
            "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
            "instead.",
            UserWarning,
            stacklevel=2,
        )
        return item.bool() if item._meta.ndim else bool(item)
    if not item._meta.ndim and not (d.is_floating_point or d.is_complex):
        return item.item()
    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")


def from_sequence(item: Any) -> Tensor:
    """A list, range or array of indices or flags as a tensor."""
    if not isinstance(item, np.ndarray):
        plain = [i.tolist() if isinstance(i, Tensor) else i for i in item]
        item = np.array(plain) if plain else np.empty(0, np.int64)
    return from_array(np.array(item, order="C"))


def _axes_taken(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor) and item._meta.dtype is bool_:
        return item._meta.ndim
    return 1


def _slice(place: Place, item: slice, n: int, stride: int, plain: int) -> None:
    start, stop, step = item.start, item.stop, item.step
    if step is not None and operator.index(step) <= 0:
        zero = operator.index(step) == 0
        raise ValueError("slice step cannot be zero" if zero else "step must be greater than zero")
    begin, end, step = slice(start, stop, step).indices(n)
    count = max(0, -(-(end - begin) // step))
    if count != n or step != 1:
        place.name = "SliceBackward0"
        place.offset += begin * stride
        place.start += begin * plain
    place.keep(count, stride * step, plain * step)


def _flag(place: Place, flag: bool, shape: Ints, strides: Ints, plain: Ints, dim: int) -> None:
    """True and False: a new axis of one element, taken or not."""
    place.name = "UnsqueezeBackward0"
    place.axes.append(len(place.shape))
    place.indices.append(from_array(np.zeros(int(flag), np.int64)))
    step = shape[dim] * strides[dim] if dim < len(shape) else 1
    place.keep(1, step, shape[dim] * plain[dim] if dim < len(shape) else 1)


def _indices(place: Place, item: Tensor, shape: Ints, strides: Ints, plain: Ints, dim: int) -> int:
    """An index tensor for one axis, or a mask for as many axes as it has."""
    if item._meta.dtype is not bool_:
        place.axes.append(len(place.shape))
        place.indices.append(item)
        place.keep(shape[dim], strides[dim], plain[dim])
        return dim + 1
    mask_shape = tuple(item._meta.shape)
    if mask_shape != shape[dim : dim + len(mask_shape)]:
        at = next(k for k, n in enumerate(mask_shape) if n != shape[dim + k])
        raise IndexError(
            f"The shape of the mask {list(mask_shape)} at index {at} does not match the shape of "
            f"the indexed tensor {list(shape)} at index {dim + at}"
        )
    place.masks.append((len(place.shape), item))
    for k in range(dim, dim + len(mask_shape)):
        place.axes.append(len(place.shape))
        place.indices.append(item)  # resolved when it is known that positions are needed
        place.keep(shape[k], strides[k], plain[k])
    return dim + len(mask_shape)


def mask_positions(index: Tensor) -> list[Tensor]:
    """An index tensor as it is; a mask as the positions of what is true in it, axis by axis."""
    if index._meta.dtype is not bool_:
        return [index]
    if index._meta.device.lanes:
        raise RuntimeError(
            "vmap: We do not support batching operators that can support dynamic shape. Attempting "
            "to batch over indexing with a boolean mask."
        )
    found = np.nonzero(array_of(index))
    return [from_array(np.ascontiguousarray(where, np.int64)) for where in found]


def _positions(place: Place) -> tuple[Tensor, ...]:
    """The index tensors, masks replaced by the positions of what is true in them."""
    found: dict[int, Tensor] = {}
    for axis, mask in place.masks:
        for k, where in enumerate(mask_positions(mask)):
            found[axis + k] = where
    return tuple([found.get(axis, t) for axis, t in zip(place.axes, place.indices)])


def _items(index: Any) -> tuple:
    """The index as a tuple; a short list that holds more than numbers counts as one."""
    if isinstance(index, tuple):
        return index
    if isinstance(index, list) and len(index) < 32 and any(
        i is None or i is Ellipsis or isinstance(i, (slice, list, tuple, np.ndarray))
        or isinstance(i, Tensor) and i._meta.ndim for i in index
    ):  # fmt: skip
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated and will be "
            "changed in pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will "
            "be interpreted as tensor index, x[torch.tensor(seq)], which will result either in an "
            "error or a different result",
            UserWarning,
            stacklevel=3,
        )
        return tuple(index)
    return (index,)


@method
def __getitem__(self: Tensor, index: Any) -> Tensor:
    """`self[index]`: a view for ints, slices, None and …, a copy where index tensors take part."""
    kind = index.__class__
    if kind is int:
        return row(self, index)
    if kind is slice and index.step is None and self._meta.ndim:
        if index.start.__class__ in _PLAIN and index.stop.__class__ in _PLAIN:
            return rows(self, index.start, index.stop)
    if kind is Tensor and index._meta.dtype is int64 and index._meta.ndim and self._meta.ndim:
        return read_at(self, (0,), (index,))
    place = place_of(self, _items(index))
    if kind is slice and place.name is None:
        place.name = "SliceBackward0"
    out = place.window()
    if not place.indices:
        return out
    return read_at(out, tuple(place.axes), _positions(place))


@method
def __setitem__(self: Tensor, index: Any, value: Any) -> None:
    """`self[index] = value`: writes a number or a tensor, broadcast, where the index says."""
    src = _source(self, value)
    kind = index.__class__
    if kind is int:
        into(row(self, index), src)
        return
    if index is False:
        return
    if index is True:
        index = None
    place = place_of(self, _items(index))
    if not place.indices:
        into(self if place.name is None else place.window(), src)
        return
    target = self if place.name is None else place.window()
    src = _without_leading_ones(src)
    axes = tuple(place.axes)
    if len(place.masks) == 1 and src._meta.numel == 1 and len(axes) == place.masks[0][1]._meta.ndim:
        axis, mask = place.masks[0]
        one = src.reshape(()) if src._meta.ndim else src
        d = target._meta.dtype
        if one._meta.dtype.is_complex and not d.is_complex:
            raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
        one = cast(one, d)
        inplace(target, lambda t: apply(MASK_PUT, (t, one, mask), (axis, False)))
        return
    positions = _positions(place)
    check_overlap(target, src, whole=True)
    inplace(target, lambda t: write_at(t, axes, positions, src))


def _source(t: Tensor, value: Any) -> Tensor:
    """What is assigned as a tensor; a number becomes one of t's dtype."""
    if isinstance(value, Tensor):
        return value
    d = t._meta.dtype
    if isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
        check_real(value, d)
        meta = meta_of((), d, t._meta.device)
        return wrap(constant_value(meta, value), meta)
    raise TypeError(f"can't assign a {_type_name(value)} to a torch.{d.legacy_name}Tensor")


def _type_name(value: Any) -> str:
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


def _without_leading_ones(src: Tensor) -> Tensor:
    """The tensor without its leading axes of size 1, which assignments do not count."""
    shape = tuple(src._meta.shape)
    extra = 0
    while len(shape) - extra > 0 and shape[extra] == 1:
        extra += 1
    return src.reshape(shape[extra:]) if extra else src


def into(t: Tensor, src: Tensor) -> None:
    """Write src, broadcast and cast, into the window t, with PyTorch's in-place rules."""
    if src._meta.ndim > t._meta.ndim:
        src = _without_leading_ones(src)
    if src._meta.shape != t._meta.shape:
        _check_expands(src._meta, t._meta)
        if src._meta.ndim and src._storage.memory is t._storage.memory:
            check_overlap(t, _without_leading_ones(src).expand(t._meta.shape))
    overwrite(t, src, "CopyBackwards" if src._meta.ndim else "FillBackward3")


def _check_expands(src: Meta, target: Meta) -> None:
    if src.ndim > target.ndim:
        raise RuntimeError(
            f"expand(torch.{src.dtype.legacy_name}Tensor{{{list(src.shape)}}}, size="
            f"{list(target.shape)}): the number of sizes provided ({target.ndim}) must be greater "
            f"or equal to the number of dimensions in the tensor ({src.ndim})"
        )
    expand_shape(src.shape, target.shape)


@method
def __delitem__(self: Tensor, index: Any) -> None:
    """Refused, as in PyTorch."""
    raise TypeError("Tensor does not support deleting items")


@method
def __iter__(self: Tensor) -> Iterator[Tensor]:
    """The views along the first axis."""
    if not self._meta.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(self, 0))


@method
def __contains__(self: Tensor, element: Any) -> bool:
    """Whether any element equals a number, or a tensor broadcast against this one."""
    if not isinstance(element, (Tensor, int, float, complex, np.number)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    same: Any = element == self
    return bool(same.any())


@method
def __reversed__(self: Tensor) -> Tensor:
    """The tensor turned around along its first axis."""
    return self.flip(0) if self._meta.ndim else self
