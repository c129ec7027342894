"""Cuts: how work is parted into chunks, blocks and register tiles, and handed to an epilogue.

Room: codegen.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from bital.base.extent import Extent, hint
from bital.base.stride import contiguous_strides
from bital.codegen.scalar import Builder, Reg

#: what becomes of consecutive elements of a result: (builder, value, indices, mask)
Epilogue = Callable[[Builder, Reg, tuple[Reg, ...], Reg | None], None]


def parts(count: int, most: int) -> int:
    """The size of the largest of as few even parts as there can be, none above `most`."""
    return -(-count // -(-count // max(most, 1)))


def up(count: int, size: int) -> int:
    """The next multiple of size."""
    return -(-count // size) * size


def step_slots(m: int, v: int, loads: float) -> float:
    """How long one step of a register tile of m x v sums takes, in half cycles.

    It takes as long as its multiply-adds, its `loads`, or four cycles' delay between two steps; a
    cycle has two of each. A load that crosses lines takes as long as two and a half.
    """
    return max(m * v, loads, 8)


def tile(rows: int, vectors: int, registers: int, unit: int = 1, most: int = 14) -> tuple[int, int]:
    """The rows (a multiple of `unit`, up to `most`) and vectors of the fastest register tile.

    The last tile of rows reaches back over the one before; the last one of vectors is narrower.
    Vectors are taken to cross lines; a row needs a scalar.
    """

    def cost(shape: tuple[int, int]) -> float:
        m, v = shape
        whole, rest = divmod(vectors, v)
        slots = whole * step_slots(m, v, m + 2.5 * v)
        slots += step_slots(m, rest, m + 2.5 * rest) if rest else 0
        return -(-rows // m) * slots

    shapes = [
        (m, v)
        for m in range(unit, max(min(most, 14), unit) + 1, unit)
        for v in range(1, min(vectors, 9) + 1)
        if m * v + v + 1 <= registers
    ]
    return min(shapes, key=cost, default=(unit, 1))


class Cuts:
    """A chunk's number taken apart: along each axis of `counts` elements, parts of `sizes`.

    Along one whose size changes there are as many parts for all sizes, of which some may be empty.
    """

    def __init__(self, b: Builder, counts: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        numbers = [-(-hint(count) // size) for count, size in zip(counts, sizes)]
        self.chunks = prod(numbers)
        self.begins: list[Reg] = []
        self.ends: list[Reg] = []
        left = Reg("%chunk", "i64")
        for count, size, number in reversed(list(zip(counts, sizes, numbers))):
            if number == 1:
                begin, end = b.index(0), b.index(count)
            else:
                part, left = b.rem(left, b.index(number)), b.div(left, b.index(number))
                each = b.index(size)
                changes = isinstance(count, Extent)
                if changes:
                    each = b.div(b.affine(number - 1, (b.index(count), 1)), b.index(number))
                begin = b.mul(part, each)
                end = b.add(begin, each)
                if changes:
                    begin = b.minimum(begin, b.index(count))
                if changes or count % size:
                    end = b.minimum(end, b.index(count))
            self.begins.insert(0, begin)
            self.ends.insert(0, end)


def plain_store(shape: tuple[int, ...], argument: int = 2) -> Epilogue:
    """The epilogue that writes the result, of that shape, to an argument."""

    def store(b: Builder, value: Reg, indices: tuple[Reg, ...], mask: Reg | None) -> None:
        place = b.affine(0, *zip(indices, contiguous_strides(shape)))
        b.store(value, b.argument(argument), place, mask)

    return store


def hand_line(
    b: Builder, epilogue: Epilogue, read: Callable[[Reg, int], Reg], indices: tuple[Reg, ...],
    left: Reg | int, count: Reg | int, lanes: int,
) -> None:  # fmt: skip
    """Give `count` consecutive elements, from `left` of the last axis on, to the epilogue.

    `read` says the elements from one of them on; vectors have `lanes` lanes, and the last one a
    mask or, where masks cost, its elements come one by one.
    """
    end = b.index(count)

    def give(begin: Reg, end: Reg, lanes: int, masked: bool) -> None:
        column = b.loop(begin, end, lanes)
        mask = b.mask_below(b.sub(end, column.index), lanes) if masked else None
        at = b.affine(0, (b.index(left), 1), (column.index, 1))
        epilogue(b, read(column.index, lanes), (*indices, at), mask)
        column.end()

    if isinstance(count, int):
        rest, some = b.index(count % lanes), count >= lanes
        vectors = b.index(count - count % lanes)
    else:
        rest, some = b.rem(count, b.index(lanes)), True
        vectors = b.sub(count, rest)
    if some:
        give(b.index(0), vectors, lanes, False)
    if rest.name != "0" and lanes > 1:
        give(vectors, end, lanes if b.masks else 1, b.masks)
