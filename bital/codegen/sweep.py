"""Sweep: the kernel of a product along the rows of a matrix and one along its columns.

Room: codegen. A chunk is a range of rows, worked on in blocks: the rows times the vector, what
becomes of that elementwise, and the block's part of the second product while its rows are in the
nearest cache. A second kernel adds up the parts of the chunks, in their order.
"""

from __future__ import annotations

import functools

from bital.codegen.combine import finish
from bital.codegen.kernel import Kernel, Operands, Scratch, place
from bital.codegen.lanes import totals
from bital.codegen.scalar import BYTES, Reg
from bital.codegen.split import CYCLES_PER_NS, chunks_for
from bital.codegen.target import Target
from bital.codegen.values import Values
from bital.plan.access import access
from bital.plan.fuse import Group
from bital.plan.node import Node
from bital.plan.sweep import ends, factors, rows_of_block

#: rows whose sums are made at once, and vectors of columns
_ROWS, _VECTORS = 8, 8
#: cycles that a vector of the matrix takes, most of them to come from far
_CYCLES = 7


class Sweep(Values):
    """Writes the kernels of one group of kind "sweep"."""

    def __init__(self, group: Group, target: Target, in_memory: set[Node]) -> None:
        super().__init__(group, target, in_memory)
        self.first = group.nodes[0]
        self.back = next((n for n in group.nodes[1:] if n.word == "product"), None)
        matrix, vector, _ = factors(self.first)
        self.kind = matrix.kind
        self.count, self.columns = matrix.shape
        self.lanes = target.lanes(BYTES[self.kind])
        self.vectors = -(-self.columns // self.lanes)
        own, other = access(matrix, (0, 1), 2), access(vector, ends(vector), 1)
        self.row_step, self.vector_step = own.strides[0], other.strides[0]
        self.operands = Operands(self.b, (place(own), place(other)))
        self.block = rows_of_block(matrix)
        cycles = self.count * self.vectors * _CYCLES
        # rows of each chunk but the last
        self.share = -(-self.count // (chunks_for(cycles) * self.block)) * self.block
        self.chunks = -(-self.count // self.share)
        self.ns = cycles / CYCLES_PER_NS

    def kernels(self) -> list[Kernel]:
        """The kernel, and the one that adds up the parts."""
        b, kind = self.b, self.kind
        chunk = Reg("%chunk", "i64")
        start = b.mul(chunk, b.index(self.share))
        stop = b.minimum(b.add(start, b.index(self.share)), b.index(self.count))
        part = Scratch(self.chunks * self.columns, kind)
        self._pack()
        # the tile of the last rows overlaps the one before: there is room
        scratch = b.alloca(kind, _ROWS + self.block + self.lanes)
        self.sums = b.at(scratch, kind, _ROWS)
        if self.back is not None:
            self.factors = b.alloca(kind, self.block + self.lanes)
            self.part = self.operands.pointer(part)
            self.part = b.at(self.part, kind, b.mul(chunk, b.index(self.columns)))
            for v in range(self.vectors):
                b.store(b.const(kind, 0, self.lanes), self.part, v * self.lanes, self._tail(v))
        blocks = b.loop(start, stop, self.block)
        end = b.minimum(b.add(blocks.index, b.index(self.block)), stop)
        self._along_rows(blocks.index, end)
        self._elementwise(blocks.index, end)
        if self.back is not None:
            self._along_columns(blocks.index, end)
        blocks.end()
        kernel = Kernel(b, self.chunks, self.operands.order, self.ns)
        if self.back is None:
            return [kernel]
        return [kernel, finish(self.back, "sum", part, self.chunks)]

    def _tail(self, v: int) -> Reg | None:
        """The mask of vector v of the columns."""
        rest = self.columns - v * self.lanes
        return self.b.mask_below(rest, self.lanes) if rest < self.lanes else None

    def _pack(self) -> None:
        """Have the elements of the vector side by side."""
        b, kind = self.b, self.kind
        self.right = b.argument(1)
        if self.vector_step != 1:
            room = b.alloca(kind, self.columns)
            walk = b.loop(0, self.columns)
            value = b.load(self.right, kind, b.mul(walk.index, b.index(self.vector_step)))
            b.store(value, room, walk.index)
            walk.end()
            self.right = room

    def _row(self, row: Reg) -> Reg:
        """Where a row of the matrix begins."""
        b = self.b
        return b.at(b.argument(0), self.kind, b.mul(row, b.index(self.row_step)))

    def _along_rows(self, start: Reg, end: Reg) -> None:
        """The sums of a block's rows, into scratch."""
        b, kind, lanes = self.b, self.kind, self.lanes
        tiles = b.loop(start, end, _ROWS)
        row = b.minimum(tiles.index, b.index(self.count - _ROWS))
        left = self._row(row)
        zeros = [b.const(kind, 0, lanes)] * _ROWS
        whole = self.columns // lanes * lanes
        walk = b.loop(0, whole, lanes, *zeros)
        sums = walk.end(*self._dots(walk.values, left, b.freeze(walk.index), None))
        if whole < self.columns:
            sums = self._dots(sums, left, b.index(whole), self._tail(self.vectors - 1))
        for at in range(0, _ROWS, lanes):
            total = totals(b, sums[at : at + lanes])
            b.store(total, self.sums, b.add(b.sub(row, start), b.index(at)))
        tiles.end()

    def _dots(self, sums: list[Reg], left: Reg, k: Reg, mask: Reg | None) -> list[Reg]:
        b, kind, lanes = self.b, self.kind, self.lanes
        y = b.load(self.right, kind, k, lanes, mask)
        return [
            b.muladd(
                b.load(left, kind, b.add(k, b.index(r * self.row_step)), lanes, mask), y, total
            )
            for r, total in enumerate(sums)
        ]

    def _elementwise(self, start: Reg, end: Reg) -> None:
        """What becomes of a block's sums, vectors of rows at a time."""
        b = self.b
        spare = b.both(b.sub(end, start), b.index(self.lanes - 1))
        whole = end if b.masks else b.sub(end, spare)
        self._vectors(start, start, whole, self.lanes)
        if not b.masks:
            self._vectors(start, whole, end, 1)

    def _vectors(self, start: Reg, first: Reg, end: Reg, lanes: int) -> None:
        """The same for some of the rows of a block that begins at `start`."""
        b = self.b
        walk = b.loop(first, end, lanes)
        at = b.sub(walk.index, start)
        self.mask = b.mask_below(b.sub(end, walk.index), lanes) if b.masks else None
        self.width = lanes
        self.open = [(0, walk.index)]
        value = b.load(self.sums, self.kind, at, lanes)
        self.scopes = [{}, {(self.first, 0): value}]
        if self.back is not None:
            which = self.back.inputs.index(factors(self.back).vector)
            b.store(b.splat(self._operand(self.back, which), lanes), self.factors, at)
        self._store_all([n for n in self.group.nodes if n is not self.back])
        walk.end()

    def _along_columns(self, start: Reg, end: Reg) -> None:
        """Add a block's rows, each times its factor, to the chunk's part."""
        b, lanes = self.b, self.lanes
        for first in range(0, self.vectors, _VECTORS):
            some = range(first, min(first + _VECTORS, self.vectors))
            # several chains for each sum where there are few
            turns = 1 << (_VECTORS // len(some)).bit_length() - 1
            rest = b.both(b.sub(end, start), b.index(turns - 1))
            whole = b.sub(end, rest)
            count = len(some)
            walk = b.loop(start, whole, turns, *[b.const(self.kind, 0, lanes)] * (count * turns))
            found = list(walk.values)
            for turn in range(turns):
                part = slice(turn * count, (turn + 1) * count)
                found[part] = self._add(found[part], some, b.add(walk.index, b.index(turn)), start)
            found = walk.end(*found)
            if turns > 1:
                walk = b.loop(whole, end, 1, *found[:count])
                found[:count] = walk.end(*self._add(walk.values, some, walk.index, start))
            for k, v in enumerate(some):
                tail = self._tail(v)
                before = b.load(self.part, self.kind, v * lanes, lanes, tail)
                total = functools.reduce(b.add, found[k::count], before)
                b.store(total, self.part, v * lanes, tail)

    def _add(self, sums: list[Reg], some: range, row: Reg, start: Reg) -> list[Reg]:
        """The sums of some vectors of columns with a row, times its factor, added."""
        b, kind, lanes = self.b, self.kind, self.lanes
        factor = b.splat(b.load(self.factors, kind, b.sub(row, start)), lanes)
        place = self._row(row)
        return [
            b.muladd(b.load(place, kind, v * lanes, lanes, self._tail(v)), factor, total)
            for v, total in zip(some, sums)
        ]


def sweep(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """The kernels of such a group."""
    return Sweep(group, target, in_memory).kernels()
