"""Tiles: matrix products by register tiles of C.

Room: codegen. Rows of B are loaded and elements of A spread over the lanes. An element is one chain
of multiply-adds over a block of k, the blocks' sums being added up in order, whatever the tiles
and chunks.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

from bital.base.extent import Extent, fewest, hint, most
from bital.codegen import epilogue
from bital.codegen.cuts import Epilogue
from bital.codegen.nest import Nest, Product
from bital.codegen.pack import pack_any, pack_columns, pack_rows
from bital.codegen.scalar import BYTES, Builder, Loop, Reg
from bital.codegen.split import DEPTH, Shape, split
from bital.codegen.target import Target

#: an epilogue is written out for every accumulator as long as the lines of a tile are not more
_MOST_LINES = 400
#: an epilogue of more lines computes as long as it waits for what it reads
_SHORT = 40
#: rows of B are fetched to the nearest cache so many k before they are read; farther ahead they
#: push one another out
_AHEAD = 16
#: rows of a tile where the number of all rows changes, and may be as few
_TALLEST = 8
#: how B is packed -> cycles to pack a vector of it
_PACKING_CYCLES = {"none": 0, "rows": 4, "columns": 2.5, "any": 30}
#: more where columns come from beyond a core's own cache, of so many bytes (Emerald Rapids)
_FROM_FAR, _OWN_BYTES = 4.5, 2 << 20


def _packing_cycles(p: Product, packing: str) -> float:
    """Cycles to pack a vector of B."""
    size = hint(p.K) * hint(p.N) * BYTES[p.kind]
    far = packing == "columns" and size > _OWN_BYTES
    return _PACKING_CYCLES[packing] + (_FROM_FAR if far else 0)


def _packing(p: Product, lanes: int) -> str:
    """How panels of B are packed: not at all where rows can be read where they are."""
    bk, bn = p.b[-2:]
    if bn == 1 or p.N == 1 or p.K == 0:
        # rows far apart hinder one another in the caches: packing pays where they are read often
        apart = bk * BYTES[p.kind] >= 1024 and 3 * lanes < p.N
        return "rows" if apart and hint(p.M) >= 128 and p.K > 1 else "none"
    return "columns" if bk == 1 else "any"


class _Strip(NamedTuple):
    """Panels of one width: the numbers of the first and of the one after the last."""

    begin: int
    end: int
    width: int  # in vectors
    last: bool  # whether the last of them lacks columns


class Tiles(Nest):
    """The loops of one product, from chunks in to tiles.

    All tiles have the same number of rows: one that has a row less takes the row before, too, and
    skips it at the end. Where the number of rows changes, the last tile takes as many as it lacks.
    """

    #: whether all sums of a chunk are turned at its end
    turns = False

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        super().__init__(b, p, target, epilogue)
        self.tall = isinstance(p.M, Extent)
        self.kept = self.turns or p.K > DEPTH
        self.bk, self.bn = p.b[-2:]
        self.packing = _packing(p, self.lanes)
        self.split = split(
            Shape(
                hint(self.batches), most(p.M) if self.kept else hint(p.M), -(-p.N // self.lanes),
                hint(p.K), self.lanes, BYTES[p.kind],
                target.registers, _packing_cycles(p, self.packing),
                0 if p.a[-2] == 1 else abs(hint(p.a[-2])) * BYTES[p.kind],
                abs(hint(self.bk)) * BYTES[p.kind] if self.packing == "none" else 0, self.kept,
                self.homes, *((_TALLEST,) if self.tall else ()),
            )
        )  # fmt: skip
        self.parts = self.split.batch_parts, self.split.row_parts, self.split.panel_parts
        self.cost = hint(self.batches) * self.split.cost
        self.far = self.split.far
        self.rows = self.split.rows
        if self.rows.size > p.M:
            raise TypeError("fewer rows than a tile has")
        self.strips = self._strips()
        self.widest = self.split.panels.size * self.lanes
        depth = self.depth = most(p.K) if self.kept else min(most(p.K), DEPTH)
        self.blocks = 1
        if p.K > DEPTH:
            # whole vectors of k in each block, so that transposing meets no rest but the last;
            # half as long as could be, as a panel then stays in the nearest cache
            self.depth = 16 * math.ceil(depth / math.ceil(2 * depth / DEPTH) / 16)
            self.blocks = math.ceil(depth / self.depth)

    def _strips(self) -> list[_Strip]:
        panels, rest = self.split.panels, self.p.N % self.lanes
        found = []
        if panels.larger:
            found.append(_Strip(0, panels.larger, panels.size, False))
        if panels.larger < panels.many:
            found.append(_Strip(panels.larger, panels.many, panels.size - 1, False))
        last = found.pop()._replace(last=rest > 0)
        needless = rest & (rest - 1) == 0 and not self.turns  # a mask, where it is constant
        if rest and (needless or not self.b.masks) and last.begin < last.end - 1:
            # one that is constant costs other processors less
            found.append(last._replace(end=last.end - 1, last=False))
            last = last._replace(begin=last.end - 1)
        return [*found, last]

    def write(self) -> None:
        """The whole body."""
        b, p, cut = self.b, self.p, self.split
        if self.packing != "none":
            self.panel = b.alloca(p.kind, self.depth * self.widest)
        self.tile = self.rows.size * self.widest
        if self.kept:
            self.sums = b.alloca(p.kind, cut.most_tiles * cut.most_panels * self.tile)
        tiles: int | Reg = cut.rows.many
        if self.tall:
            high = self.rows.size
            tiles = b.div(b.add(b.index(p.M), b.index(high - 1)), b.index(high))
        batches = self.open(tiles, cut.panels.many)
        if self.blocks == 1:
            self._block(b.index(0), b.index(p.K))
        else:
            walk = b.loop(0, p.K, self.depth)
            self._block(walk.index, b.minimum(b.index(self.depth), b.sub(b.index(p.K), walk.index)))
            walk.end()
        if self.turns:
            self._turn()
        batches.end()

    def _panels(self, strip: _Strip) -> tuple[Loop, Reg, Reg | None]:
        """A loop over the chunk's panels of a strip; the first column, the last vector's mask."""
        b, panels = self.b, self.split.panels
        begin, end = b.index(strip.begin), b.index(strip.end)
        if self.split.panel_parts > 1:
            begin, end = (
                b.maximum(begin, self.column_range[0]),
                b.minimum(end, self.column_range[1]),
            )
        walk = b.loop(begin, end)
        shift = panels.start(strip.begin) - strip.begin * strip.width
        col = b.add(
            b.mul(walk.index, b.index(strip.width * self.lanes)), b.index(shift * self.lanes)
        )
        if not strip.last:
            return walk, col, None
        if strip.begin == strip.end - 1:
            return walk, col, b.mask_below(self.p.N % self.lanes, self.lanes)
        rest = b.sub(b.index(self.p.N - (strip.width - 1) * self.lanes), col)
        return walk, col, b.mask_below(rest, self.lanes)

    def _tile_rows(self, tile: Reg) -> tuple[Reg, Reg]:
        """The first row of a tile, and how many rows are skipped, as they are the tile before's."""
        b, rows = self.b, self.rows
        if self.tall:
            wanted = b.mul(tile, b.index(rows.size))
            start = b.minimum(wanted, b.index(self.p.M - rows.size))
            return start, b.sub(wanted, start)
        if rows.larger == rows.many:
            return b.mul(tile, b.index(rows.size)), b.index(0)
        skip = b.cast(b.cast(b.ge(tile, b.index(rows.larger)), "u8"), "i64")
        start = b.add(b.mul(tile, b.index(rows.size - 1)), b.minimum(tile, b.index(rows.larger)))
        return b.sub(start, skip), skip

    # tiles

    def _far(self, stride: int) -> bool:
        """Whether what is read by steps of k lies too far apart to be fetched by itself."""
        size = BYTES[self.p.kind]
        return hint(self.p.K) * stride * size > 64 * 1024 and stride * size >= 256

    def _block(self, first: Reg, depth: Reg) -> None:
        """All tiles of the chunk over `depth` k from `first` on."""
        b, p = self.b, self.p
        for strip in self.strips:
            panels, col, mask = self._panels(strip)
            source = b.at(self.right, p.kind, b.affine(0, (first, self.bk), (col, self.bn)))
            step = self.bk
            if self.packing != "none":
                self._pack(source, strip, col, depth, mask)
                source, step = self.panel, strip.width * self.lanes
            tiles = b.loop(*self.row_range)
            row, skip = self._tile_rows(tiles.index)
            start = b.at(self.left, p.kind, b.affine(0, *zip((row, first), p.a[-2:])))
            sums = self._tile(start, source, step, depth, strip.width, mask, (row, col))
            if self.kept:
                place = self._sums_of(panels.index, row, strip.width)
                self._add_sums(sums, place, b.eq(first, b.index(0)), skip)
            else:
                self._finish(sums, row, skip, col, mask)
            if self.kept and not self.turns:
                last = b.when(b.ge(first, b.index(p.K - self.depth)))
                self._finish_rows(place, strip.width, row, skip, col, mask)
                last.end((), ())
            tiles.end()
            panels.end()

    def _tile(
        self, a: Reg, source: Reg, step: int, depth: Reg, width: int, mask: Reg | None,
        place: tuple[Reg, Reg],
    ) -> list[list[Reg]]:  # fmt: skip
        """A tile's sums over `depth` k; `step` leads from a row of B to the next.

        `place` is the tile's first row and column in the result.
        """
        b, kind, lanes, rows = self.b, self.p.kind, self.lanes, self.rows.size
        am, ak = self.p.a[-2:]
        turns = 1
        if rows * width < 16 and isinstance(self.p.K, int) and self.p.K % 4 == 0:
            turns = 4 if rows * width < 8 else 2
        zeros = [b.const(kind, 0, lanes)] * (rows * width)
        walk = b.loop(0, depth, turns, a, source, *zeros)
        a, source, *sums = walk.values
        if self.packing == "none" and self._far(self.bk):
            for v in range(width):
                b.prefetch(source, kind, _AHEAD * step + v * lanes)
        if am == 1 and self._far(ak):
            b.prefetch(a, kind, _AHEAD * ak)
        self._fetch(walk.index, place, width)
        for turn in range(turns):
            right = [
                b.load(source, kind, turn * step + v * lanes, lanes,
                       mask if v == width - 1 else None)
                for v in range(width)
            ]  # fmt: skip
            for r in range(rows):
                left = b.splat(b.load(a, kind, turn * ak + r * am), lanes)
                for v in range(width):
                    sums[r * width + v] = b.fma(left, right[v], sums[r * width + v])
        following = b.at(a, kind, turns * ak), b.at(source, kind, turns * step)
        sums = walk.end(*following, *sums)[2:]
        return [sums[r * width : (r + 1) * width] for r in range(rows)]

    def _fetch(self, k: Reg, place: tuple[Reg, Reg], width: int) -> None:
        """Ask for a line of the cache of what is read when the tile is done.

        All at once they would keep what the tile itself waits for from coming.
        """
        b, follows, (row, col) = self.b, self.epilogue, place
        if self.kept or isinstance(self.p.K, Extent) or not isinstance(follows, epilogue.Epilogue):
            return
        if self.epilogue_lines > _SHORT or not follows.beside:
            return
        vectors = (width - 1).bit_length()
        # each line so many times that the last one's turn comes; what is beyond the tile is next
        times = self.p.K >> (vectors + (self.rows.size - 1).bit_length())
        line = b.shr(k, b.index(max(times, 1).bit_length() - 1))
        down, right = b.shr(line, b.index(vectors)), b.both(line, b.index((1 << vectors) - 1))
        at = b.add(row, down), b.affine(0, (col, 1), (right, self.lanes))
        follows.fetch(b, (*self.batch, *at))

    def _pack(self, source: Reg, strip: _Strip, col: Reg, depth: Reg, mask: Reg | None) -> None:
        """The panel's rows of B into scratch."""
        b, p, width = self.b, self.p, strip.width * self.lanes
        if self.packing == "rows":
            pack_rows(b, p.kind, self.lanes, source, self.bk, strip.width, mask, depth, self.panel)
            return
        columns = b.sub(b.index(p.N), col) if mask else None
        if self.packing == "columns":
            least = fewest(p.K) - (self.blocks - 1) * self.depth
            pack_columns(
                b, p.kind, self.lanes, source, self.bn, columns, strip.width, depth, least,
                self.panel,
            )  # fmt: skip
        else:
            pack_any(b, p.kind, source, (self.bk, self.bn), columns, width, depth, self.panel)

    # sums over several blocks of k

    def _first_row(self) -> Reg:
        """The first row of the chunk's first tile."""
        return self._tile_rows(self.row_range[0])[0]

    def _sums_of(self, panel: Reg, row: Reg, width: int) -> Reg:
        """Where the sums of a row are, of a panel so many vectors wide."""
        b = self.b
        across = b.sub(panel, self.column_range[0]), self.split.most_tiles * self.tile
        down = b.sub(row, self._first_row()), width * self.lanes
        return b.at(self.sums, self.p.kind, b.affine(0, across, down))

    def _add_sums(self, values: list[list[Reg]], place: Reg, first: Reg, skip: Reg) -> None:
        """Add a block's sums; the first block's are those of nothing before."""
        b, zero = self.b, self.b.const(self.p.kind, 0, self.lanes)
        width = len(values[0])
        for k, value in enumerate(itertools.chain(*values)):
            if self.blocks > 1:
                before = b.load(place, value.kind, k * self.lanes, value.lanes)
                added = b.add(b.select(first, zero, before), value)
                # the tile before has added this already
                again = skip.name != "0" and (self.tall or k < width)
                value = b.select(b.gt(skip, b.index(k // width)), before, added) if again else added
            b.store(value, place, k * self.lanes)

    def _turn(self) -> None:
        """What becomes of the chunk's sums where they are turned."""
        raise NotImplementedError

    # what becomes of sums

    def _finish(
        self, sums: list[list[Reg]], row: Reg, skip: Reg, col: Reg, mask: Reg | None
    ) -> None:
        """Hand a tile to the epilogue: written out where that is short, else through scratch."""
        b, width = self.b, len(sums[0])
        plain = skip.name == "0"
        if (plain or b.masks) and len(sums) * width * self.epilogue_lines <= _MOST_LINES:
            for r, line in enumerate(sums):
                kept = None
                if not plain and (self.tall or r == 0):
                    kept = b.splat(b.le(skip, b.index(r)), self.lanes)
                self.finish_row(line, b.add(row, b.index(r)), col, mask, kept)
            return
        for k, value in enumerate(itertools.chain(*sums)):
            b.store(value, self._scratch, k * self.lanes)
        self._finish_rows(self._scratch, width, row, skip, col, mask)

    def _finish_rows(
        self, place: Reg, width: int, row: Reg, skip: Reg, col: Reg, mask: Reg | None
    ) -> None:
        """Hand a tile in scratch to the epilogue."""
        b, kind, lanes = self.b, self.p.kind, self.lanes
        walk = b.loop(skip, self.rows.size)
        start = b.at(place, kind, b.mul(walk.index, b.index(width * lanes)))
        line = [b.load(start, kind, v * lanes, lanes) for v in range(width)]
        self.finish_row(line, b.add(row, walk.index), col, mask)
        walk.end()

    @functools.cached_property
    def _scratch(self) -> Reg:
        """Room for one tile."""
        return self.b.alloca(self.p.kind, self.tile)
