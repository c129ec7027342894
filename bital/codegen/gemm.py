"""Gemm: matrix products as kernels, each with what becomes of its elements as its last words.

Room: codegen. C[m, n] = sum over k of A[m, k] B[k, n]: a tile of C stays in registers, rows of B
are loaded and elements of A spread over the lanes. An element is one chain of multiply-adds over
at most DEPTH k, such partial sums being added up in order, whatever the tiles and chunks.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from bital.codegen.pack import pack_strided, pack_transposed
from bital.codegen.scalar import BYTES, Builder, Loop, Reg
from bital.codegen.split import DEPTH, Run, Split, split, weights
from bital.codegen.target import Target

#: (builder, value, batch indices, row, column, mask): what becomes of consecutive columns of a row
Epilogue = Callable[[Builder, Reg, tuple[Reg, ...], Reg, Reg, Reg | None], None]

#: an epilogue is written out for every accumulator as long as the lines of a tile are not more
_MOST_LINES = 400


class Product(NamedTuple):
    """A matrix product; strides in elements."""

    batch: tuple[int, ...]  # sizes of the batch axes
    M: int
    N: int
    K: int
    kind: str  # "f32" or "f64"
    a: tuple[int, ...]  # strides of A: batch axes (0 where broadcast), m, k
    b: tuple[int, ...]  # strides of B: batch axes, k, n


def product(p: Product, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """The kernel's body and its number of chunks; args 0 and 1 are A and B, more the epilogue's."""
    b = Builder(masks=target.vector_bytes == 64)
    if 0 in (p.M, p.N, *p.batch):
        return b, 0
    nest = _Nest(b, p, target, epilogue)
    nest.write()
    return b, nest.split.chunks


def plain_store(p: Product, c_strides: tuple[int, ...]) -> Epilogue:
    """The epilogue that stores to argument 2: strides of the batch axes, rows and columns."""

    def store(
        b: Builder, value: Reg, batch: tuple[Reg, ...], row: Reg, col: Reg, mask: Reg | None
    ) -> None:
        c = b.argument(2)
        place = b.at(c, p.kind, offset(b, (*batch, row, col), c_strides))
        if value.lanes == 1 or c_strides[-1] == 1:
            b.store(value, place, mask=mask)
        else:
            steps = b.mul(b.iota("i64", value.lanes), b.index(c_strides[-1]))
            b.scatter(value, place, steps, mask)

    return store


def offset(b: Builder, indices: tuple[Reg, ...], strides: tuple[int, ...]) -> Reg:
    """The sum of indices times strides."""
    total = b.index(0)
    for index, stride in zip(indices, strides, strict=True):
        if stride:
            step = index if stride == 1 else b.mul(index, b.index(stride))
            total = step if total.name == "0" else b.add(total, step)
    return total


def first_lanes(count: int, lanes: int) -> Reg:
    """The constant mask of the first `count` lanes."""
    there = ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(lanes))
    return Reg(f"<{there}>", "i1", lanes)


class _Nest:
    """Writes the loops of one product, from chunks in to tiles."""

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        self.b, self.p, self.epilogue = b, p, epilogue
        self.lanes = target.lanes(BYTES[p.kind])
        self.bk, self.bn = p.b[-2:]
        self.packed = self.bn != 1 and p.N > 1
        vectors = -(-p.N // self.lanes)
        batches = math.prod(p.batch)
        self.split: Split = split(
            batches, p.M, vectors, p.K, self.lanes, target.registers, BYTES[p.kind], self.packed
        )
        self.batches = batches
        self.panels = self.split.panels
        if p.N % self.lanes and not b.masks:
            self.panels = _last_apart(self.panels)
        self.widest = max(run.size for run in self.panels) * self.lanes
        self.blocks = max(-(-p.K // DEPTH), 1)
        # whole vectors of k in each block, so that transposing meets no rest but the last
        self.depth = p.K
        if self.blocks > 1:
            self.depth = 16 * math.ceil(p.K / self.blocks / 16)
            self.blocks = math.ceil(p.K / self.depth)

    def write(self) -> None:
        """The whole body."""
        b, p, cut = self.b, self.p, self.split
        self.args = b.argument(0), b.argument(1)
        if self.packed:
            self.panel = b.alloca(p.kind, min(self.depth, p.K) * self.widest)
        if self.blocks > 1:
            self.sums = b.alloca(p.kind, self._most_rows() * self._most_panels() * self.widest)
        chunk = Reg("%chunk", "i64")
        rest, part = self._divided(chunk, cut.panel_parts)
        self.panel_range = self._bounds(part, cut.panel_parts, cut.panels[-1].stop)
        rest, part = self._divided(rest, cut.row_parts)
        self.row_range = self._bounds(part, cut.row_parts, cut.rows[-1].stop)
        begin, end = self._bounds(rest, cut.batch_parts, self.batches)
        batches = b.loop(begin, end)
        self.batch = self._batch_indices(batches.index)
        self.a = b.at(self.args[0], p.kind, offset(b, self.batch, p.a[:-2]))
        self.bmat = b.at(self.args[1], p.kind, offset(b, self.batch, p.b[:-2]))
        if self.blocks == 1:
            self._block(b.index(0), b.index(p.K))
        else:
            self._clear_sums()
            walk = b.loop(0, p.K, self.depth)
            self._block(walk.index, b.minimum(b.index(self.depth), b.sub(b.index(p.K), walk.index)))
            walk.end()
            self._finish_sums()
        batches.end()

    # where things are

    def _divided(self, number: Reg, by: int) -> tuple[Reg, Reg]:
        """Quotient and remainder by a constant."""
        if by == 1:
            return number, self.b.index(0)
        b = self.b
        quotient = b.div(number, b.index(by))
        return quotient, b.sub(number, b.mul(quotient, b.index(by)))

    def _bounds(self, part: Reg, parts: int, total: int) -> tuple[Reg, Reg]:
        """Where a part of an axis begins and ends, larger parts first."""
        b = self.b
        if parts == 1:
            return b.index(0), b.index(total)
        ends = (
            b.div(b.add(b.mul(b.add(part, b.index(k)), b.index(total)), b.index(parts - 1)),
                  b.index(parts))
            for k in (0, 1)
        )  # fmt: skip
        begin, end = ends
        return begin, end

    def _batch_indices(self, flat: Reg) -> tuple[Reg, ...]:
        """The indices of batch number `flat`."""
        found: list[Reg] = []
        for k, size in enumerate(reversed(self.p.batch)):
            index = flat
            if k < len(self.p.batch) - 1:
                flat, index = self._divided(flat, size)
            found.append(index)
        return tuple(reversed(found))

    def _pieces(self, run: Run, bounds: tuple[Reg, Reg], parts: int) -> tuple[Loop, Reg]:
        """A loop over the pieces of a run within bounds, and where the piece begins."""
        b = self.b
        begin, end = b.index(run.first), b.index(run.stop)
        if parts > 1:
            begin, end = b.maximum(begin, bounds[0]), b.minimum(end, bounds[1])
        walk = b.loop(begin, end)
        start = b.add(
            b.mul(walk.index, b.index(run.size)), b.index(run.start - run.first * run.size)
        )
        return walk, start

    def _row(self, tile: Reg) -> Reg:
        """The first row of tile number `tile`."""
        b, rows = self.b, self.split.rows
        whole = b.mul(tile, b.index(rows[-1].size))
        return b.add(whole, b.minimum(tile, b.index(rows[-1].first))) if rows[-1].first else whole

    def _mask(self, run: Run, vector: Reg) -> Reg | None:
        """The mask of the last vector of a panel; None where all lanes are there."""
        rest = self.p.N % self.lanes
        if not rest or run is not self.panels[-1]:
            return None
        if run.many == 1:
            return first_lanes(rest, self.lanes)
        b = self.b
        last = b.mul(b.add(vector, b.index(run.size - 1)), b.index(self.lanes))
        return b.mask_below(b.sub(b.index(self.p.N), last), self.lanes)

    # tiles

    def _block(self, first: Reg, depth: Reg) -> None:
        """All tiles of the chunk over `depth` k from `first` on."""
        b, p, cut = self.b, self.p, self.split
        for run in self.panels:
            panels, vector = self._pieces(run, self.panel_range, cut.panel_parts)
            mask = self._mask(run, vector)
            col = b.mul(vector, b.index(self.lanes))
            source = b.at(self.bmat, p.kind, offset(b, (first, col), (self.bk, self.bn)))
            step = self.bk
            if self.packed:
                self._pack(source, run, col, depth)
                source, step = self.panel, run.size * self.lanes
            for high in cut.rows:
                tiles, row = self._pieces(high, self.row_range, cut.row_parts)
                start = b.at(self.a, p.kind, offset(b, (row, first), p.a[-2:]))
                sums = self._tile(start, source, step, depth, high.size, run.size, mask)
                if self.blocks == 1:
                    self._finish(sums, row, col, mask)
                else:
                    self._add_sums(sums, panels.index, row)
                tiles.end()
            panels.end()

    def _tile(
        self, a: Reg, source: Reg, step: int, depth: Reg, rows: int, vectors: int,
        mask: Reg | None,
    ) -> list[list[Reg]]:  # fmt: skip
        """rows x vectors sums over `depth` k; `step` leads from a row of B to the next."""
        b, kind, lanes = self.b, self.p.kind, self.lanes
        am, ak = self.p.a[-2:]
        turns = 1
        if rows * vectors < 16 and self.p.K % 4 == 0:
            turns = 4 if rows * vectors < 8 else 2
        zeros = [b.const(kind, 0, lanes)] * (rows * vectors)
        walk = b.loop(0, depth, turns, a, source, *zeros)
        a, source, *sums = walk.values
        for turn in range(turns):
            right = [
                b.load(source, kind, turn * step + v * lanes, lanes,
                       mask if v == vectors - 1 else None)
                for v in range(vectors)
            ]  # fmt: skip
            for r in range(rows):
                left = b.splat(b.load(a, kind, turn * ak + r * am), lanes)
                for v in range(vectors):
                    place = r * vectors + v
                    sums[place] = b.fma(left, right[v], sums[place])
        following = b.at(a, kind, turns * ak), b.at(source, kind, turns * step)
        sums = walk.end(*following, *sums)[2:]
        return [sums[r * vectors : (r + 1) * vectors] for r in range(rows)]

    def _pack(self, source: Reg, run: Run, col: Reg, depth: Reg) -> None:
        """The panel's rows of B into scratch."""
        b, p, width = self.b, self.p, run.size * self.lanes
        columns = None
        if p.N % self.lanes and run is self.panels[-1]:
            columns = b.sub(b.index(p.N), col)
        if self.bk == 1:
            least = p.K - (self.blocks - 1) * self.depth
            pack_transposed(
                b, p.kind, self.lanes, source, self.bn, columns, run.size, depth, least, self.panel
            )
        else:
            pack_strided(b, p.kind, source, (self.bk, self.bn), columns, width, depth, self.panel)

    # sums over several blocks of k

    def _most_rows(self) -> int:
        return max(weights(self.split.rows, self.split.row_parts))

    def _most_panels(self) -> int:
        return -(-self.split.panels[-1].stop // self.split.panel_parts)

    def _clear_sums(self) -> None:
        b, p = self.b, self.p
        size = self._most_rows() * self._most_panels() * self.widest
        walk = b.loop(0, size, self.lanes)
        b.store(b.const(p.kind, 0, self.lanes), self.sums, walk.index)
        walk.end()

    def _sums_of(self, panel: Reg, row: Reg) -> Reg:
        """Where the chunk's sums of a panel and row are."""
        b, rows = self.b, self._most_rows()
        local = b.sub(panel, self.panel_range[0]), b.sub(row, self._row(self.row_range[0]))
        return b.at(self.sums, self.p.kind, offset(b, local, (rows * self.widest, self.widest)))

    def _add_sums(self, values: list[list[Reg]], panel: Reg, row: Reg) -> None:
        b, place = self.b, self._sums_of(panel, row)
        for r, line in enumerate(values):
            for v, value in enumerate(line):
                at = r * self.widest + v * self.lanes
                b.store(b.add(b.load(place, value.kind, at, value.lanes), value), place, at)

    def _finish_sums(self) -> None:
        """What becomes of the chunk's sums."""
        b, p, cut = self.b, self.p, self.split
        for run in self.panels:
            panels, vector = self._pieces(run, self.panel_range, cut.panel_parts)
            mask = self._mask(run, vector)
            col = b.mul(vector, b.index(self.lanes))
            begin, end = self.row_range
            rows = b.loop(self._row(begin), self._row(end))
            place = self._sums_of(panels.index, rows.index)
            line = [b.load(place, p.kind, v * self.lanes, self.lanes) for v in range(run.size)]
            self._finish([line], rows.index, col, mask)
            rows.end()
            panels.end()

    # what becomes of sums

    def _finish(self, sums: list[list[Reg]], row: Reg, col: Reg, mask: Reg | None) -> None:
        """Hand a tile to the epilogue: written out where that is short, else through scratch."""
        b, width = self.b, len(sums[0])
        if len(sums) * width * self._epilogue_lines <= _MOST_LINES:
            for r, line in enumerate(sums):
                self._finish_row(line, b.add(row, b.index(r)), col, mask)
            return
        for r, line in enumerate(sums):
            for v, value in enumerate(line):
                b.store(value, self._scratch, (r * width + v) * self.lanes)
        walk = b.loop(0, len(sums))
        place = b.at(self._scratch, self.p.kind, b.mul(walk.index, b.index(width * self.lanes)))
        line = [b.load(place, self.p.kind, v * self.lanes, self.lanes) for v in range(width)]
        self._finish_row(line, b.add(row, walk.index), col, mask)
        walk.end()

    def _finish_row(self, line: list[Reg], row: Reg, col: Reg, mask: Reg | None) -> None:
        b = self.b
        for v, value in enumerate(line):
            last = mask if v == len(line) - 1 else None
            self.epilogue(b, value, self.batch, row, b.add(col, b.index(v * self.lanes)), last)

    @functools.cached_property
    def _scratch(self) -> Reg:
        """Room for one tile."""
        rows = max(run.size for run in self.split.rows)
        return self.b.alloca(self.p.kind, rows * self.widest)

    @functools.cached_property
    def _epilogue_lines(self) -> int:
        """How many lines the epilogue writes for a vector."""
        trial = Builder(self.b.masks)
        index = Reg("%index", "i64")
        value = Reg("%value", self.p.kind, self.lanes)
        self.epilogue(trial, value, (index,) * len(self.p.batch), index, index, None)
        return len(trial.lines)


def _last_apart(panels: list[Run]) -> list[Run]:
    """The runs with the last piece on its own."""
    *before, last = panels
    if last.many == 1:
        return panels
    alone = Run(last.stop - 1, 1, last.size, last.start + (last.many - 1) * last.size)
    return [*before, last._replace(many=last.many - 1), alone]
