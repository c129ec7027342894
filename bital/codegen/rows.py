"""Rows: written to, or combined with, rows of a table by number, one after another.

Room: codegen. A chunk is a range of columns, so that the order in which rows meet does not depend
on who runs it: of several rows for one number the last is kept, or all are combined in order.
"""

from __future__ import annotations

from collections.abc import Iterator

from bital.base.extent import hint
from bital.codegen.kernel import Kernel, Operands, chunks_of
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.target import Target
from bital.plan.access import root_of
from bital.plan.fuse import Group
from bital.plan.node import Node

#: what an element takes
_ELEMENT_NS = 0.1


class _Rows:
    """Writes the kernel of one node ("put_rows", word): the word combines, None writes."""

    def __init__(self, node: Node, target: Target) -> None:
        self.node, self.word = node, node.attrs[1]
        self.rows, self.width = node.shape
        self.count = node.inputs[1].numel
        lanes = target.lanes(BYTES[node.kind])
        self.lanes = lanes if self.width >= lanes else 1
        elements = max(hint(self.rows), hint(self.count)) * self.width
        chunks = chunks_of(elements * _ELEMENT_NS)
        self.columns = -(-self.width // (chunks * self.lanes)) * self.lanes
        self.b = Builder()
        self.operands = Operands(self.b)

    def kernel(self) -> Kernel:
        b, kind = self.b, self.node.kind
        g, numbers, *base = (self.operands.pointer(root_of(x)) for x in self.node.inputs)
        out = self.operands.pointer(self.node)
        first = b.mul(Reg("%chunk", "i64"), b.index(self.columns))
        last = b.minimum(b.add(first, b.index(self.columns)), b.index(self.width))
        spare = b.both(b.sub(last, first), b.const("i64", self.lanes - 1))
        whole = b.sub(last, spare)
        rows = b.loop(0, self.rows)
        row = b.mul(rows.index, b.index(self.width))
        for column, lanes in self._columns(first, whole, last):
            place = b.add(row, column)
            start = b.load(base[0], kind, place, lanes) if base else b.const(kind, 0, lanes)
            b.store(start, out, place)
        rows.end()
        turn = b.loop(0, self.count)
        source = b.mul(turn.index, b.index(self.width))
        row = b.mul(b.load(numbers, "i64", turn.index), b.index(self.width))
        for column, lanes in self._columns(first, whole, last):
            place = b.add(row, column)
            value = b.load(g, kind, b.add(source, column), lanes)
            if self.word is not None:
                value = getattr(b, self.word)(b.load(out, kind, place, lanes), value)
            b.store(value, out, place)
        turn.end()
        return Kernel(b, -(-self.width // self.columns), self.operands.order)

    def _columns(self, first: Reg, whole: Reg, last: Reg) -> Iterator[tuple[Reg, int]]:
        """Loops over the columns of the chunk, by vectors and then one by one."""
        parts = [(first, whole, self.lanes)]
        if self.width % self.lanes:
            parts.append((whole, last, 1))
        for begin, end, lanes in parts:
            loop = self.b.loop(begin, end, lanes)
            yield loop.index, lanes
            loop.end()


def rows(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """The kernel of a group that is one such node."""
    return [_Rows(group.nodes[0], target).kernel()]
