"""Lanes: what crosses the lanes of vectors, and which of them lie in a row.

Room: codegen.
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


def deal(b: Builder, rows: Sequence[Reg]) -> list[Reg]:
    """n rows of L lanes, n a power of two, as the n L elements of the transposed, in order.

    Each stage deals the rows of the one half out among those of the other, like cards.
    """
    found, lanes = list(rows), rows[0].lanes
    half = len(rows) // 2
    low = [k // 2 + k % 2 * lanes for k in range(lanes)]
    high = [k + lanes // 2 for k in low]
    for _ in range(half.bit_length()):
        pairs = zip(found[:half], found[half:], strict=True)
        found = [shuffle(b, x, y, which) for x, y in pairs for which in (low, high)]
    return found


def totals(b: Builder, vectors: Sequence[Reg]) -> Reg:
    """The sums over the lanes of vectors, a power of two of them, at most as many as lanes."""
    found, lanes = list(vectors), vectors[0].lanes
    width = lanes  # lanes that belong to one of the vectors
    while width > 1:
        # the first and second halves of each part, of two vectors side by side or of one
        halves = [
            [part + k for part in range(0, lanes, width) for k in range(first, first + width // 2)]
            for first in (0, width // 2)
        ]
        if len(found) > 1:
            pairs = list(zip(found[::2], found[1::2], strict=True))
            found = [
                b.add(*(shuffle(b, x, y, [*half, *(k + lanes for k in half)]) for half in halves))
                for x, y in pairs
            ]
        else:
            x = found[0]
            found = [b.add(*(picked(b, x, half) for half in halves))]
            lanes //= 2
        width //= 2
    return found[0]


def picked(b: Builder, x: Reg, lanes: Sequence[int]) -> Reg:
    """Some lanes of a vector, in order; of one, a scalar."""
    return shuffle(b, x, x, lanes) if len(lanes) > 1 else b.lane(x, lanes[0])


def inside(b: Builder, left: Reg, step: int, width: int, lanes: int) -> Reg:
    """Which of the columns left, left + step… there are in a row of so many."""
    numbers = b.iota("u32", lanes)
    if step > 1:
        numbers = b.mul(numbers, b.const("u32", step, lanes))
    columns = b.add(numbers, b.splat(b.cast(left, "u32"), lanes))  # below 0 is large, unsigned
    return b.lt(columns, b.const("u32", width, lanes))
