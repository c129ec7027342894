"""Dots: matrix products as dot products, where both factors are contiguous along k.

Room: codegen. Each sum is a vector of partial sums, one a lane, added up at the end: nothing is
packed, which is best for few rows or columns. The order of sums depends on K alone.
"""

from __future__ import annotations

import itertools
import math

from bital.codegen.cuts import Epilogue
from bital.codegen.lanes import picked, totals
from bital.codegen.nest import Nest, Product
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.split import DEPTH, chunks_for
from bital.codegen.target import Target

#: so many bytes of B stay in the nearest cache, and in a core's own; a vector beyond takes cycles
_NEAREST_BYTES, _OWN_BYTES = 32 * 1024, 1536 * 1024
_FROM_OWN, _FROM_FAR = 1.5, 5
#: cycles to load a vector that lies across two lines of the cache, as most of NumPy's arrays do: it
#: begins them 16 bytes beyond one (Emerald Rapids; half a cycle within a line)
_ACROSS = 4 / 3
#: B is packed up to so many bytes
_PACKED_BYTES = 32 * 1024
#: results of a chunk are kept in scratch of so many bytes
_RESULT_BYTES = 96 * 1024


def tile_of(p: Product, registers: int) -> tuple[int, int]:
    """Rows and columns of sums that are made at once."""
    best = 0.0, 1, 1
    for rows, columns in itertools.product(range(1, min(p.M, 8) + 1), range(1, min(p.N, 16) + 1)):
        count = rows * columns
        if count + rows + 1 > registers or count > registers // 2:
            continue
        # each turn: two loads or multiply-adds a cycle, four cycles until a sum is ready
        turn = max((rows + columns) / 2, count / 2, 4)
        used = p.M * p.N / (math.ceil(p.M / rows) * rows * math.ceil(p.N / columns) * columns)
        best = max(best, (count / turn * used, rows, columns))
    return best[1], best[2]


def cost(p: Product, lanes: int, registers: int) -> float:
    """Cycles of a batch."""
    rows, columns = tile_of(p, registers)
    count = rows * columns
    tiles = math.ceil(p.M / rows) * math.ceil(p.N / columns)
    turns = math.ceil(p.K / lanes) * max(_ACROSS * (rows + columns), count / 2, 4)
    return tiles * (turns + 2 * 2 ** math.ceil(math.log2(count)) + 10)


def reading(p: Product, lanes: int, registers: int) -> float:
    """Cycles that each tile of rows of a batch waits for B to come from where it lies.

    Measured on Emerald Rapids with one row: 2.2 a vector in all from the core's own cache, 5.4
    from memory.
    """
    size = p.N * p.K * BYTES[p.kind]
    if size <= _NEAREST_BYTES:
        return 0
    rows, _ = tile_of(p, registers)
    vectors = math.ceil(p.M / rows) * p.N * math.ceil(p.K / lanes)
    return vectors * (_FROM_OWN if size <= _OWN_BYTES else _FROM_FAR)


class Dots(Nest):
    """The loops of one product, from chunks in to tiles of sums."""

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        super().__init__(b, p, target, epilogue)
        self.rows, self.columns = tile_of(p, target.registers)
        self.cost = self.batches * cost(p, self.lanes, target.registers)
        # columns of B lie so far apart
        self.column = p.b[-1]
        self.packed = p.b[-2] != 1
        if self.packed:
            self.column = self.lanes * math.ceil(p.K / self.lanes)
            self.cost += self.batches * 2 * p.N * p.K
        self.parts = self._parts()

    @staticmethod
    def suits(p: Product, lanes: int) -> bool:
        """Whether it may be best: A contiguous along k; B, too, or so small that it is packed."""
        size = p.N * p.K * BYTES[p.kind]
        small = p.N <= 4 and size <= _PACKED_BYTES and 4 * p.N <= p.M
        return p.K > 1 and p.a[-1] == 1 and (p.b[-2] == 1 or small)

    def _parts(self) -> tuple[int, int, int]:
        p = self.p
        waiting = self.batches * reading(p, self.lanes, self.target.registers)
        wanted = chunks_for(self.cost + waiting)
        batch_parts = min(self.batches, wanted)
        wanted = -(-wanted // batch_parts)
        # the axis is cut that has most parts and, if both have enough, lets cores read their own;
        # then the other until the results of a chunk find room
        tiles, groups = math.ceil(p.M / self.rows), math.ceil(p.N / self.columns)
        row_parts, column_parts = min(wanted, tiles), min(wanted, groups)
        by_rows = (row_parts, -self._strange(True)) > (column_parts, -self._strange(False))
        row_parts, column_parts = (row_parts, 1) if by_rows else (1, column_parts)
        if max(row_parts, column_parts) > 1 and batch_parts == 1:
            self.far = self._strange(by_rows)
        most = _RESULT_BYTES // BYTES[p.kind]
        while True:
            self.most_rows = math.ceil(tiles / row_parts) * self.rows
            self.most_columns = math.ceil(groups / column_parts) * self.columns
            if self.most_rows * (self.most_columns + self.lanes) <= most:
                return batch_parts, row_parts, column_parts
            if self.most_rows > self.rows:
                row_parts = min(2 * row_parts, tiles)
            else:
                column_parts = min(2 * column_parts, groups)

    def _strange(self, by_rows: bool) -> float:
        """Cycles for what comes from other cores, where rows, or columns, are divided."""
        p = self.p
        sizes = p.M * p.K / self.lanes, p.N * p.K / self.lanes, p.M * p.N / self.lanes
        return self.homes.far(sizes, by_rows)

    def write(self) -> None:
        """The whole body."""
        b, p = self.b, self.p
        # the last tile overlaps the one before, which may not be of this chunk: there is room
        front = self.lanes * math.ceil(self.columns / self.lanes)
        self.step = front + self.lanes * math.ceil(self.most_columns / self.lanes)
        scratch = b.alloca(p.kind, (self.rows + self.most_rows) * self.step)
        self.results = b.at(scratch, p.kind, self.rows * self.step + front)
        tiles, groups = math.ceil(p.M / self.rows), math.ceil(p.N / self.columns)
        batches = self.open(tiles, groups)
        if self.packed:
            self._pack()
        first_row = b.mul(self.row_range[0], b.index(self.rows))
        end_row = b.minimum(b.mul(self.row_range[1], b.index(self.rows)), b.index(p.M))
        first_col = b.mul(self.column_range[0], b.index(self.columns))
        end_col = b.minimum(b.mul(self.column_range[1], b.index(self.columns)), b.index(p.N))
        rows = b.loop(first_row, end_row, self.rows)
        row = b.minimum(rows.index, b.index(p.M - self.rows))
        columns = b.loop(first_col, end_col, self.columns)
        col = b.minimum(columns.index, b.index(p.N - self.columns))
        self._tile(row, col, first_row, first_col)
        columns.end()
        rows.end()
        self._finish(first_row, end_row, first_col, end_col)
        batches.end()

    def _pack(self) -> None:
        """B's columns, one after the other, into scratch."""
        b, p = self.b, self.p
        room = b.alloca(p.kind, p.N * self.column)
        walk = b.loop(0, p.K)
        source = b.at(self.right, p.kind, b.affine(0, (walk.index, p.b[-2])))
        place = b.at(room, p.kind, walk.index)
        for n in range(p.N):
            b.store(b.load(source, p.kind, n * p.b[-1]), place, n * self.column)
        walk.end()
        self.right = room

    def _tile(self, row: Reg, col: Reg, first_row: Reg, first_col: Reg) -> None:
        """A tile of sums, into scratch."""
        b, p, count = self.b, self.p, self.rows * self.columns
        left = b.at(self.left, p.kind, b.affine(0, (row, p.a[-2])))
        right = b.at(self.right, p.kind, b.affine(0, (col, self.column)))
        # several chains for each sum where there are few
        turns = max(min(8 // count, p.K // self.lanes), 1)
        zeros = [b.const(p.kind, 0, self.lanes)] * (count * turns)
        step = turns * self.lanes
        whole = p.K // step * step

        def chains(begin: Reg | int, end: Reg | int) -> list[Reg]:
            walk = b.loop(begin, end, step, *zeros)
            sums, at = list(walk.values), b.freeze(walk.index)
            for turn in range(turns):
                k = b.add(at, b.index(turn * self.lanes)) if turn else at
                part = slice(turn * count, (turn + 1) * count)
                sums[part] = self._add(sums[part], left, right, k)
            return walk.end(*sums)

        if whole <= DEPTH * step:
            sums = chains(0, whole)
        else:
            blocks = b.loop(0, whole, DEPTH * step, *zeros)
            end = b.minimum(b.add(blocks.index, b.index(DEPTH * step)), b.index(whole))
            found = chains(blocks.index, end)
            sums = blocks.end(*(b.add(x, y) for x, y in zip(blocks.values, found)))
        for first in range(whole, p.K, self.lanes):
            rest = b.mask_below(p.K - first, self.lanes) if p.K - first < self.lanes else None
            sums[:count] = self._add(sums[:count], left, right, b.index(first), rest)
        for turn in range(1, turns):
            sums[:count] = [
                b.add(x, y) for x, y in zip(sums, sums[turn * count : (turn + 1) * count])
            ]
        local = b.affine(0, (b.sub(row, first_row), self.step), (b.sub(col, first_col), 1))
        self._keep(sums[:count], b.at(self.results, p.kind, local))

    def _add(
        self, sums: list[Reg], left: Reg, right: Reg, k: Reg, mask: Reg | None = None
    ) -> list[Reg]:
        """The sums with the products of a vector of k added."""
        b, kind, lanes = self.b, self.p.kind, self.lanes
        am, bn = self.p.a[-2], self.column
        rows = [
            b.load(left, kind, b.add(k, b.index(r * am)), lanes, mask) for r in range(self.rows)
        ]
        found = list(sums)
        for c in range(self.columns):
            column = b.load(right, kind, b.add(k, b.index(c * bn)), lanes, mask)
            for r, row in enumerate(rows):
                place = r * self.columns + c
                found[place] = b.muladd(row, column, found[place])
        return found

    def _keep(self, sums: list[Reg], place: Reg) -> None:
        """Add up each sum's lanes, as many sums at once as there are lanes; store them."""
        b, columns = self.b, self.columns
        for first in range(0, len(sums), self.lanes):
            some = sums[first : first + self.lanes]
            missing = 2 ** math.ceil(math.log2(len(some))) - len(some)
            total = totals(b, [*some, *[b.const(self.p.kind, 0, self.lanes)] * missing])
            at = 0
            while at < len(some):
                r, c = divmod(first + at, columns)
                length = min(columns - c, len(some) - at)
                whole = length == total.lanes
                part = total if whole else picked(b, total, range(at, at + length))
                b.store(part, place, r * self.step + c)
                at += length

    def _finish(self, first_row: Reg, end_row: Reg, first_col: Reg, end_col: Reg) -> None:
        """Hand the results to the epilogue."""
        b, p = self.b, self.p
        lanes = min(self.lanes, 2 ** math.ceil(math.log2(p.N)))
        even = p.N % lanes == 0 and (self.parts[2] == 1 or self.columns % lanes == 0)
        line = b.loop(first_row, end_row)
        place = b.at(self.results, p.kind, b.mul(b.sub(line.index, first_row), b.index(self.step)))
        end = end_col if even or b.masks else b.sub(end_col, b.index(lanes - 1))
        walk = b.loop(first_col, end, lanes)
        mask = None if even else b.mask_below(b.sub(end_col, walk.index), lanes)
        value = b.load(place, p.kind, b.sub(walk.index, first_col), lanes)
        self.finish_row([value], line.index, walk.index, mask if b.masks else None)
        walk.end()
        if not even and not b.masks:
            rest = b.loop(walk.index, end_col)
            value = b.load(place, p.kind, b.sub(rest.index, first_col))
            self.finish_row([value], line.index, rest.index, None)
            rest.end()
        line.end()
