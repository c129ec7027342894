"""Pooling as kernels: the largest and the mean of windows of planes, and their gradients.

Room: codegen. A vector holds windows that follow each other along a row; their taps are read one
after the other. A gradient is made in scratch, a plane or a band of it, and handed over in rows:
windows apart from each other write their shares side by side, others add them one by one.
"""

from __future__ import annotations

import functools
from math import prod

from bital.base.extent import hint
from bital.codegen.cuts import Cuts, Epilogue, hand_line
from bital.codegen.lanes import deal, inside, shuffle
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.target import Target
from bital.plan.spatial import Mean, Pool

#: elements of planes for a chunk
_CHUNK_ELEMENTS = 1 << 14


class _Writer:
    """What the kernels share: chunks of planes and bands of window rows, and reading taps."""

    def __init__(self, p: Pool, target: Target, band: int) -> None:
        self.p, self.b = p, Builder(target.masks, target.fused)
        full = target.lanes(BYTES[p.kind])
        self.lanes = max(2, min(full, 1 << (p.out[1] - 1).bit_length()))
        self.wide = min(full, 1 << (p.size[1] - 1).bit_length())
        planes = max(1, _CHUNK_ELEMENTS // max(band * p.stride[0] * p.size[1], 1))
        total = prod(p.lead)
        self.band = band
        sizes = (min(planes, hint(total)) if band == p.out[0] else 1, band)
        self.cuts = Cuts(self.b, (total, p.out[0]), sizes)

    def lead(self, plane: Reg) -> tuple[Reg, ...]:
        """The indices of a plane's number along the leading axes."""
        b, found = self.b, []
        for size in reversed(self.p.lead[1:]):
            found.append(b.rem(plane, b.index(size)))
            plane = b.div(plane, b.index(size))
        return (plane, *reversed(found))

    def taps(self, source: Reg, top: Reg, left: Reg) -> list[tuple[Reg, Reg | None]]:
        """Per tap the elements that the windows from column `left` on have, and which have one.

        Elements outside the plane are 0. None where all windows have one, but those beyond the row.
        """
        b, p, lanes = self.b, self.p, self.lanes
        width, step = p.size[1], p.stride[1]
        rows: dict[int, tuple[Reg, Reg]] = {}
        pairs: dict[tuple[int, int], tuple[Reg, Reg]] = {}
        for row in sorted({row for row, _ in p.taps}):
            line = b.affine(row, (top, 1))
            begin = left
            if not p.whole(0):
                outside = b.either(b.lt(line, b.index(0)), b.ge(line, b.index(p.size[0])))
                begin = b.select(outside, b.index(-(1 << 30)), left)
            rows[row] = (b.affine(0, (line, width), (left, 1)), begin)

        def there(begin: Reg, step: int) -> Reg:
            return inside(b, begin, step, width, lanes)

        def part(row: int, col: int) -> Reg:
            place, begin = rows[row]
            mask = there(b.affine(col, (begin, 1)), 1)
            return b.load(source, p.kind, b.affine(col, (place, 1)), lanes, mask)

        def read(row: int, col: int) -> Reg:
            if step == 1:
                return part(row, col)
            if step > 2:
                place, begin = rows[row]
                steps = b.mul(b.iota("i64", lanes), b.const("i64", step, lanes))
                offsets = b.add(steps, b.splat(b.affine(col, (place, 1)), lanes))
                return b.gather(source, p.kind, offsets, there(b.affine(col, (begin, 1)), step))
            even = col - col % 2
            if (row, even) not in pairs:
                pairs[row, even] = part(row, even), part(row, even + lanes)
            return shuffle(b, *pairs[row, even], range(col % 2, 2 * lanes, 2))

        whole = p.whole(0) and p.whole(1)
        return [
            (
                read(row, col),
                None if whole else there(b.affine(col, (rows[row][1], 1)), step),
            )
            for row, col in p.taps
        ]

    def places(self, plane: Reg) -> tuple[Reg, Reg]:
        """Where a plane's elements and its windows begin."""
        p = self.p
        return self.b.affine(0, (plane, prod(p.size))), self.b.affine(0, (plane, prod(p.out)))


def _band(p: Pool) -> int:
    """How many rows of windows are taken at once."""
    return max(1, min(p.out[0], _CHUNK_ELEMENTS // max(p.stride[0] * p.size[1], 1)))


class _Forward(_Writer):
    """The largest element, or the mean, of every window."""

    def __init__(self, p: Pool, target: Target, mean: Mean | None) -> None:
        super().__init__(p, target, _band(p))
        self.mean = mean

    def write(self, epilogue: Epilogue) -> tuple[Builder, int]:
        b, p = self.b, self.p
        source = b.argument(0)
        plane = b.loop(self.cuts.begins[0], self.cuts.ends[0])
        pointer = b.at(source, p.kind, self.places(plane.index)[0])
        lead = self.lead(plane.index)
        line = b.loop(self.cuts.begins[1], self.cuts.ends[1])
        top = b.affine(-p.padding[0], (line.index, p.stride[0]))

        def read(column: Reg, lanes: int) -> Reg:
            left = b.affine(-p.padding[1], (column, p.stride[1]))
            value = self.of_windows(self.taps(pointer, top, left), line.index, column)
            return value if lanes == self.lanes else b.lane(value, 0)

        hand_line(b, epilogue, read, (*lead, line.index), 0, p.out[1], self.lanes)
        line.end()
        plane.end()
        return b, self.cuts.chunks

    def of_windows(self, taps: list[tuple[Reg, Reg | None]], line: Reg, column: Reg) -> Reg:
        """What windows give for their elements."""
        b, kind, lanes = self.b, self.p.kind, self.lanes
        total: Reg | None = None
        for value, there in taps:
            if self.mean is None and there is not None:
                value = b.select(there, value, b.const(kind, float("-inf"), lanes))
            if total is None:
                total = value
            else:
                total = b.maximum(total, value) if self.mean is None else b.add(total, value)
        assert total is not None
        return total if self.mean is None else b.div(total, counts(b, self.p, self.mean, line,
                                                                   column, lanes))  # fmt: skip


def counts(b: Builder, p: Pool, mean: Mean, line: Reg, column: Reg, lanes: int) -> Reg:
    """How many elements count in the windows of a row from a column on."""
    if mean.divisor is not None:
        return b.const(p.kind, mean.divisor, lanes)
    if mean.with_padding and not any(_reaches_beyond(p, axis) for axis in (0, 1)):
        return b.const(p.kind, prod(p.kernel), lanes)
    if p.whole(0) and p.whole(1):
        return b.const(p.kind, prod(p.kernel), lanes)

    def length(number: Reg, axis: int) -> Reg:
        more = p.padding[axis] if mean.with_padding else 0
        start = b.sub(
            b.mul(number, b.const("i64", p.stride[axis], number.lanes)),
            b.const("i64", p.padding[axis], number.lanes),
        )
        end = b.minimum(
            b.add(start, b.const("i64", p.kernel[axis], number.lanes)),
            b.const("i64", p.size[axis] + more, number.lanes),
        )
        return b.sub(end, b.maximum(start, b.const("i64", -more, number.lanes)))

    columns = b.add(b.iota("i64", lanes), b.splat(column, lanes))
    return b.cast(b.mul(b.splat(length(line, 0), lanes), length(columns, 1)), p.kind)


def _reaches_beyond(p: Pool, axis: int) -> bool:
    """Whether a window has places beyond the padding, as the last may in ceil mode."""
    end = (p.out[axis] - 1) * p.stride[axis] - p.padding[axis] + p.kernel[axis]
    return end > p.size[axis] + p.padding[axis]


class _Backward(_Writer):
    """The gradient of the largest element (arguments g, x, peak) or of the mean (g)."""

    def __init__(self, p: Pool, target: Target, mean: Mean | None) -> None:
        super().__init__(p, target, _band(p) if p.side_by_side else p.out[0])
        self.mean = mean
        b = self.b
        # the last band has the rows too that no window meets
        rows = p.size[0] - (p.out[0] - self.band) * p.stride[0] if p.side_by_side else p.size[0]
        self.plane = b.alloca(p.kind, rows * p.size[1] + 2 * self.lanes + self.wide)
        self.shares = b.alloca(p.kind, self.lanes)
        self.numbers = b.alloca("i64", self.lanes)

    def write(self, epilogue: Epilogue) -> tuple[Builder, int]:
        b, p = self.b, self.p
        arguments = [b.argument(k) for k in range(1 if self.mean is not None else 3)]
        first, last = self.cuts.begins[1], self.cuts.ends[1]
        top = b.affine(0, (first, p.stride[0])) if p.side_by_side else b.index(0)
        # the last band has the rows too that no window meets
        end = b.select(
            b.eq(last, b.index(p.out[0])), b.index(p.size[0]), b.affine(0, (last, p.stride[0]))
        )
        plane = b.loop(self.cuts.begins[0], self.cuts.ends[0])
        whole, windows = self.places(plane.index)
        pointers = [b.at(a, p.kind, whole if k == 1 else windows) for k, a in enumerate(arguments)]
        if not p.side_by_side or prod(p.out) * prod(p.kernel) < prod(p.size):
            clear = b.loop(0, b.mul(b.sub(end, top), b.index(p.size[1])), self.lanes)
            b.store(b.const(p.kind, 0, self.lanes), self.plane, clear.index)
            clear.end()
        line = b.loop(first, last)
        if p.out[1] > self.lanes:
            column = b.loop(0, p.out[1], self.lanes)
            self.spread(pointers, top, line.index, column.index)
            column.end()
        else:
            self.spread(pointers, top, line.index, b.index(0))
        line.end()
        out = b.loop(top, end)
        at = b.affine(0, (b.sub(out.index, top), p.size[1]))
        hand_line(
            b, epilogue, lambda k, n: b.load(self.plane, p.kind, b.add(at, k), n),
            (*self.lead(plane.index), out.index), 0, p.size[1], self.wide,
        )  # fmt: skip
        out.end()
        plane.end()
        return b, self.cuts.chunks

    def spread(self, pointers: list[Reg], top: Reg, line: Reg, column: Reg) -> None:
        """Give the windows from `column` on of a row their shares."""
        b, p, lanes = self.b, self.p, self.lanes
        row = b.affine(-p.padding[0], (line, p.stride[0]))
        left = b.affine(-p.padding[1], (column, p.stride[1]))
        at = b.affine(0, (line, p.out[1]), (column, 1))
        count = b.affine(p.out[1], (column, -1))
        there = b.mask_below(count, lanes)
        share = b.load(pointers[0], p.kind, at, lanes, there)
        place = b.affine(0, (b.sub(row, top), p.size[1]), (left, 1))
        if self.mean is not None:
            share = b.div(share, counts(b, p, self.mean, line, column, lanes))
            if p.side_by_side:
                self.deal([share] * len(p.taps), place, count)
            else:
                self.add_to_all(share, row, left, there)
            return
        peak = b.load(pointers[2], p.kind, at, lanes, there)
        winners = self.winners(self.taps(pointers[1], row, left), peak)
        zero = b.const(p.kind, 0, lanes)
        if p.side_by_side:
            self.deal([b.select(here, share, zero) for here in winners], place, count)
            return
        place_of = [b.const("i32", down * p.size[1] + across, lanes) for down, across in p.taps]
        winner = b.const("i32", 0, lanes)
        for here, number in zip(winners, place_of):
            winner = b.select(here, number, winner)
        none = b.invert(functools.reduce(b.either, winners))
        self.add_to_one(b.select(none, zero, share), winner, place, count)

    def winners(self, taps: list[tuple[Reg, Reg | None]], peak: Reg) -> list[Reg]:
        """Per tap the windows whose largest it has: the first that equals it, or the last NaN."""
        b = self.b

        def firsts(found: list[Reg]) -> list[Reg]:
            """What holds for a tap and for none before it."""
            before, firsts = found[0], found[:1]
            for here in found[1:]:
                firsts.append(b.both(here, b.invert(before)))
                before = b.either(before, here)
            return firsts

        equal: list[Reg] = []
        nan: list[Reg] = []
        for value, there in taps:
            for found, here in ((equal, b.eq(value, peak)), (nan, b.isnan(value))):
                found.append(here if there is None else b.both(here, there))
        lasts = reversed(firsts(nan[::-1]))
        return [b.either(first, last) for first, last in zip(firsts(equal), lasts)]

    def deal(self, shares: list[Reg], place: Reg, count: Reg) -> None:
        """Write the shares of `count` windows that lie side by side, of which every tap has one."""
        b, p, lanes, wide = self.b, self.p, self.lanes, self.p.kernel[1]
        # what is written beyond a row is written over, where rows come one after the other
        one_by_one = p.out[1] <= lanes and prod(p.out) * prod(p.kernel) == prod(p.size)
        for row in range(p.kernel[0]):
            dealt = shares[row * wide : (row + 1) * wide]
            if wide == 2:
                dealt = deal(b, dealt)
            for k, value in enumerate(dealt):
                at = b.affine(row * p.size[1] + k * lanes, (place, 1))
                left = b.affine(-k * lanes, (count, wide))
                b.store(value, self.plane, at, None if one_by_one else b.mask_below(left, lanes))

    def add_to_one(self, share: Reg, winner: Reg, place: Reg, count: Reg) -> None:
        """Add each window's share to one element, `winner` from the window's first on."""
        b, p = self.b, self.p
        b.store(share, self.shares)
        # not as they are: a narrow number that is read, and widened, right after two were stored
        # has the other in its upper half (LLVM 22)
        b.store(b.cast(winner, "i64"), self.numbers)
        window = b.loop(0, b.minimum(count, b.index(self.lanes)))
        number = b.load(self.numbers, "i64", window.index)
        at = b.affine(0, (place, 1), (window.index, p.stride[1]), (number, 1))
        value = b.add(b.load(self.plane, p.kind, at), b.load(self.shares, p.kind, window.index))
        b.store(value, self.plane, at)
        window.end()

    def add_to_all(self, share: Reg, row: Reg, left: Reg, there: Reg) -> None:
        """Add each window's share to all its elements; those of one tap are apart."""
        b, p, lanes, step = self.b, self.p, self.lanes, self.p.stride[1]
        for down, across in p.taps:
            line, begin = b.affine(down, (row, 1)), b.affine(across, (left, 1))
            mask = b.both(there, inside(b, begin, step, p.size[1], lanes))
            within = b.both(b.ge(line, b.index(0)), b.lt(line, b.index(p.size[0])))
            mask = b.both(mask, b.splat(within, lanes))
            at = b.affine(0, (line, p.size[1]), (begin, 1))
            if step == 1:
                value = b.add(b.load(self.plane, p.kind, at, lanes, mask), share)
                b.store(value, self.plane, at, mask)
                continue
            steps = b.mul(b.iota("i64", lanes), b.const("i64", step, lanes))
            offsets = b.add(steps, b.splat(at, lanes))
            value = b.add(b.gather(self.plane, p.kind, offsets, mask), share)
            b.scatter(value, self.plane, offsets, mask)


def max_forward(p: Pool, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """x (*lead, *size) -> the largest of every window, NaN where one is (*lead, *out)."""
    return _Forward(p, target, None).write(epilogue)


def mean_forward(p: Pool, mean: Mean, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """x (*lead, *size) -> the mean of every window (*lead, *out)."""
    return _Forward(p, target, mean).write(epilogue)


def max_backward(p: Pool, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """g (*lead, *out), x (*lead, *size), peak (*lead, *out) -> (*lead, *size).

    Every number of g goes to its window's largest element.
    """
    return _Backward(p, target, None).write(epilogue)


def mean_backward(p: Pool, mean: Mean, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """g (*lead, *out) -> (*lead, *size): every element gets its windows' g by their counts."""
    return _Backward(p, target, mean).write(epilogue)
