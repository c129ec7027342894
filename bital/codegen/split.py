"""Split: how a matrix product is cut into register tiles, blocks of k, and chunks.

Room: codegen. All follows from the shape and the target alone, never from the number of threads,
so that neither do bits. Costs are in cycles of a core that does two multiply-adds a cycle.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: the longest chain of multiply-adds: partial sums over so many k are added up, for accuracy
DEPTH = 512
#: about
CYCLES_PER_NS = 2.5
#: cycles that a vector takes which another core's cache holds: 2 ns more to read it, and 6 more
#: to write to it then (Emerald Rapids)
FAR = 11
#: so many bytes of B stay in the nearest cache
_NEAREST_BYTES = 50 * 1024
#: and so many lines of the same place in it
_NEAREST_WAYS = 12
#: a factor of so many bytes stays in a core's own cache: a vector of it takes a cycle, else 11
_NEAR_BYTES = 768 * 1024
#: scratch for the sums of a chunk, and for a packed panel
_SUMS_BYTES = 128 * 1024
_PANEL_BYTES = 96 * 1024


class Pieces(NamedTuple):
    """An axis cut into pieces as equal as can be: the first `larger` have `size`, others one less.

    >>> pieces(10, 4)
    Pieces(many=3, size=4, larger=1)
    """

    many: int
    size: int
    larger: int

    @property
    def total(self) -> int:
        """How long the axis is."""
        return self.many * (self.size - 1) + self.larger

    def start(self, piece: int) -> int:
        """Where a piece begins."""
        return piece * (self.size - 1) + min(piece, self.larger)


def pieces(total: int, most: int) -> Pieces:
    """The fewest pieces of at most `most`."""
    many = -(-total // most)
    size = -(-total // many)
    return Pieces(many, size, total - many * (size - 1))


class Split(NamedTuple):
    """Tiles of rows, panels of vectors of columns, and how many parts each axis has."""

    rows: Pieces
    panels: Pieces
    batch_parts: int
    row_parts: int
    panel_parts: int
    cost: float  # cycles of a batch
    far: float  # cycles for what comes from other cores

    @property
    def chunks(self) -> int:
        """How many chunks."""
        return self.batch_parts * self.row_parts * self.panel_parts

    @property
    def most_tiles(self) -> int:
        """The most tiles of rows in a chunk."""
        return -(-self.rows.many // self.row_parts)

    @property
    def most_panels(self) -> int:
        """The most panels in a chunk."""
        return -(-self.panels.many // self.panel_parts)


class Homes(NamedTuple):
    """What a core has written: whether a range of rows of A, of columns of B; and how many arrays
    of the result's shape are read of which it has a range of rows, or of columns.
    """

    a: bool
    b: bool
    in_rows: int
    in_columns: int

    def far(self, sizes: tuple[float, float, float], by_rows: bool) -> float:
        """Cycles for so many vectors of A, B and the result, where rows, or columns, are divided.

        A thread takes chunks that are neighbours, and so a range of the axis that is cut first.
        """
        a, b, result = sizes
        if by_rows:
            return FAR * ((0 if self.a else a) + b + result * self.in_columns)
        return FAR * (a + (0 if self.b else b) + result * self.in_rows)


class Shape(NamedTuple):
    """What of a product the split depends on; columns are counted in vectors."""

    batches: int
    rows: int
    vectors: int
    depth: int
    lanes: int
    bytes: int
    registers: int
    packing: float  # cycles to pack a vector of B; 0: it is read where it is
    row_bytes: int  # from one row of A to the next; 0: A is contiguous along m
    step_bytes: int  # from one row of B to the next; 0: B is packed
    kept: bool  # whether all sums of a chunk are kept in scratch
    homes: Homes
    tallest: int = 64  # the most rows of a tile


def _spread(nbytes: int) -> int:
    """Over how many places of the nearest cache rows that are so many bytes apart are spread."""
    return 4096 // math.gcd(4096, nbytes)


def _tile_cost(rows: int, vectors: int, near: bool, across: bool) -> float:
    """Cycles of one k: two multiply-adds, hardly two loads a cycle; a sum takes four to be ready.

    A vector of B that may lie `across` two lines of the cache takes 4/3 cycles, and one that is not
    in the nearest cache two and a half, and disturbs.
    """
    far = 0 if near else vectors
    loads = 0.55 * rows + (4 / 3 if across else 0.55) * vectors
    return max(rows * vectors / 2, 4, loads, 2.5 * far) + 0.5 * far + 0.5


def _cost(shape: Shape, rows: Pieces, panels: Pieces) -> float:
    """Cycles of all tiles. Smaller tiles of rows take as long as larger ones."""
    depth = shape.depth
    lines, worse = 0.0, 1.0
    if shape.row_bytes:
        # rows of A multiples of 4 KiB apart want the same eight or twelve places of the cache
        worse = 1 + 0.004 * max(rows.size / _spread(shape.row_bytes) - 4, 0)
    elif shape.rows > 8:
        # lines of the cache for each k
        lines = 1 if 2 * rows.size == shape.lanes else 1 + (rows.size - 1) / shape.lanes
    block = min(depth, DEPTH // 2)
    held = not shape.step_bytes or block <= _NEAREST_WAYS * _spread(shape.step_bytes)
    wide = [(panels.larger, panels.size), (panels.many - panels.larger, panels.size - 1)]
    cycles = 0.0
    for many, size in wide:
        # a panel is read again by the next tile, all of B by the next batch or kernel
        reach = size if rows.many > 1 else shape.vectors
        near = held and block * reach * shape.lanes * shape.bytes < _NEAREST_BYTES
        tile = _tile_cost(rows.size, size, near, shape.step_bytes % 64 > 0)
        turns = depth * (tile + lines) * worse
        # a row of each tile may be skipped: it is written under a mask
        masked = 0 if rows.larger == rows.many else 4 * size
        cycles += rows.many * many * (turns + 2 * rows.size * (size + 1) + 10 + masked)
    return cycles


def part_starts(total: int, parts: int) -> list[int]:
    """Where parts of an axis begin and the last ends, the larger ones first."""
    return [-(-k * total // parts) for k in range(parts + 1)]


def _weights(axis: Pieces, parts: int) -> list[int]:
    """How much of an axis each part holds."""
    starts = [axis.start(piece) for piece in part_starts(axis.many, parts)]
    return [end - begin for begin, end in itertools.pairwise(starts)]


def _late(chunks: Sequence[float], workers: int) -> float:
    """How much longer than their share workers take that claim chunks in order."""
    free = [0.0] * workers
    for chunk in chunks:
        heapq.heapreplace(free, free[0] + chunk)
    return max(free) - sum(free) / workers


def _grids(tiles: int, panels: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Parts of rows and panels that make `wanted` chunks, or half as many, or a few more."""
    for chunks in {wanted, -(-wanted // 2) if wanted > 4 else wanted}:
        for panel_parts in range(1, min(panels, 2 * chunks) + 1):
            fewest = min(-(-chunks // panel_parts), tiles)
            for row_parts in range(fewest, min(fewest + 2, tiles) + 1):
                yield row_parts, panel_parts


def _far(shape: Shape, row_parts: int, panel_parts: int) -> float:
    """Cycles for what comes from other cores, of a batch that is cut."""
    if row_parts * panel_parts == 1:
        return 0
    a, b = shape.rows * shape.depth / shape.lanes, shape.vectors * shape.depth
    return shape.homes.far((a, b, shape.rows * shape.vectors), row_parts > 1)


def _part(
    shape: Shape, rows: Pieces, panels: Pieces, wanted: int, bound: float
) -> tuple[float, int, int]:
    """The cost of the best split into chunks below the bound; its parts of rows and of panels."""
    best = bound, rows.many, panels.many
    # each part of the panels reads all of A, each part of the rows all of B
    vectors = shape.depth * rows.total / shape.lanes, shape.depth * panels.total
    reading = [
        many * (1 if many * shape.lanes * shape.bytes < _NEAR_BYTES else 11) for many in vectors
    ]
    for row_parts, panel_parts in _grids(rows.many, panels.many, wanted):
        tiles, wide = -(-rows.many // row_parts), -(-panels.many // panel_parts)
        room = tiles * rows.size * wide * panels.size * shape.lanes * shape.bytes
        if shape.kept and room > _SUMS_BYTES:
            continue
        cost = panel_parts * reading[0] + row_parts * (reading[1] + vectors[1] * shape.packing)
        cost += _far(shape, row_parts, panel_parts)
        if wanted > 1 and cost < best[0]:
            down, across = _weights(rows, row_parts), _weights(panels, panel_parts)
            chunks = [r * c * shape.depth / 2 for r in down for c in across]
            cost += 2 * _late(chunks, 2) + 0.3 * _late(chunks, 4)
            cost += 0.15 * _late(chunks, 8) if wanted > 4 else 0
        best = min(best, (cost, row_parts, panel_parts))
    return best


def chunks_for(cycles: float) -> int:
    """How many chunks work is cut into; longer ones where there is more to do."""
    time_us = cycles / CYCLES_PER_NS / 1000
    steps = (6, 2), (20, 4), (150, 8), (1500, 16), (6000, 32), (24000, 64)
    return max((many for least, many in steps if time_us >= least), default=1)


def _wanted(shape: Shape) -> int:
    """How many chunks, enough for the sums of each to find room."""
    wanted = chunks_for(shape.batches * shape.rows * shape.vectors * shape.depth / 2)
    if shape.kept:
        results = shape.rows * shape.vectors * shape.lanes * shape.bytes
        wanted = max(wanted, math.ceil(1.5 * results / _SUMS_BYTES))
    return wanted


@functools.cache
def split(shape: Shape) -> Split:
    """The tiles and chunks of a product."""
    found: list[tuple[float, Pieces, Pieces]] = []
    widest = shape.registers // 2
    if shape.packing:
        room = min(shape.depth, DEPTH) * shape.lanes * shape.bytes
        widest = min(widest, max(_PANEL_BYTES // room, 1))
    for wide in range(1, min(shape.vectors, widest) + 1):
        panels = pieces(shape.vectors, wide)
        tallest = min(shape.rows, shape.tallest, (shape.registers - 1) // wide - 1)
        for high in range(1, tallest + 1):
            rows = pieces(shape.rows, high)
            if high > 1 and rows == found[-1][1]:
                found.append(found[-1])
                continue
            # two widths of panels are twice the code
            worse = 1 if panels.many == panels.larger else 1.02
            found.append((_cost(shape, rows, panels) * worse, rows, panels))
    wanted = _wanted(shape)
    batch_parts = min(shape.batches, wanted)
    wanted = -(-wanted // batch_parts)
    best: tuple[float, Split] | None = None
    for serial, rows, panels in dict.fromkeys(sorted(found)[:6]):
        bound = math.inf if best is None else best[0] - serial
        extra, row_parts, panel_parts = _part(shape, rows, panels, wanted, bound)
        if best is None or extra < bound:
            cost = serial + shape.packing * panels.total * row_parts * shape.depth
            far = _far(shape, row_parts, panel_parts) if batch_parts == 1 else 0
            parts = batch_parts, row_parts, panel_parts
            best = serial + extra, Split(rows, panels, *parts, cost, far)
    assert best is not None
    return best[1]
