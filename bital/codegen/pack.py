"""Packing: a panel of a matrix copied to scratch, columns side by side, as the tiles read it.

Room: codegen. Transposing is done in registers, a square of lanes x lanes at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from bital.codegen.lanes import shuffle
from bital.codegen.scalar import BYTES, Builder, Reg


def _interleave(b: Builder, x: Reg, y: Reg, side: int, size: int, half: int) -> Reg:
    """Of each square of `side` lanes one half: `size` lanes of x, as many of y, by turns."""
    picked = [
        which + square + lane + k
        for square in range(0, x.lanes, side)
        for lane in range(half * side // 2, (half + 1) * side // 2, size)
        for which in (0, x.lanes)
        for k in range(size)
    ]
    return shuffle(b, x, y, picked)


def transpose(b: Builder, rows: Sequence[Reg]) -> list[Reg]:
    """2 or 4 vectors of squares (as many lanes as vectors) side by side, each square transposed."""
    side = len(rows)
    if side == 2:
        return [_interleave(b, rows[0], rows[1], 2, 1, half) for half in (0, 1)]
    first, second = (
        [_interleave(b, pair[0], pair[1], 4, 1, half) for half in (0, 1)]
        for pair in (rows[:2], rows[2:])
    )
    return [_interleave(b, first[k], second[k], 4, 2, half) for k in (0, 1) for half in (0, 1)]


def pack_columns(
    b: Builder, kind: str, lanes: int, source: Reg, stride: int, columns: Reg | None,
    vectors: int, depth: int | Reg, least: int, scratch: Reg,
) -> None:  # fmt: skip
    """Columns of which each is contiguous (`stride` apart), `depth` long, as rows of scratch.

    `source` is the first column's first element; there are `vectors * lanes` columns, those from
    number `columns` on repeat the last one (None: all are there). `least` is the smallest depth.
    A vector is made of quarters (16 bytes) of as many columns, loaded to where they belong, so
    that transposing goes on within the quarters; the last of them overlap those before.
    """
    side, width = 16 // BYTES[kind], vectors * lanes
    group = b.loop(0, vectors)
    first = b.mul(group.index, b.index(lanes))
    starts = []
    for lane in range(lanes):
        column = b.add(first, b.index(lane)) if lane else first
        if columns is not None:
            column = b.minimum(column, b.sub(columns, b.index(1)))
        starts.append(b.at(source, kind, b.mul(column, b.index(stride))))
    # quarters that lie in one line of the cache side by side: a tenth faster where there are many
    # turns (depth 128), no faster for a few, where compiling counts more
    step = lanes if least >= 4 * lanes else side if least >= side else 1
    walk = b.loop(0, depth, step)
    k = walk.index if step == 1 else b.minimum(walk.index, b.sub(b.index(depth), b.index(step)))
    k = b.freeze(k)
    place = b.at(scratch, kind, b.add(b.mul(k, b.index(width)), first))
    if step == 1:
        for lane, start in enumerate(starts):
            b.store(b.load(start, kind, k), place, lane)
    for quarter in range(0, step if step > 1 else 0, side):
        at = b.add(k, b.index(quarter)) if quarter else k
        rows = [
            b.join([b.load(start, kind, at, side) for start in starts[row::side]])
            for row in range(side)
        ]
        for row, value in enumerate(transpose(b, rows)):
            b.store(value, place, (quarter + row) * width)
    walk.end()
    group.end()


def pack_rows(
    b: Builder, kind: str, lanes: int, source: Reg, stride: int, vectors: int, mask: Reg | None,
    depth: Reg, scratch: Reg,
) -> None:  # fmt: skip
    """Rows of B, `stride` apart, side by side; the last vector of each under a mask."""
    walk = b.loop(0, depth)
    start = b.at(source, kind, b.mul(walk.index, b.index(stride)))
    place = b.at(scratch, kind, b.mul(walk.index, b.index(vectors * lanes)))
    for v in range(vectors):
        there = mask if v == vectors - 1 else None
        b.store(b.load(start, kind, v * lanes, lanes, there), place, v * lanes)
    walk.end()


def pack_any(
    b: Builder, kind: str, source: Reg, strides: tuple[int, int], columns: Reg | None, width: int,
    depth: int | Reg, scratch: Reg,
) -> None:  # fmt: skip
    """Any matrix (strides along k, along columns), element by element; see `pack_columns`."""
    rows = b.loop(0, depth)
    start = b.at(source, kind, b.mul(rows.index, b.index(strides[0])))
    place = b.at(scratch, kind, b.mul(rows.index, b.index(width)))
    walk = b.loop(0, width)
    column = walk.index
    if columns is not None:
        column = b.minimum(column, b.sub(columns, b.index(1)))
    value = b.load(start, kind, b.mul(column, b.index(strides[1])))
    b.store(value, place, walk.index)
    walk.end()
    rows.end()
