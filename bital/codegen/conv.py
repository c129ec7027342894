"""Convolutions as kernels: the product itself, its gradient along the input, and along the weight.

Room: codegen. All three read a *panel* (see panel.py): the source unfolded along the kernel's
columns, so that vectors run over flattened places of the result. Register tiles of channels x
vectors take their sums from it. The gradient along the input with stride s is s convolutions per
axis, one for each place modulo s, whose results are interleaved when they are handed over. All
operands are contiguous, and nothing is packed beforehand.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from bital.base.extent import hint
from bital.codegen.cuts import Cuts, Epilogue, hand_line, parts, tile, up
from bital.codegen.lanes import inside, shuffle
from bital.codegen.panel import Axis, Panel, Source, backward_axes, fill, forward_axis
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.split import DEPTH
from bital.codegen.target import Target
from bital.plan.spatial import Conv

Pair = tuple[int, int]
#: rows and columns
Axes = tuple[Axis, Axis]

#: bytes of scratch for the panel, and for the sums
_PANEL_BYTES, _SUMS_BYTES = 128 << 10, 96 << 10
#: multiply-adds that a chunk should have: some 10 to 20 µs
_CHUNK_WORK = 1_200_000
#: a weight that is read as seldom as can be
_HEAVY_BYTES = 512 << 10
#: so many chunks are enough for all cores
_CHUNKS = 16


class _Product(NamedTuple):
    """A sum over `depth` channels of a source, and taps, to `rows` channels of a result, in groups.

    `steps` are the elements of the weight from one group, row, channel, row tap and column tap to
    the next; every phase, two axes, gives some places of the result. Where there is `spread`, the
    places are those of the source along a row, each column tap has sums of its own, and `spread`
    says which of them an element of the result is the sum of.
    """

    kind: str
    images: int
    groups: int
    rows: int
    depth: int
    steps: tuple[int, int, int, int, int]
    source: Pair
    result: Pair
    phases: tuple[Axes, ...]
    spread: Axis | None = None

    @property
    def each(self) -> int:
        """How many rows of sums a channel of the result has."""
        return self.spread.taps if self.spread is not None else 1

    @property
    def step(self) -> Pair:
        """How far the places of a phase lie apart in the result, along both axes."""
        return self.phases[0][0].step, self.phases[0][1].step

    @property
    def places(self) -> Pair:
        """How many places a phase has, at most, along both axes."""
        return self.phases[0][0].places, self.phases[0][1].places

    @property
    def work(self) -> int:
        """Multiply-adds for one image and group."""
        met = sum(r.places * r.taps * c.places * c.taps for r, c in self.phases)
        return self.rows * self.depth * met * self.each


def forward_axes(c: Conv) -> Axes:
    """From the result to the input."""
    each = zip(c.out, c.kernel, c.stride, c.padding, c.dilation)
    rows, cols = [forward_axis(*numbers) for numbers in each]
    return rows, cols


def forward(c: Conv, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """x (n, c, *size), weight (o, c / groups, *kernel) -> (n, o, *out)."""
    rows, depth = c.o // c.groups, c.c // c.groups
    row = depth * c.taps
    steps = (rows * row, row, c.taps, c.kernel[1], 1)
    phases = (forward_axes(c),)
    product = _Product(c.kind, c.n, c.groups, rows, depth, steps, c.size, c.out, phases)
    return _write(product, target, epilogue)


def backward_input(c: Conv, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """g (n, o, *out), weight (o, c / groups, *kernel) -> (n, c, *size)."""
    rows, depth = c.c // c.groups, c.o // c.groups
    each = zip(c.size, c.kernel, c.stride, c.padding, c.dilation)
    downs, acrosses = [backward_axes(*numbers) for numbers in each]
    spread = None
    if c.stride[1] == 1 and c.kernel[1] > 1 and c.out[1] <= min(0.85 * c.size[1], 512):
        # fewer places by far: no zeros around them
        spread, acrosses = acrosses[0], (forward_axis(c.out[1], 1, 1, 0, 1),)
    phases = tuple([(down, across) for down in downs for across in acrosses])
    steps = (depth * rows * c.taps, c.taps, rows * c.taps, c.kernel[1], 1)
    product = _Product(c.kind, c.n, c.groups, rows, depth, steps, c.out, c.size, phases, spread)
    return _write(product, target, epilogue)


def _write(p: _Product, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    return _Writer(p, target, _blocks(p, target.lanes(BYTES[p.kind]))).write(epilogue)


class _Blocks(NamedTuple):
    """What a chunk computes at once: places, rows, channels of the source; images and groups."""

    height: int
    width: int
    rows: int
    depth: int
    images: int
    groups: int


def _blocks(p: _Product, lanes: int) -> _Blocks:
    """How a product is cut; one channel and row of places is always small enough (Conv.fits)."""
    size, phases = BYTES[p.kind], len(p.phases)
    panel_room, sums_room = _PANEL_BYTES // size, _SUMS_BYTES // size
    high, wide = p.places

    def each(height: int, width: int) -> int:
        return max(Panel(*phase, height, width).channel for phase in p.phases)

    width = wide if wide <= 512 else parts(wide, 256)
    height = 1 if width < wide else high
    rows, taps = p.rows, phases * p.each  # rows of sums for one of places
    while height > 1 and (
        each(height, width) * min(p.depth, 16) > panel_room
        or up(height * width, lanes) * taps * min(rows, 64) > sums_room
    ):
        height = parts(high, height - 1)
    rows = parts(rows, max(1, sums_room // (taps * up(height * width, lanes))))
    depth = parts(p.depth, panel_room // max(each(height, width), 1))
    # many rows of a large weight far apart: a few of them at a time, all along
    heavy = p.steps[0] * size > _HEAVY_BYTES
    if heavy and p.steps[2] * size >= 2048:
        depth = parts(p.depth, min(depth, 32))
    while True:
        blocks = -(-high // height) * -(-wide // width) * -(-p.rows // rows)
        work = p.work // blocks
        if hint(p.images) * p.groups * blocks >= _CHUNKS or 2 * work < 3 * _CHUNK_WORK:
            break
        if height >= 8 and not (heavy and rows >= 32):
            height = parts(high, -(-height // 2))
        elif rows >= 16:
            rows = parts(p.rows, -(-rows // 2))
        else:
            break
    groups = parts(p.groups, _CHUNK_WORK // max(work, 1))
    images = (
        parts(hint(p.images), _CHUNK_WORK // max(work * groups, 1)) if groups == p.groups else 1
    )
    return _Blocks(height, width, rows, depth, images, groups)


class _Writer:
    """Writes the kernel of a product."""

    def __init__(self, p: _Product, target: Target, blocks: _Blocks) -> None:
        self.p, self.blocks, self.lanes = p, blocks, target.lanes(BYTES[p.kind])
        self.b = b = Builder(target.masks, target.fused)
        self.panels = [Panel(*phase, blocks.height, blocks.width) for phase in p.phases]
        vectors = -(-blocks.height * blocks.width // self.lanes)
        # the last block of rows may be a small one
        fewest = p.rows - (p.rows - 1) // blocks.rows * blocks.rows
        rows = blocks.rows * p.each
        m, v = tile(rows, vectors, target.registers, p.each, fewest * p.each)
        #: channels of a tile; the runs of tiles along a row: (first vector, end, vectors of each)
        self.high = m // p.each
        whole = vectors // v * v
        self.runs = [r for r in ((0, whole, v), (whole, vectors, vectors - whole)) if r[2]]
        #: elements from a row of sums to the next, and from a phase to the next
        self.row = vectors * self.lanes
        self.phase = up(blocks.rows, self.high) * p.each * self.row
        #: how many phases there are along a row
        self.across = 1 if p.spread is not None else min(p.step[1], p.result[1])
        self.sums = b.alloca(p.kind, self.phase * len(p.phases) + 2 * self.lanes)
        room = max(panel.channel for panel in self.panels) * blocks.depth
        beyond = self.row - blocks.height * blocks.width
        self.scratch = b.alloca(p.kind, room + beyond + self.lanes)

    def write(self, epilogue: Epilogue) -> tuple[Builder, int]:
        """The kernel, and the number of its chunks."""
        b, p, k = self.b, self.p, self.blocks
        cuts = Cuts(
            b, (p.images, p.groups, p.rows, *p.places),
            (k.images, k.groups, k.rows, k.height, k.width),
        )  # fmt: skip
        (_, _, first, *corner), (_, _, last, *_) = cuts.begins, cuts.ends
        self.corner, self.first, self.count = (corner[0], corner[1]), first, b.sub(last, first)
        for number, (rows, cols) in enumerate(p.phases):
            if not rows.taps * cols.taps:
                self.clear(number)
        image = b.loop(cuts.begins[0], cuts.ends[0])
        group = b.loop(cuts.begins[1], cuts.ends[1])
        for number, panel in enumerate(self.panels):
            if panel.rows.taps * panel.cols.taps:
                self.sum_up(number, panel, image.index, group.index)
        self.hand_over(epilogue, image.index, group.index)
        group.end()
        image.end()
        return b, cuts.chunks

    def clear(self, number: int) -> None:
        """Write zeros into the sums of a phase."""
        b = self.b
        vector = b.loop(0, self.phase, self.lanes)
        zero = b.const(self.p.kind, 0, self.lanes)
        b.store(zero, self.sums, b.affine(number * self.phase, (vector.index, 1)))
        vector.end()

    def sum_up(self, number: int, panel: Panel, image: Reg, group: Reg) -> None:
        """Compute the sums of a phase, a block of the source's channels after the other."""
        b, p, k = self.b, self.p, self.blocks
        height, width = p.source
        plane = height * width
        blocked = k.depth < p.depth
        more = blocked or k.depth * panel.rows.taps * panel.cols.taps > DEPTH
        if more:
            self.clear(number)
        begin = b.loop(0, p.depth, k.depth)
        end = b.affine(k.depth, (begin.index, 1))
        count = (
            b.sub(b.minimum(end, b.index(p.depth)), begin.index) if blocked else b.index(k.depth)
        )
        place = b.affine(
            0, (image, p.groups * p.depth * plane), (group, p.depth * plane), (begin.index, plane)
        )  # fmt: skip
        source = Source(b.at(b.argument(0), p.kind, place), p.kind, height, width, plane, 0)
        fill(b, panel, source, self.scratch, self.lanes, count, 1, self.corner)
        by_group, by_row, by_depth, by_line, by_tap = p.steps
        weight = b.affine(
            panel.rows.first * by_line + panel.cols.first * by_tap,
            (group, by_group), (self.first, by_row), (begin.index, by_depth),
        )  # fmt: skip
        weights = b.at(b.argument(1), p.kind, weight)
        upper = b.loop(0, self.count, self.high)
        # the last tile reaches back over the one before
        row = b.minimum(upper.index, b.affine(-self.high, (self.count, 1)))
        for first, stop, v in self.runs:
            across = b.loop(first * self.lanes, stop * self.lanes, v * self.lanes)
            to = b.affine(number * self.phase, (upper.index, p.each * self.row), (across.index, 1))
            self.tile_sums(
                panel, v, b.at(weights, p.kind, b.affine(0, (row, by_row))),
                b.at(self.scratch, p.kind, b.affine(panel.start, (across.index, 1))),
                b.at(self.sums, p.kind, to), count, more,
            )  # fmt: skip
            across.end()
        upper.end()
        begin.end()

    def tile_sums(
        self, panel: Panel, v: int, weights: Reg, places: Reg, to: Reg, count: Reg, more: bool
    ) -> None:
        """One register tile: the sums over `count` channels and all taps, added where `more`.

        Then they are those of some channels at a time: long chains of additions lose digits.
        """
        b, p, lanes = self.b, self.p, self.lanes
        _, by_row, by_depth, by_line, by_tap = p.steps
        factors = [r * by_row + s * by_tap for r in range(self.high) for s in range(p.each)]
        offsets = [r * self.row + c * lanes for r in range(len(factors)) for c in range(v)]
        sums = [b.const(p.kind, 0, lanes)] * len(offsets)
        rows, cols = panel.rows, panel.cols
        unrolled = cols.taps * len(sums) <= max(64, 256 // len(p.phases))
        some = self.blocks.depth
        if more:
            some = parts(some, DEPTH // (rows.taps * cols.taps))
        block = b.loop(0, count, some)
        end = b.minimum(b.affine(some, (block.index, 1)), count)
        channel = b.loop(block.index, end, 1, *sums)
        line = b.loop(0, rows.taps, 1, *channel.values)
        tap = b.loop(0, 1 if unrolled else cols.taps, 1, *line.values)
        scalar = b.affine(
            0, (channel.index, by_depth), (line.index, by_line * rows.every),
            (tap.index, by_tap * cols.every),
        )  # fmt: skip
        vector = b.affine(
            0, (channel.index, panel.channel), (line.index, panel.row), (tap.index, panel.column)
        )
        weights, places = b.at(weights, p.kind, scalar), b.at(places, p.kind, vector)
        sums = list(tap.values)
        for t in range(cols.taps if unrolled else 1):
            met = [b.load(places, p.kind, t * panel.column + c * lanes, lanes) for c in range(v)]
            for r, at in enumerate(factors):
                factor = b.load(weights, p.kind, at + t * by_tap * cols.every)
                for c in range(v):
                    sums[r * v + c] = b.muladd(b.splat(factor, lanes), met[c], sums[r * v + c])
        sums = channel.end(*line.end(*tap.end(*sums)))
        for value, at in zip(sums, offsets):
            b.store(b.add(b.load(to, p.kind, at, lanes), value) if more else value, to, at)
        block.end()

    def hand_over(self, epilogue: Epilogue, image: Reg, group: Reg) -> None:
        """Give the sums of a block to the epilogue, row by row of the result."""
        b, p, k = self.b, self.p, self.blocks
        m = self.high
        channel = b.loop(0, self.count)
        # rows of the last tile, which reached back, lie further on
        tiles = b.mul(b.div(b.affine(m - 1, (self.count, 1)), b.index(m)), b.index(m))
        reached = b.ge(channel.index, b.affine(-m, (tiles, 1)))
        back = b.select(reached, b.sub(tiles, self.count), b.index(0))
        row = b.add(channel.index, back)
        outside = b.affine(0, (group, p.rows), (self.first, 1), (channel.index, 1))
        top = b.affine(0, (self.corner[0], p.step[0]))
        end = b.minimum(b.affine(k.height * p.step[0], (top, 1)), b.index(p.result[0]))
        line = b.loop(top, end)
        inside = b.sub(line.index, top)
        phase, place = b.rem(inside, b.index(p.step[0])), b.div(inside, b.index(p.step[0]))
        at = b.affine(
            0, (row, p.each * self.row), (phase, self.across * self.phase), (place, k.width)
        )
        self.line_out(epilogue, (image, outside, line.index), at)
        line.end()
        channel.end()

    def line_out(self, epilogue: Epilogue, indices: tuple[Reg, Reg, Reg], at: Reg) -> None:
        """Give one row of a block, whose sums begin at `at`, to the epilogue."""
        b, (_, step), whole = self.b, self.p.step, self.p.result[1]
        left, width = b.affine(0, (self.corner[1], step)), self.blocks.width * step
        count: Reg | int = whole
        if width < whole and self.p.spread is None:
            count = b.minimum(b.sub(b.index(whole), left), b.index(width))
        lanes = min(self.lanes, 1 << (whole - 1).bit_length())
        if step > 2 or (step == 2 and lanes < 4):
            lanes = 1
        hand_line(b, epilogue, lambda k, n: self.read(at, k, n), indices, left, count, lanes)

    def read(self, at: Reg, column: Reg, lanes: int) -> Reg:
        """The sums of consecutive places of a row, which their phases take turns to give."""
        b, kind, step = self.b, self.p.kind, self.p.step[1]
        if self.p.spread is not None:
            return self.gathered(at, column, lanes)
        if step == 1:
            return b.load(self.sums, kind, b.add(at, column), lanes)
        place, turn = b.div(column, b.index(step)), b.rem(column, b.index(step))
        if lanes == 1:
            return b.load(self.sums, kind, b.affine(0, (at, 1), (place, 1), (turn, self.phase)))
        half = lanes // 2
        even, odd = [
            b.load(self.sums, kind, b.affine(k * self.phase, (at, 1), (place, 1)), half)
            for k in (0, 1)
        ]
        order = [k // 2 + half * (k % 2) for k in range(lanes)]
        return shuffle(b, even, odd, order)

    def gathered(self, at: Reg, column: Reg, lanes: int) -> Reg:
        """Consecutive elements of a row, each the sum of what the column taps have for it."""
        b, kind, taps = self.b, self.p.kind, self.p.spread
        assert taps is not None
        found = []
        for s in range(taps.taps):
            place = b.affine(taps.shift + s * taps.gap, (column, 1))
            there = inside(b, place, 1, self.p.source[1], lanes)
            row = b.affine(s * self.row, (at, 1))
            if lanes == 1:
                one = b.load(self.sums, kind, b.add(row, b.select(there, place, b.index(0))))
                found.append(b.select(there, one, b.const(kind, 0)))
            else:
                found.append(b.load(self.sums, kind, b.add(row, place), lanes, there))
        return functools.reduce(b.add, found)
