"""Packing: a panel of a matrix copied to scratch, columns side by side, as the tiles read it.

Room: codegen. Transposing is done in registers, a square of lanes x lanes at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from bital.codegen.scalar import Builder, Reg


def shuffle(b: Builder, x: Reg, y: Reg, lanes: Sequence[int]) -> Reg:
    """The lanes of x (0...) and y (x.lanes...) that are asked for, in order."""
    which = ", ".join(f"i32 {k}" for k in lanes)
    return b.line_value(
        f"shufflevector {x.type} {{}}, {y.type} {{}}, <{len(lanes)} x i32> <{which}>",
        x.kind, len(lanes), x, y,
    )  # fmt: skip


def transpose(b: Builder, rows: Sequence[Reg]) -> list[Reg]:
    """n vectors of L lanes (powers of two) as L vectors of n lanes: out[j][i] = rows[i][j].

    Each stage deals pairs of rows half the number apart out into one another, like cards: after
    log2 n stages every vector is transposed. Rows longer than they are many are cut first, shorter
    ones joined.
    """
    count, lanes = len(rows), rows[0].lanes
    if count == 1:
        return [b.lane(rows[0], k) for k in range(lanes)]
    if count < lanes:
        return [
            out
            for first in range(0, lanes, count)
            for out in transpose(
                b, [shuffle(b, r, r, range(first, first + count)) for r in rows]
            )
        ]  # fmt: skip
    while count > lanes:
        raise ValueError(f"transpose() expected at most {lanes} rows, got {count}")
    low = [k // 2 + (k % 2) * lanes for k in range(lanes)]
    high = [k + lanes // 2 for k in low]
    half = count // 2
    span = 1
    while span < count:
        rows = [
            shuffle(b, rows[k // 2], rows[k // 2 + half], high if k % 2 else low)
            for k in range(count)
        ]
        span *= 2
    return list(rows)


def pack_transposed(
    b: Builder, kind: str, lanes: int, source: Reg, stride: int, columns: Reg | None,
    vectors: int, depth: int | Reg, least: int, scratch: Reg,
) -> None:  # fmt: skip
    """Columns of which each is contiguous (`stride` apart), `depth` long, as rows of scratch.

    `source` is the first column's first element; there are `vectors * lanes` columns, those from
    number `columns` on repeat the last one (None: all are there). `least` is the smallest depth:
    from `lanes` on, the last square overlaps the one before.
    """
    width = vectors * lanes
    group = b.loop(0, vectors)
    first = b.mul(group.index, b.index(lanes))
    starts = []
    for k in range(lanes):
        column = b.add(first, b.index(k)) if k else first
        if columns is not None:
            column = b.minimum(column, b.sub(columns, b.index(1)))
        starts.append(b.at(source, kind, b.mul(column, b.index(stride))))
    if least >= lanes:
        walk = b.loop(0, depth, lanes)
        at = b.minimum(walk.index, b.sub(b.index(depth), b.index(lanes)))
        rows = [b.load(start, kind, at, lanes) for start in starts]
        place = b.at(scratch, kind, b.add(b.mul(at, b.index(width)), first))
        for k, row in enumerate(transpose(b, rows)):
            b.store(row, place, k * width)
        walk.end()
    else:
        walk = b.loop(0, depth)
        place = b.at(scratch, kind, b.add(b.mul(walk.index, b.index(width)), first))
        for k, start in enumerate(starts):
            b.store(b.load(start, kind, walk.index), place, k)
        walk.end()
    group.end()


def pack_strided(
    b: Builder, kind: str, source: Reg, strides: tuple[int, int], columns: Reg | None, width: int,
    depth: int | Reg, scratch: Reg,
) -> None:  # fmt: skip
    """Any matrix (strides along k, along columns), element by element; see `pack_transposed`."""
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
