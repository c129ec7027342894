"""Strides: where each element of a window lies.

Room: base; the standard library only. Strides count elements, never bytes. Shapes and strides
are tuples. The rules are PyTorch's, also for sizes 0 and 1, whose strides move nothing and so
are a matter of convention: its results are compared with these functions in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

Ints = tuple[int, ...]

#: dimensions of a channels-last tensor, the slowest first: (N, H, W, C) and (N, D, H, W, C)
CHANNELS_LAST_ORDER = {4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}


@lru_cache(maxsize=4096)
def contiguous_strides(shape: Ints) -> Ints:
    """Strides of a new tensor, the last dimension fastest; a size of 0 counts as 1.

    >>> contiguous_strides((2, 3, 4)), contiguous_strides((3, 0)), contiguous_strides(())
    ((12, 4, 1), (1, 1), ())
    """
    return permuted_strides(tuple(size or 1 for size in shape), range(len(shape)))


def element_strides(array: Any) -> Ints:
    """A NumPy array's strides in elements; along axes without a second one as if contiguous."""
    plain = contiguous_strides(array.shape)
    steps = zip(array.strides, plain, array.shape)
    return tuple([p if n <= 1 else step // array.itemsize for step, p, n in steps])


def permuted_strides(shape: Ints, order: Sequence[int]) -> Ints:
    """Strides without gaps where `order` lists the dimensions, the slowest first.

    >>> permuted_strides((2, 3, 4), (2, 0, 1))
    (3, 1, 6)
    """
    strides, step = [0] * len(shape), 1
    for dim in reversed(order):
        strides[dim] = step
        step *= shape[dim]
    return tuple(strides)


def _is_packed(shape: Ints, strides: Ints, order: Sequence[int]) -> bool:
    """Whether strides are those of `order`, not looking at sizes of 1."""
    step, shape = 1, tuple(shape)  # of a Size an item costs much
    for dim in reversed(order):
        if shape[dim] != 1:
            if strides[dim] != step:
                return False
            step *= shape[dim]
    return True


def is_contiguous(shape: Ints, strides: Ints) -> bool:
    """Whether the elements lie in order without gaps; always so for an empty tensor.

    >>> is_contiguous((2, 1, 3), (3, 99, 1)), is_contiguous((3, 2), (1, 3))
    (True, False)
    """
    return (
        strides == contiguous_strides(shape)
        or 0 in shape
        or _is_packed(shape, strides, range(len(shape)))
    )


def channels_last_strides(shape: Ints) -> Ints:
    """Strides of `memory_format=torch.channels_last`; RuntimeError unless there are 4 dimensions.

    >>> channels_last_strides((2, 3, 4, 5))
    (60, 1, 15, 3)
    """
    if len(shape) != 4:
        raise RuntimeError("required rank 4 tensor to use channels_last format")
    return permuted_strides(shape, CHANNELS_LAST_ORDER[4])


def channels_last_3d_strides(shape: Ints) -> Ints:
    """Strides of `torch.channels_last_3d`; RuntimeError unless there are 5 dimensions."""
    if len(shape) != 5:
        raise RuntimeError("required rank 5 tensor to use channels_last_3d format")
    return permuted_strides(shape, CHANNELS_LAST_ORDER[5])


def is_channels_last(shape: Ints, strides: Ints) -> bool:
    """`is_contiguous(memory_format=torch.channels_last)`."""
    return len(shape) == 4 and _is_packed(shape, strides, CHANNELS_LAST_ORDER[4])


def is_channels_last_3d(shape: Ints, strides: Ints) -> bool:
    """`is_contiguous(memory_format=torch.channels_last_3d)`."""
    return len(shape) == 5 and _is_packed(shape, strides, CHANNELS_LAST_ORDER[5])


def suggests_channels_last(shape: Ints, strides: Ints) -> bool:
    """Whether an operator with a choice of layouts answers this tensor in channels-last.

    For 4 and 5 dimensions; gaps are allowed. Where sizes of 1 let both layouts fit, the plain
    one is preferred.

    >>> suggests_channels_last((2, 3, 4, 5), (60, 1, 15, 3))
    True
    >>> suggests_channels_last((2, 1, 1, 1), (1, 1, 1, 1))
    False
    """
    order = CHANNELS_LAST_ORDER.get(len(shape))
    if order is None or strides[1] == 0 or 0 in shape:
        return False
    least = 0
    for dim in reversed(order):
        if strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * shape[dim]
    return True


def reshape_strides(shape: Ints, strides: Ints, new_shape: Ints) -> Ints | None:
    """Strides that show the same elements as `new_shape` without a copy, or None.

    `new_shape` must have as many elements as `shape`.

    >>> reshape_strides((4, 6), (6, 1), (2, 2, 6))      # rows in pairs
    (12, 6, 1)
    >>> reshape_strides((6, 4), (1, 6), (24,))          # a transposed matrix has no flat order
    """
    if 0 in shape:
        return strides if shape == new_shape else contiguous_strides(new_shape)
    if not shape:
        return (1,) * len(new_shape)
    result: list[int] = [0] * len(new_shape)
    dim = len(new_shape) - 1
    for count, step in _runs(shape, strides):
        # a run is a flat array of `count` elements: the new dimensions must divide it up exactly
        filled = 1
        while dim >= 0 and (filled < count or new_shape[dim] == 1):
            result[dim] = filled * step
            filled *= new_shape[dim]
            dim -= 1
        if filled != count:
            return None
    return tuple(result)


def _runs(shape: Ints, strides: Ints) -> Iterator[tuple[int, int]]:
    """(elements, stride) of the longest evenly spaced runs of dimensions, the fastest first."""
    count, step = shape[-1], strides[-1]
    for dim in range(len(shape) - 2, -1, -1):
        if shape[dim] == 1 or strides[dim] == count * step:
            count *= shape[dim]
        else:
            yield count, step
            count, step = shape[dim], strides[dim]
    yield count, step


def expand_strides(shape: Ints, strides: Ints, new_shape: Ints) -> Ints:
    """Strides that repeat a tensor to `new_shape`, which must be a valid expansion.

    >>> expand_strides((3, 1), (1, 1), (2, 3, 4))
    (0, 1, 0)
    """
    if not shape:
        return (0,) * len(new_shape)
    lead = len(new_shape) - len(shape)
    result, following = [0] * len(new_shape), 1
    for dim in range(len(new_shape) - 1, -1, -1):
        size, stride = (shape[dim - lead], strides[dim - lead]) if dim >= lead else (1, following)
        if new_shape[dim] != size:
            stride = 0
        result[dim] = stride
        following = new_shape[dim] * stride
    return tuple(result)


def is_dense_nonoverlapping(shape: Ints, strides: Ints) -> bool:
    """Whether the elements fill their memory without gaps or sharing, in whatever order.

    >>> is_dense_nonoverlapping((2, 3), (1, 2)), is_dense_nonoverlapping((2, 3), (4, 1))
    (True, False)
    """
    if 0 in shape or strides == contiguous_strides(shape):
        return True
    step = 1
    for stride, size in sorted((t, s) for s, t in zip(shape, strides, strict=True) if s > 1):
        if stride != step:
            return False
        step *= size
    return True


def may_overlap_internally(shape: Ints, strides: Ints) -> bool:
    """Whether an in-place write is refused since elements share memory.

    As in PyTorch only a stride of 0 (an expanded dimension) counts; other overlaps are let pass.

    >>> may_overlap_internally((2, 3), (0, 1)), may_overlap_internally((1, 3), (0, 1))
    (True, False)
    """
    if 0 not in strides or 0 in shape:
        return False
    return any(stride == 0 and size > 1 for size, stride in zip(shape, strides, strict=True))


def check_no_internal_overlap(shape: Ints, strides: Ints) -> None:
    """Raises PyTorch's RuntimeError where a tensor may not be written to in place."""
    if may_overlap_internally(shape, strides):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def extent(shape: Ints, strides: Ints) -> tuple[int, int]:
    """The least and the greatest offset of an element from the first; (0, -1) if there is none.

    >>> extent((2, 3), (10, -1)), extent((0, 3), (3, 1))
    ((-2, 10), (0, -1))
    """
    if 0 in shape:
        return 0, -1
    ends = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    return sum(end for end in ends if end < 0), sum(end for end in ends if end > 0)


def dense_permutation(shape: Ints, operand_strides: Sequence[Ints]) -> Ints:
    """The order of dimensions, slowest first, of an elementwise operator's new output.

    `operand_strides` are already expanded to `shape` (0 where an operand is repeated). Earlier
    operands decide; one that is repeated along either of two dimensions says nothing of them.

    >>> dense_permutation((2, 3, 4), [(1, 2, 6)])
    (2, 1, 0)
    >>> dense_permutation((2, 3), [(0, 1), (1, 2)])     # the first is silent, the second decides
    (1, 0)
    """
    # An insertion sort, since the relation is no strict order and the result depends on which
    # pairs are compared. It holds the fastest dimension first, starting from the plain order.
    order = list(range(len(shape) - 1, -1, -1))
    for end in range(1, len(order)):
        moving = end
        for place in range(end - 1, -1, -1):
            slower = _compare_dims(shape, operand_strides, order[place], order[moving])
            if slower > 0:
                order[place], order[moving] = order[moving], order[place]
                moving = place
            elif slower < 0:
                break
    return tuple(reversed(order))


def _compare_dims(shape: Ints, operand_strides: Sequence[Ints], a: int, b: int) -> int:
    """1 where dimension `a` must be slower than `b`, -1 where faster, 0 where nobody minds."""
    for strides in operand_strides:
        stride_a, stride_b = strides[a], strides[b]
        if stride_a == 0 or stride_b == 0:
            continue
        if stride_a != stride_b:
            return 1 if stride_a > stride_b else -1
        if shape[a] > shape[b]:
            return 1
    return 0


def elementwise_strides(shape: Ints, operands: Sequence[tuple[Ints, Ints]]) -> Ints:
    """Strides of the new output of an elementwise operator, as PyTorch's TensorIterator sets them.

    `shape` is what the operands, (shape, strides) each, broadcast to.

    >>> elementwise_strides((2, 3), [((2, 3), (1, 2)), ((), ())])
    (1, 2)
    """
    full = contiguous_strides(shape)
    if 0 not in shape and all(not o or (s == full and o == shape) for o, s in operands):
        return full
    if all(o == shape for o, _ in operands):
        if all(is_contiguous(*operand) for operand in operands):
            return full
        if all(is_channels_last(*operand) for operand in operands):
            return channels_last_strides(shape)
        first = operands[0][1]
        if all(s == first and is_dense_nonoverlapping(o, s) for o, s in operands):
            return first
    order = dense_permutation(shape, [_repeated(o, s, shape) for o, s in operands])
    if order == tuple(range(len(shape))):
        return full
    return permuted_strides(shape, order)


def _repeated(shape: Ints, strides: Ints, target: Ints) -> Ints:
    lead = len(target) - len(shape)
    return (0,) * lead + tuple(
        0 if size == 1 and wanted != 1 else stride
        for size, stride, wanted in zip(shape, strides, target[lead:], strict=True)
    )


def preserved_strides(shape: Ints, strides: Ints) -> Ints:
    """Strides of a copy with `memory_format=torch.preserve_format` (`clone`, `empty_like`, `to`).

    The same strides where these leave no gaps, else the same order without gaps.

    >>> preserved_strides((2, 3), (1, 4))
    (1, 2)
    """
    if is_dense_nonoverlapping(shape, strides):
        return strides
    return permuted_strides(shape, dense_permutation(shape, [strides]))
