"""Split: how a matrix product is cut into register tiles, blocks of k, and chunks.

Room: codegen. All follows from the shape and the target alone, never from the number of threads,
so that neither do bits.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

#: the longest chain of multiply-adds: partial sums over so many k are added up, for accuracy
DEPTH = 256
#: about how many multiply-adds of vectors make 10 us
_CHUNK_FMAS = 50_000
#: scratch for sums over several blocks of k, in bytes
_SUMS_BYTES = 128 * 1024


class Run(NamedTuple):
    """Equal pieces of an axis, one after the other."""

    first: int  # the number of the first piece
    many: int
    size: int
    start: int  # where the first piece begins

    @property
    def stop(self) -> int:
        """The number of the piece after the last."""
        return self.first + self.many


def runs(total: int, most: int) -> list[Run]:
    """An axis cut into the fewest pieces of at most `most`, as equal as can be.

    >>> runs(10, 4)
    [Run(first=0, many=1, size=4, start=0), Run(first=1, many=2, size=3, start=4)]
    """
    pieces = -(-total // most)
    size, larger = divmod(total, pieces)
    found = [Run(0, larger, size + 1, 0), Run(larger, pieces - larger, size, larger * (size + 1))]
    return [run for run in found if run.many]


class Split(NamedTuple):
    """Tiles of rows and of vectors of columns; how many parts batches, tiles and panels make."""

    rows: list[Run]
    panels: list[Run]
    batch_parts: int
    row_parts: int
    panel_parts: int

    @property
    def chunks(self) -> int:
        """How many chunks."""
        return self.batch_parts * self.row_parts * self.panel_parts


def tile_cost(rows: int, vectors: int) -> float:
    """Cycles of one k: two multiply-adds and two loads a cycle; a sum takes four to be ready."""
    return max(rows * vectors / 2, 4, (rows + vectors) / 2) + 0.5


def _cost(rows: list[Run], panels: list[Run], depth: int) -> float:
    """Cycles of all tiles; beginning and ending one takes about a cycle an accumulator and 10."""
    return sum(
        r.many * p.many * (depth * tile_cost(r.size, p.size) + r.size * p.size + 10)
        for r, p in itertools.product(rows, panels)
    )


def part_bounds(total: int, parts: int) -> list[int]:
    """Where parts of an axis begin and end, the larger ones first."""
    return [-(-k * total // parts) for k in range(parts + 1)]


def weights(axis: list[Run], parts: int) -> list[int]:
    """How much of an axis each part holds."""
    sizes = [run.size for run in axis for _ in range(run.many)]
    bounds = part_bounds(len(sizes), parts)
    return [sum(sizes[begin:end]) for begin, end in itertools.pairwise(bounds)]


def _makespan(chunks: Sequence[float], workers: int) -> float:
    """When the last worker is done, each claiming chunks in order."""
    free = [0.0] * workers
    for chunk in chunks:
        free.sort()
        free[0] += chunk
    return max(free)


def _pieces(axis: list[Run]) -> int:
    return axis[-1].stop


def _parted(
    rows: list[Run], panels: list[Run], wanted: int, lanes: int, packed: bool, most: int | None
) -> tuple[float, int, int]:
    """The best split into at least `wanted` chunks: (cost, parts of rows, parts of panels)."""
    best: tuple[float, int, int] | None = None
    tiles, width = _pieces(rows), _pieces(panels)
    total_rows, total_vectors = rows[-1].start + rows[-1].many * rows[-1].size, sum(
        p.many * p.size for p in panels
    )  # fmt: skip
    for panel_parts in range(1, min(width, 4 * wanted) + 1):
        across = weights(panels, panel_parts)
        # the fewest parts of rows that will do, and the next
        fewest = -(-wanted // panel_parts)
        if most is not None:
            while fewest < tiles and max(weights(rows, fewest)) * max(across) > most:
                fewest += 1
            if max(weights(rows, min(fewest, tiles))) * max(across) > most:
                continue
        for row_parts in range(min(fewest, tiles), min(fewest + 1, tiles) + 1):
            down = weights(rows, row_parts)
            # reading: each part of the panels reads all of A, each of the rows all of B
            reads = panel_parts * total_rows + row_parts * total_vectors * lanes
            # a vector read from another core's cache: some 5 cycles; to pack one: 12
            overhead = reads / lanes * 5 + (row_parts * total_vectors * 8 if packed else 0)
            pieces = [r * c / 2 for r in down for c in across]
            work = sum(pieces)
            # how much longer two or four workers take than they should
            late = sum(_makespan(pieces, n) * n - work for n in (2, 4)) / 2 if wanted > 1 else 0
            cost = late + overhead + 0.001 * len(pieces)
            if best is None or cost < best[0]:
                best = cost, row_parts, panel_parts
    if best is None:
        return float("inf"), tiles, width
    return best


@functools.cache
def split(
    batches: int, rows: int, vectors: int, depth: int, lanes: int, registers: int,
    element_bytes: int, packed: bool,
) -> Split:  # fmt: skip
    """The tiles and chunks of rows x (vectors of columns), `depth` multiply-adds each."""
    shapes: dict[tuple[int, int], float] = {}
    # a packed panel has half of the scratch
    widest = 8 if packed else registers // 2
    for wide in range(1, min(vectors, widest) + 1):
        across = runs(vectors, wide)
        for high in range(1, min(rows, (registers - 1) // wide - 1) + 1):
            shapes[high, wide] = _cost(runs(rows, high), across, depth)
    fmas = batches * rows * vectors * depth
    wanted = 1
    if fmas >= _CHUNK_FMAS:
        wanted = max(2 if fmas < 2 * _CHUNK_FMAS else 4, fmas // _CHUNK_FMAS)
    batch_parts = min(batches, wanted)
    wanted = -(-wanted // batch_parts)
    most = None
    if depth > DEPTH:
        most = _SUMS_BYTES // (element_bytes * lanes)
    best: tuple[float, Split] | None = None
    for (high, wide), serial in sorted(shapes.items(), key=lambda item: item[1])[:8]:
        down, across = runs(rows, high), runs(vectors, wide)
        extra, row_parts, panel_parts = _parted(down, across, min(wanted, 64), lanes, packed, most)
        cost = serial + extra * depth
        if best is None or cost < best[0]:
            best = cost, Split(down, across, batch_parts, row_parts, panel_parts)
    assert best is not None
    return best[1]
