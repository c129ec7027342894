"""Nest: what the loop nests of matrix products share.

Room: codegen. A nest goes from chunks in to batches; what a batch is, its kinds say.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from bital.base.extent import hints
from bital.codegen.cuts import Epilogue
from bital.codegen.lanes import picked
from bital.codegen.scalar import BYTES, Builder, Loop, Reg
from bital.codegen.split import Homes
from bital.codegen.target import Target


class Product(NamedTuple):
    """A matrix product; strides in elements."""

    batch: tuple[int, ...]  # sizes of the batch axes
    M: int
    N: int
    K: int
    kind: str  # "f32" or "f64"
    a: tuple[int, ...]  # strides of A: batch axes (0 where broadcast), m, k
    b: tuple[int, ...]  # strides of B: batch axes, k, n
    #: whether A and B were written by ranges of their inner axis, not the outermost one
    across: tuple[bool, bool] = (False, False)
    #: how many arrays of the result's shape are read that were written by rows, and by columns
    results: tuple[int, int] = (0, 0)
    #: as many pairs of A and B, which are arguments by turns; their products are added up
    terms: int = 1

    @property
    def depth(self) -> int:
        """How many products of two numbers an element is the sum of."""
        return self.K * self.terms


def _narrowed(b: Builder, value: Reg, mask: Reg) -> tuple[Reg, Reg | None]:
    """A vector and its mask; where a constant mask has a power of two of lanes, these alone.

    Processors take a masked store to write all lanes: where a matrix is updated in place, reading
    the next row would wait for it.
    """
    few = mask.name.count("i1 true")
    if mask.name[0] == "%" or few & (few - 1):
        return value, mask
    return picked(b, value, range(few)), None


class Nest:
    """Writes the loops of one product."""

    #: the arguments that are the left and the right factor
    factors = (0, 1)
    #: into how many parts batches, rows and columns are cut
    parts: tuple[int, int, int]
    #: cycles of all batches, and those for what comes from other cores
    cost = 0.0
    far = 0.0

    def __init__(self, b: Builder, p: Product, target: Target, epilogue: Epilogue) -> None:
        self.b, self.p, self.target, self.epilogue = b, p, target, epilogue
        self.lanes = target.lanes(BYTES[p.kind])
        self.batches = math.prod(p.batch)

    @property
    def homes(self) -> Homes:
        """Which ranges of the arrays each core has written."""
        p = self.p
        (am, ak), (bk, bn) = hints(p.a[-2:]), hints(p.b[-2:])
        a, b = (abs(am) > abs(ak)) != p.across[0], (abs(bn) > abs(bk)) != p.across[1]
        return Homes(a, b, *p.results)

    @property
    def by_columns(self) -> bool:
        """Whether threads have ranges of the result's columns."""
        return self.parts[0] == self.parts[1] == 1 < self.parts[2]

    @property
    def chunks(self) -> int:
        """How many chunks."""
        return math.prod(self.parts)

    def one_for_each_batch(self) -> None:
        """Have as many chunks as batches."""
        self.parts = self.batches, 1, 1

    def write(self) -> None:
        """The whole body."""
        raise NotImplementedError

    def open(self, rows: int | Reg, columns: int) -> Loop:
        """Begin the loop over the chunk's batches.

        Sets the chunk's ranges of `rows` and `columns` pieces, and where A and B of a batch begin.
        """
        b, p = self.b, self.p
        batch_parts, row_parts, column_parts = self.parts
        rest, part = self._divided(Reg("%chunk", "i64"), column_parts)
        self.column_range = self._bounds(part, column_parts, columns)
        rest, part = self._divided(rest, row_parts)
        self.row_range = self._bounds(part, row_parts, rows)
        begin, end = self._bounds(rest, batch_parts, self.batches)
        loop = b.loop(begin, end)
        self.batch = self._batch_indices(loop.index)
        self.starts = [b.affine(0, *zip(self.batch, steps)) for steps in (p.a[:-2], p.b[:-2])]
        self.left, self.right = (self.factor(side, b.index(0)) for side in (0, 1))
        return loop

    def factor(self, side: int, term: Reg) -> Reg:
        """Where the left (0) or the right factor (1) of a term begins, in the open batch."""
        b, k = self.b, self.factors[side]
        if self.p.terms == 1:
            whole = b.argument(k)
        else:
            whole = b.load(Reg("%args", "ptr"), "ptr", b.affine(k, (term, 2)))
        return b.at(whole, self.p.kind, self.starts[side])

    def _divided(self, number: Reg, by: int) -> tuple[Reg, Reg]:
        """Quotient and remainder by a constant."""
        if by == 1:
            return number, self.b.index(0)
        b = self.b
        quotient = b.div(number, b.index(by))
        return quotient, b.sub(number, b.mul(quotient, b.index(by)))

    def _bounds(self, part: Reg, parts: int, total: int | Reg) -> tuple[Reg, Reg]:
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

    def finish_row(
        self, line: list[Reg], row: Reg, col: Reg, mask: Reg | None, kept: Reg | None = None
    ) -> None:
        """Hand vectors of a row to the epilogue; `kept`: whether at all."""
        b = self.b
        for v, value in enumerate(line):
            there = kept
            if mask and v == len(line) - 1:
                if kept:
                    there = b.both(kept, mask)
                else:
                    value, there = _narrowed(b, value, mask)
            at = b.add(col, b.index(v * self.lanes))
            self.epilogue(b, value, (*self.batch, row, at), there)

    @functools.cached_property
    def epilogue_lines(self) -> int:
        """How many lines the epilogue writes for a vector."""
        trial = Builder(self.b.masks, self.b.fused)
        index = Reg("%index", "i64")
        value = Reg("%value", self.p.kind, self.lanes)
        self.epilogue(trial, value, (index,) * (len(self.p.batch) + 2), None)
        return len(trial.written())
