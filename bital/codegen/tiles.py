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
        self.kept = self.turns or p.depth > DEPTH
        self.bk, self.bn = p.b[-2:]
        self.packing = _packing(p, self.lanes)
        self.split = split(
            Shape(
                hint(self.batches), most(p.M) if self.kept else hint(p.M), -(-p.N // self.lanes),
                hint(p.depth), self.lanes, BYTES[p.kind],
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
        depth = self.depth = most(p.depth) if self.kept else min(most(p.depth), DEPTH)
        self.blocks = 1
        if p.depth > DEPTH:
            # whole terms, or vectors of k, in each block, so that transposing meets no rest but the
            # last; half as long as could be, as a panel then stays in the nearest cache
            unit = 16 if p.terms == 1 else p.K
            self.depth = unit * math.ceil(depth / math.ceil(2 * depth / DEPTH) / unit)
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

    def one_for_each_batch(self) -> None:
        """Have as many chunks as batches."""
        super().one_for_each_batch()
        batches, rows, panels = self.parts
        self.split = self.split._replace(batch_parts=batches, row_parts=rows, panel_parts=panels)

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
            self._block(b.index(0), b.index(p.terms if p.terms > 1 else p.K))
        else:
            whole, part = (p.K, self.depth) if p.terms == 1 else (p.terms, self.depth // p.K)
            walk = b.loop(0, whole, part)
            self._block(walk.index, b.minimum(b.index(part), b.sub(b.index(whole), walk.index)))
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

    @property
    def _fetches(self) -> tuple[bool, bool]:
        """Whether A, and B, is read by steps too far apart for it to be fetched by itself."""
        am, ak = self.p.a[-2:]
        size, depth = BYTES[self.p.kind], hint(self.p.depth)
        a, b = (step * size >= 256 and depth * step * size > 64 * 1024 for step in (ak, self.bk))
        return am == 1 and a, self.packing == "none" and b

    def _block(self, first: Reg, count: Reg) -> None:
        """All tiles of the chunk over `count` k from `first` on, or so many terms."""
        b, p = self.b, self.p
        end = p.K - self.depth if p.terms == 1 else p.terms - self.depth // p.K
        for strip in self.strips:
            panels, col, mask = self._panels(strip)
            if self.packing != "none":
                terms, term, k, depth = self._terms(first, count)
                self._pack(term, k, strip, col, depth, mask, self._panel(terms.index, strip.width))
                terms.end()
            tiles = b.loop(*self.row_range)
            row, skip = self._tile_rows(tiles.index)
            sums = self._tile(row, col, first, count, strip.width, mask)
            if self.kept:
                place = self._sums_of(panels.index, row, strip.width)
                self._add_sums(sums, place, b.eq(first, b.index(0)), skip)
            else:
                self._finish(sums, row, skip, col, mask)
            if self.kept and not self.turns:
                last = b.when(b.ge(first, b.index(end)))
                self._finish_rows(place, strip.width, row, skip, col, mask)
                last.end((), ())
            tiles.end()
            panels.end()

    def _terms(self, first: Reg, count: Reg, *carried: Reg) -> tuple[Loop, Reg, Reg, Reg]:
        """A loop over a block's terms; of each its number, the first k, and how many k."""
        b, p = self.b, self.p
        if p.terms == 1:
            return b.loop(0, 1, 1, *carried), b.index(0), first, count
        loop = b.loop(0, count, 1, *carried)
        return loop, b.add(first, loop.index), b.index(0), b.index(p.K)

    def _left(self, term: Reg, row: Reg, k: Reg) -> Reg:
        """Where A of a term is."""
        b = self.b
        place = b.affine(0, *zip((row, k), self.p.a[-2:]))
        return b.at(self.factor(0, term), self.p.kind, place)

    def _right(self, term: Reg, k: Reg, col: Reg) -> Reg:
        """Where B of a term is."""
        b = self.b
        place = b.affine(0, (k, self.bk), (col, self.bn))
        return b.at(self.factor(1, term), self.p.kind, place)

    def _panel(self, index: Reg, width: int) -> Reg:
        """Where the panel of a block's term is packed."""
        b, p = self.b, self.p
        size = 0 if p.terms == 1 else p.K * width * self.lanes
        return b.at(self.panel, p.kind, b.affine(0, (index, size)))

    def _tile(
        self, row: Reg, col: Reg, first: Reg, count: Reg, width: int, mask: Reg | None
    ) -> list[list[Reg]]:
        """A tile's sums over a block."""
        b, p = self.b, self.p
        zeros = [b.const(p.kind, 0, self.lanes)] * (self.rows.size * width)
        terms, term, k, depth = self._terms(first, count, *zeros)
        start = self._left(term, row, k), self._right(term, k, col)
        ahead: list[Reg] = []
        if p.terms > 1 and p.K >= 2 * _AHEAD and any(self._fetches):
            # where the next term would be if it came _AHEAD k after this one's end
            following = b.minimum(b.add(term, b.index(1)), b.index(p.terms - 1))
            k = b.index(_AHEAD - p.K)
            ahead = [self._left(following, row, k), self._right(following, k, col)]
        panel = None if self.packing == "none" else self._panel(terms.index, width)
        sums = self._add_products(terms.values, start, panel, ahead, depth, width, mask, (row, col))
        sums = terms.end(*sums)
        return [sums[r * width : (r + 1) * width] for r in range(self.rows.size)]

    def _add_products(
        self, sums: list[Reg], start: tuple[Reg, Reg], panel: Reg | None, ahead: list[Reg],
        depth: Reg, width: int, mask: Reg | None, place: tuple[Reg, Reg],
    ) -> list[Reg]:  # fmt: skip
        """A tile's sums with `depth` k added, from `start` in A and B on.

        B may be packed in a panel; for the last k what is fetched ahead lies elsewhere.
        `place` is the tile's first row and column in the result.
        """
        b, kind, lanes, rows = self.b, self.p.kind, self.lanes, self.rows.size
        am, ak = self.p.a[-2:]
        a, source = start[0], panel or start[1]
        step = self.bk if panel is None else width * lanes
        turns = 1
        if rows * width < 16 and isinstance(self.p.K, int) and self.p.K % 4 == 0:
            turns = 4 if rows * width < 8 else 2
        walk = b.loop(0, depth, turns, a, source, *ahead, *sums)
        a, source, *sums = walk.values
        ahead, sums = sums[: len(ahead)], sums[len(ahead) :]
        then = b.at(a, kind, _AHEAD * ak), b.at(source, kind, _AHEAD * step)
        if ahead:
            within = b.lt(walk.index, b.sub(depth, b.index(_AHEAD)))
            then = b.select(within, then[0], ahead[0]), b.select(within, then[1], ahead[1])
        fetches_a, fetches_b = self._fetches
        for v in range(width if fetches_b else 0):
            b.prefetch(then[1], kind, v * lanes)
        if fetches_a:
            b.prefetch(then[0], kind, 0)
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
                    sums[r * width + v] = b.muladd(left, right[v], sums[r * width + v])
        steps = turns * ak, turns * step
        following = [b.at(place, kind, steps[k % 2]) for k, place in enumerate((a, source, *ahead))]
        return walk.end(*following, *sums)[len(following) :]

    def _fetch(self, k: Reg, place: tuple[Reg, Reg], width: int) -> None:
        """Ask for a line of the cache of what is read or written when the tile is done.

        All at once they would keep what the tile itself waits for from coming.
        """
        b, follows, (row, col) = self.b, self.epilogue, place
        if self.kept or self.p.terms > 1 or isinstance(self.p.K, Extent):
            return
        if not isinstance(follows, epilogue.Epilogue):
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

    def _pack(
        self, term: Reg, k: Reg, strip: _Strip, col: Reg, depth: Reg, mask: Reg | None, panel: Reg
    ) -> None:
        """The panel's rows of a term's B into scratch."""
        b, p, width = self.b, self.p, strip.width * self.lanes
        source = self._right(term, k, col)
        if self.packing == "rows":
            pack_rows(b, p.kind, self.lanes, source, self.bk, strip.width, mask, depth, panel)
            return
        columns = b.sub(b.index(p.N), col) if mask else None
        if self.packing == "columns":
            least = fewest(p.K) - (self.blocks - 1) * self.depth if p.terms == 1 else p.K
            pack_columns(
                b, p.kind, self.lanes, source, self.bn, columns, strip.width, depth, least, panel
            )
        else:
            pack_any(b, p.kind, source, (self.bk, self.bn), columns, width, depth, panel)

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
