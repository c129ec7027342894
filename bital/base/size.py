"""Sizes: `torch.Size`, broadcasting, axes, inferring -1, reduced sizes.

Room: base; the standard library only. Functions take and return plain tuples (a `Size` is one
too), because making a `Size` costs more than making a tuple; `Size` is what users get to see.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

#: more dimensions than this are refused where a set of axes is given, as PyTorch does
MAX_DIMS = 64


class Size(tuple):
    """`torch.Size`: a tuple of ints that stays a `Size` under `+`, `*` and slicing.

    >>> Size([2, 3]) + (4,)
    torch.Size([2, 3, 4])
    >>> Size([2, 3])[1:], Size([2, 3]).numel(), Size([2, 3]) == (2, 3)
    (torch.Size([3]), 6, True)
    """

    __slots__ = ()
    __module__ = "torch"

    def __new__(cls, sizes: Iterable[SupportsIndex] = ()) -> Size:
        """Raises TypeError where an item is not an integer (an int, or what has `__index__`)."""
        items = tuple(sizes)
        for position, item in enumerate(items):
            if type(item) is not int:
                return tuple.__new__(cls, _as_ints(items, position))
        return tuple.__new__(cls, items)

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return tuple.__new__(Size, item) if isinstance(index, slice) else item

    def __add__(self, other: object) -> Size:
        if not isinstance(other, tuple):
            name = type(other).__name__
            raise TypeError(f"can only concatenate tuple (not {name}) to torch.Size")
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: object) -> Size:
        if not isinstance(other, tuple):
            return NotImplemented
        return Size(tuple.__add__(other, self))

    def __mul__(self, count: SupportsIndex) -> Size:
        return tuple.__new__(Size, tuple.__mul__(self, count))

    __rmul__ = __mul__

    def __reduce__(self):
        # `torch.Size` is only a name that pickle can look up while `torch` means this library
        named = getattr(sys.modules.get("torch"), "Size", None) is Size
        return (Size if named else make_size), (tuple(self),)


def _as_ints(items: tuple, start: int) -> list[int]:
    ints = list(items[:start])
    for position in range(start, len(items)):
        try:
            ints.append(int(operator.index(items[position])))
        except (TypeError, ValueError, RuntimeError):
            name = type(items[position]).__name__
            raise TypeError(
                f"torch.Size() takes an iterable of 'int' (item {position} is '{name}')"
            ) from None
    return ints


def make_size(sizes: Iterable[int]) -> Size:
    """A `Size` of what is known to be ints, without the checks of `Size()`."""
    return tuple.__new__(Size, sizes)


def numel(shape: Sequence[int]) -> int:
    """The number of elements.

    >>> numel((2, 3)), numel(()), numel((2, 0))
    (6, 1, 0)
    """
    return math.prod(shape)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that operands of `shapes` broadcast to, with the error of PyTorch's operators.

    >>> broadcast_shapes((2, 1), (3,), ())
    (2, 3)
    >>> broadcast_shapes((2, 3), (4,))
    Traceback (most recent call last):
    RuntimeError: The size of tensor a (3) must match the size of tensor b (4) at non-singleton \
dimension 1
    """
    result: tuple[int, ...] = ()
    for shape in shapes:
        if shape != result:
            result = _broadcast_two(result, shape) if result else tuple(shape)
    return result


def _broadcast_two(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    ndim = max(len(a), len(b))
    result = [1] * (ndim - len(a)) + list(a)
    for back in range(1, len(b) + 1):  # the last dimension is the first to complain
        mine, other = result[-back], b[-back]
        if mine == other or other == 1:
            continue
        if mine != 1:
            raise RuntimeError(
                f"The size of tensor a ({mine}) must match the size of tensor b ({other}) "
                f"at non-singleton dimension {ndim - back}"
            )
        result[-back] = other
    return tuple(result)


def public_broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """`torch.broadcast_shapes`: ints count as shapes of one dimension; the errors differ.

    Raises RuntimeError where sizes do not match and ValueError where one is negative.

    >>> torch.broadcast_shapes((2, 1), 3)
    torch.Size([2, 3])
    """
    tuples = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    result = [1] * max(map(len, tuples), default=0)
    for position, shape in enumerate(tuples):
        for back in range(-1, -len(shape) - 1, -1):
            length = shape[back]
            if length in (1, result[back]):
                continue
            if result[back] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {length} at {back}! "
                    f"Mismatching argument at index {position} had {shape}; but expected shape "
                    f"should be broadcastable to {result}"
                )
            if length < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            result[back] = length
    return Size(result)


def expand_shape(shape: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """`target` with -1 replaced by the size of `shape` there; RuntimeError where it cannot expand.

    >>> expand_shape((3, 1), (2, -1, 4))
    (2, 3, 4)
    """
    lead = len(target) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(target)}) must be greater or equal to "
            f"the number of dimensions in the tensor ({len(shape)})"
        )
    result = list(target)
    for dim in range(len(target) - 1, -1, -1):
        wanted = target[dim]
        if dim < lead:
            if wanted < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({wanted}) isn't allowed in a leading, "
                    f"non-existing dimension {dim}"
                )
            continue
        size = shape[dim - lead]
        if wanted == -1:
            result[dim] = size
        elif wanted != size and size != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted}) must match the existing size "
                f"({size}) at non-singleton dimension {dim}.  Target sizes: {list(target)}.  "
                f"Tensor sizes: {list(shape)}"
            )
        elif wanted < 0:
            raise RuntimeError(
                f"invalid shape dimension {wanted} at index {dim} of shape {list(target)}"
            )
    return tuple(result)


def normalize_dim(dim: int, ndim: int, *, wrap_scalar: bool = True) -> int:
    """`dim` counted from the front; IndexError where a tensor of `ndim` dimensions has it not.

    A 0-d tensor takes 0 and -1, unless `wrap_scalar` is false.

    >>> normalize_dim(-1, 3), normalize_dim(-1, 0)
    (2, 0)
    >>> normalize_dim(2, 2)
    Traceback (most recent call last):
    IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)
    """
    if 0 <= dim < ndim:
        return dim
    if -ndim <= dim < 0:
        return dim + ndim
    if ndim == 0:
        if not wrap_scalar:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        if dim in (0, -1):
            return 0
        ndim = 1
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {dim})"
    )


def normalize_dims(
    dims: int | Sequence[int] | None, ndim: int, *, empty_is_all: bool = True
) -> tuple[int, ...]:
    """Axes counted from the front, in the order given; all of them for None.

    No axes at all mean every axis too (as for `sum`), unless `empty_is_all` is false. IndexError
    for one out of range, RuntimeError for one given twice.

    >>> normalize_dims((-1, 0), 3), normalize_dims(1, 2), normalize_dims(None, 2)
    ((2, 0), (1,), (0, 1))
    >>> normalize_dims((0, -2), 2)
    Traceback (most recent call last):
    RuntimeError: dim 0 appears multiple times in the list of dims
    """
    if dims is None:
        return tuple(range(ndim))
    if ndim > MAX_DIMS:
        raise RuntimeError(f"only tensors with up to {MAX_DIMS} dims are supported")
    if isinstance(dims, int):
        return (normalize_dim(dims, ndim),)
    if not dims and empty_is_all:
        return tuple(range(ndim))
    seen: list[int] = []
    for dim in dims:
        wrapped = normalize_dim(dim, ndim)
        if wrapped in seen:
            raise RuntimeError(f"dim {wrapped} appears multiple times in the list of dims")
        seen.append(wrapped)
    return tuple(seen)


def infer_size(shape: Sequence[int], numel: int) -> tuple[int, ...]:
    """`shape` with its -1 replaced, for a tensor of `numel` elements; RuntimeError if none fits.

    >>> infer_size((2, -1), 6)
    (2, 3)
    >>> infer_size((2, 5), 6)
    Traceback (most recent call last):
    RuntimeError: shape '[2, 5]' is invalid for input of size 6
    """
    free, known = None, 1
    for position, size in enumerate(shape):
        if size >= 0:
            known *= size
        elif size != -1:
            raise RuntimeError(
                f"invalid shape dimension {size} at index {position} of shape {list(shape)}"
            )
        elif free is not None:
            raise RuntimeError("only one dimension can be inferred")
        else:
            free = position
    if free is None:
        fits = known == numel
    else:
        fits = numel % known == 0 if known else numel == 0
    if not fits:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    if free is None:
        return tuple(shape)
    if not known:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    return (*shape[:free], numel // known, *shape[free + 1 :])


def reduced_shape(shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> tuple[int, ...]:
    """The shape left by a reduction over `dims` (already counted from the front).

    >>> reduced_shape((2, 3, 4), (0, 2), False), reduced_shape((2, 3, 4), (1,), True)
    ((3,), (2, 1, 4))
    """
    if keepdim:
        return tuple(1 if dim in dims else size for dim, size in enumerate(shape))
    return tuple(size for dim, size in enumerate(shape) if dim not in dims)
