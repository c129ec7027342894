"""Sweep: a matrix times a vector, and what becomes of that times the matrix, in one pass over it.

Room: plan. The gradient of a linear model is X^T f(X w): the same matrix is read along its rows
and, with a value for each row, along its columns. While a block of rows is in the nearest cache
both can be done.
"""

from __future__ import annotations

from typing import NamedTuple

from bital.plan.access import Places, access, source_of
from bital.plan.node import BYTES, Node

#: bytes of a matrix from which on it is not near the core anyway; of a block of its rows that stays
#: in the nearest cache, and of one that stays in the core's own
_LEAST_BYTES, _NEAREST_BYTES, _OWN_BYTES = 128 * 1024, 24 * 1024, 128 * 1024
#: rows of a block at least, and at most
_FEWEST, _MOST = 16, 128
#: nodes that are looked at on the way from a second product back to the first
_FAR = 64


class Factors(NamedTuple):
    """What a product is made of: a matrix, and a vector that runs along one of its two axes."""

    matrix: Node
    vector: Node
    along: int


def factors(n: Node) -> Factors:
    """The factors of a product of a matrix and a vector."""
    (x, y), (turned_x, turned_y) = n.inputs, n.attrs
    return Factors(x, y, int(not turned_x)) if n.shape[1] == 1 else Factors(y, x, int(turned_y))


def _is_lean(n: Node) -> bool:
    """Whether a node is a product of a matrix and a vector."""
    return (
        n.word == "product"
        and [len(x.shape) for x in (n, *n.inputs)] == [2, 2, 2]
        and n.shape.count(1) == 1
        and 1 not in factors(n).matrix.shape
    )


def ends(n: Node) -> Places:
    """The places of a row or column of numbers, or of a matrix's rows, in a domain of rows."""
    return tuple([None if size == 1 else 0 for size in n.shape])


def rows_of_block(matrix: Node) -> int:
    """How many rows are worked on at once, a multiple of 16; 0 where it does not pay."""
    rows, columns = matrix.shape
    size = columns * BYTES[matrix.kind]
    if matrix.nbytes < _LEAST_BYTES or rows < _MOST or _FEWEST * size > _OWN_BYTES:
        return 0
    if access(matrix, (0, 1), 2).strides[1] != 1:
        return 0
    return min(max(_NEAREST_BYTES // size // _FEWEST, 1) * _FEWEST, _MOST)


def sweeps(order: list[Node]) -> dict[Node, Node]:
    """The products along columns that may be joined to one along rows, and that one."""
    found: dict[Node, Node] = {}
    firsts: dict[Node, list[Node]] = {}
    for n in order:
        if not _is_lean(n):
            continue
        matrix, vector, along = factors(n)
        if along == 0:
            before = _made_of(vector)
            for first in reversed(firsts.get(matrix, ())):
                if first in before and first not in found.values():
                    found[n] = first
                    break
        elif rows_of_block(matrix):
            firsts.setdefault(matrix, []).append(n)
    return found


def _made_of(n: Node) -> set[Node]:
    """What a node is made of elementwise, as far as is looked."""
    todo = [n]
    seen: set[Node] = set()
    while todo and len(seen) < _FAR:
        source = source_of(todo.pop())
        if source not in seen:
            seen.add(source)
            todo += source.inputs if source.word == "map" else ()
    return seen
