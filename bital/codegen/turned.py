"""Turned: matrix products by tiles of the transposed result.

Room: codegen. The factors are exchanged, so that vectors lie along m; the sums are turned in
scratch before the epilogue sees them.
"""

from __future__ import annotations

import functools
import math

from bital.codegen.cuts import Epilogue
from bital.codegen.lanes import deal
from bital.codegen.nest import Product
from bital.codegen.pack import pack_columns
from bital.codegen.scalar import Builder, Reg
from bital.codegen.split import part_starts
from bital.codegen.target import Target
from bital.codegen.tiles import Tiles


class _Exchanged(Tiles):
    """The loops of one product, its factors exchanged: rows are n and columns m."""

    factors = (1, 0)

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        (*batch_a, am, ak), (*batch_b, bk, bn) = p.a, p.b
        turned = Product(
            p.batch, p.N, p.M, p.K, p.kind, (*batch_b, bn, bk), (*batch_a, ak, am),
            p.across[::-1], p.results[::-1],
        )  # fmt: skip
        super().__init__(b, turned, target, epilogue)

    @property
    def by_columns(self) -> bool:
        return self.parts[0] == 1 < self.parts[1]


class Turned(_Exchanged):
    """Few columns: a tile has them all, and each is turned."""

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        super().__init__(b, p, target, epilogue)
        # columns of a row as the epilogue sees it
        self.few = 2 ** math.ceil(math.log2(p.N))
        shuffles = self.few * math.log2(self.few) / self.lanes
        self.cost += self.batches * p.M * (4 + shuffles)

    @staticmethod
    def suits(p: Product, lanes: int) -> bool:
        """Whether it may be best: few columns, and A contiguous along m."""
        return p.a[-2] == 1 and lanes <= p.M and lanes >= p.N <= 8

    @property
    def whole(self) -> bool:
        """Whether a tile has all rows, as it must."""
        return self.rows.many == 1

    def _finish(
        self, sums: list[list[Reg]], row: Reg, skip: Reg, col: Reg, mask: Reg | None
    ) -> None:
        for r, line in enumerate(sums):
            for v, value in enumerate(line):
                self.b.store(value, self._scratch, (r * len(line) + v) * self.lanes)
        self._finish_rows(self._scratch, len(sums[0]), row, skip, col, mask)

    def _finish_rows(
        self, place: Reg, width: int, row: Reg, skip: Reg, col: Reg, mask: Reg | None
    ) -> None:
        """Turn each vector's columns, and hand them to the epilogue as rows."""
        b, kind, lanes, few = self.b, self.p.kind, self.lanes, self.few
        vectors = b.loop(0, width)
        at = b.mul(vectors.index, b.index(lanes))
        first = b.add(col, at)
        rows = [
            b.load(place, kind, b.add(at, b.index(r * width * lanes)), lanes)
            for r in range(self.p.M)
        ]
        rows += [b.const(kind, 0, lanes)] * (few - self.p.M)
        for k, part in enumerate(deal(b, rows)):
            b.store(part, self._turned, k * lanes)
        count = b.minimum(b.index(lanes), b.sub(b.index(self.p.N), first))
        lines = b.loop(0, count)
        value = b.load(self._turned, kind, b.mul(lines.index, b.index(few)), few)
        there = b.mask_below(self.p.M, few) if few > self.p.M else None
        self.finish_row([value], b.add(first, lines.index), b.index(0), there)
        lines.end()
        vectors.end()

    @functools.cached_property
    def _turned(self) -> Reg:
        """Room for one vector's columns."""
        return self.b.alloca(self.p.kind, self.lanes * self.few)


class Crossed(_Exchanged):
    """Few rows, columns contiguous along k: A is packed in place of B, which is larger."""

    turns = True

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        super().__init__(b, p, target, epilogue)
        vectors = math.ceil(p.N / self.lanes) * math.ceil(p.M / self.lanes) * self.lanes
        self.cost += self.batches * vectors * 4

    @staticmethod
    def suits(p: Product, lanes: int, target: Target) -> bool:
        """Whether it may be best."""
        return target.is_x86 and p.b[-2] == 1 and p.K > 1 and lanes // 2 < p.M < p.N

    def _turn(self) -> None:
        """Turn the chunk's sums, as many of its rows at a time as there are lanes."""
        b, p, lanes = self.b, self.p, self.lanes
        begin, end = (b.add(*self._tile_rows(bound)) for bound in self.row_range)
        bounds = [self.rows.start(k) for k in part_starts(self.rows.many, self.split.row_parts)]
        even = all(bound % lanes == 0 for bound in bounds)
        for strip in self.strips:
            panels, col, _ = self._panels(strip)
            width = strip.width * lanes
            groups = b.loop(begin, end, lanes)
            rest = b.sub(end, groups.index)
            pack_columns(
                b, p.kind, lanes, self._sums_of(panels.index, groups.index, strip.width), width,
                None if even else rest, 1, width, width, self._turned,
            )  # fmt: skip
            mask = None if even else b.mask_below(rest, lanes)
            lines = b.loop(0, b.minimum(b.index(width), b.sub(b.index(p.N), col)))
            value = b.load(self._turned, p.kind, b.mul(lines.index, b.index(lanes)), lanes)
            self.finish_row([value], b.add(col, lines.index), groups.index, mask)
            lines.end()
            groups.end()
            panels.end()

    @functools.cached_property
    def _turned(self) -> Reg:
        """Room for a vector of rows, of a panel."""
        return self.b.alloca(self.p.kind, self.lanes * self.widest)
