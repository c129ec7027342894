"""The gradient of a convolution along its weight, as a kernel.

Room: codegen. A register tile holds the sums for some output channels and some taps, lane by lane
over the places of the result; lanes are added up once, at the end. A chunk has all images, so that
no sum crosses chunks.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from bital.base.extent import Extent, hint
from bital.codegen.conv import forward_axes
from bital.codegen.cuts import Cuts, Epilogue, hand_line, parts, step_slots, up
from bital.codegen.lanes import totals
from bital.codegen.panel import Panel, Source, fill
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.target import Target
from bital.plan.spatial import Conv

#: bytes of scratch for the panel and for the sums
_PANEL_BYTES, _SUMS_BYTES = 96 << 10, 96 << 10
#: what of a panel stays in the first cache beside the gradient
_NEAR_BYTES = 20 << 10
#: multiply-adds that a chunk should have
_CHUNK_WORK = 600_000


class _Blocks(NamedTuple):
    """What a chunk has of groups, output and input channels; what of these and images at once."""

    groups: int
    outs: int
    chunk_ins: int
    ins: int
    height: int
    width: int
    images: int


def _divisors(count: int) -> list[int]:
    return [k for k in range(1, count + 1) if count % k == 0]


def _places(c: Conv, ins: int) -> tuple[int, int, int]:
    """Rows, columns and images whose panel of so many channels stays in the first cache.

    But not fewer places than make the sums' way to memory worth it.
    """
    rows, cols = forward_axes(c)
    (high, wide), size = c.out, BYTES[c.kind]
    width = wide if wide <= 512 else parts(wide, 256)
    height = 1 if width < wide else high
    near, room = _NEAR_BYTES // size // ins, _PANEL_BYTES // size // ins

    def channel(height: int) -> int:
        return Panel(rows, cols, height, width).channel

    while height > 1 and (
        channel(height) > room or (channel(height) > near and height * width > 256)
    ):
        height = parts(high, height - 1)
    images = parts(hint(c.n), near // channel(height)) if height * width == high * wide else 1
    return height, width, images


def _blocks(c: Conv, target: Target) -> _Blocks:
    """The blocks that take least time, with sums that fit in scratch."""
    outs, ins, taps = c.o // c.groups, c.c // c.groups, c.taps
    work = hint(c.n) * prod(c.out) * taps  # for one pair of channels
    most = max(3 * _CHUNK_WORK, work * outs * ins * c.groups // 4)

    def of(o: int, i: int) -> _Blocks:
        chunk_ins = up(parts(ins, max(1, _CHUNK_WORK // (work * o))), i)
        groups = 1
        if o == outs and chunk_ins == ins:
            groups = parts(c.groups, _CHUNK_WORK // (work * outs * ins))
        return _Blocks(groups, o, chunk_ins, i, *_places(c, i))

    def cost(k: _Blocks) -> float:
        """Cycles: multiply-adds or reading the gradient, filling panels, sums in and out."""
        room = Panel(*forward_axes(c), k.height, k.width).channel / (k.height * k.width)
        vectors = work / taps / target.lanes(BYTES[c.kind])
        cycles = vectors * outs * ins * max(taps / _tile(c, k, target)[1], 3 / k.ins)
        cycles += vectors * 3 * room * ins * outs / k.outs
        turns = -(-hint(c.n) // k.images) * -(-c.out[0] // k.height) * -(-c.out[1] // k.width)
        cycles += 2.5 * outs * ins * taps * turns
        # rather four chunks than fewer
        share = k.outs / outs * k.ins / ins / c.groups
        return cycles * (max(1.0, 4 * share) if cycles > 100_000 else 1.0)

    pairs = [
        (o, i)
        for o in _divisors(outs)
        for i in _divisors(ins)
        if o * i * taps * 64 <= _SUMS_BYTES
        and Panel(*forward_axes(c), 1, min(c.out[1], 512)).channel * i <= _PANEL_BYTES // 8
        and (o * i == 1 or work * o * i <= most)
    ]
    return min([of(o, i) for o, i in pairs], key=cost)


class _Tile(NamedTuple):
    """A register tile: output channels, and input channels x row taps x column taps."""

    outs: int
    ins: int
    lines: int
    taps: int

    @property
    def columns(self) -> int:
        return self.ins * self.lines * self.taps


def _tile(c: Conv, k: _Blocks, target: Target) -> tuple[_Tile, float]:
    """The tile that takes least time; its columns are consecutive elements of the weight.

    And how many multiply-adds of vectors it does in a cycle.
    """
    lines, taps = c.kernel
    shapes = [(1, 1, t) for t in range(1, taps) if taps % t == 0]
    shapes += [(1, r, taps) for r in range(1, lines) if lines % r == 0]
    shapes += [(i, lines, taps) for i in range(1, k.ins + 1) if k.ins % i == 0]
    # a load that crosses lines takes as long as two and a half; the gradient comes from further
    lanes = target.lanes(BYTES[c.kind])
    load = 1 if prod(c.out) % lanes == 0 and k.width % lanes == 0 else 2.5
    best, found = 0.0, _Tile(1, 1, 1, 1)
    for shape in shapes:
        columns = prod(shape)
        if columns > min(14, target.registers // 2):
            continue
        for m in range(1, min(k.outs, 14) + 1):
            if m * columns + min(m, columns) + 1 > target.registers:
                break
            slots = step_slots(m, columns, load * columns + (load + 1) * m)
            speed = 2 * k.outs * columns / (-(-k.outs // m) * slots)
            if speed > best:
                best, found = speed, _Tile(m, *shape)
    return found, best


class _Writer:
    """Writes the kernel."""

    def __init__(self, c: Conv, target: Target, blocks: _Blocks) -> None:
        self.c, self.blocks, self.lanes = c, blocks, target.lanes(BYTES[c.kind])
        self.b = b = Builder(target.masks, target.fused)
        self.tile = _tile(c, blocks, target)[0]
        rows, cols = forward_axes(c)
        self.panel = Panel(rows, cols, blocks.height, blocks.width, blocks.images)
        self.taps = c.taps
        #: elements of sums for one output channel
        self.row = blocks.ins * self.taps * self.lanes
        room = up(blocks.outs, self.tile.outs) * self.row + self.lanes * self.lanes
        self.sums = b.alloca(c.kind, room)
        self.scratch = b.alloca(c.kind, self.panel.channel * blocks.ins + 2 * self.lanes)
        self.line = b.alloca(c.kind, blocks.ins * self.taps + self.lanes)

    def write(self, epilogue: Epilogue) -> tuple[Builder, int]:
        """The kernel, and the number of its chunks."""
        b, c, k = self.b, self.c, self.blocks
        outs, ins = c.o // c.groups, c.c // c.groups
        cuts = Cuts(b, (c.groups, outs, ins), (k.groups, k.outs, k.chunk_ins))
        _, first_out, _ = cuts.begins
        group = b.loop(cuts.begins[0], cuts.ends[0])
        turn = b.loop(cuts.begins[2], cuts.ends[2], k.ins)
        first_in = turn.index
        out = b.affine(0, (group.index, outs), (first_out, 1))
        blocks = [-(-n // size) for n, size in zip(c.out, (k.height, k.width))]
        more = prod(blocks) > 1 or isinstance(c.n, Extent) or c.n > k.images
        if more:
            vector = b.loop(0, up(k.outs, self.tile.outs) * self.row, self.lanes)
            b.store(b.const(c.kind, 0, self.lanes), self.sums, vector.index)
            vector.end()
        image = b.loop(0, c.n, k.images)
        top = b.loop(0, c.out[0], k.height)
        left = b.loop(0, c.out[1], k.width)
        channel = b.affine(0, (group.index, ins), (first_in, 1))
        self.add_up((image.index, top.index, left.index), out, channel, more)
        for loop in (left, top, image):
            loop.end()
        self.hand_over(epilogue, out, first_in)
        turn.end()
        group.end()
        return b, cuts.chunks

    def add_up(self, begin: tuple[Reg, Reg, Reg], out: Reg, channel: Reg, more: bool) -> None:
        """Add what some images' places give; `begin` is the first image, row and column."""
        b, c, k, t = self.b, self.c, self.blocks, self.tile
        image, top, left = begin
        images = self.within(image, k.images, c.n)
        places = self.within(left, k.width, c.out[1])
        if k.width == c.out[1]:
            places = b.affine(0, (self.within(top, k.height, c.out[0]), k.width))
        plane, met = prod(c.size), prod(c.out)
        at = b.affine(0, (image, c.c * plane), (channel, plane))
        source = Source(b.at(b.argument(1), c.kind, at), c.kind, *c.size, plane, c.c * plane)
        fill(b, self.panel, source, self.scratch, self.lanes, k.ins, images, (top, left))
        place = b.affine(0, (image, c.o * met), (out, met), (top, c.out[1]), (left, 1))
        gradient = b.at(b.argument(0), c.kind, place)
        panel = self.panel
        upper = b.loop(0, k.outs, t.outs)
        row = b.minimum(upper.index, b.index(k.outs - t.outs))
        into = b.loop(0, k.ins, t.ins)
        line = b.loop(0, c.kernel[0], t.lines)
        tap = b.loop(0, c.kernel[1], t.taps)
        column = b.affine(0, (into.index, self.taps), (line.index, c.kernel[1]), (tap.index, 1))
        self.tile_sums(
            b.at(gradient, c.kind, b.affine(0, (row, met))),
            b.at(self.scratch, c.kind, b.affine(
                panel.start, (into.index, panel.channel), (line.index, panel.row),
                (tap.index, panel.column))),
            b.at(self.sums, c.kind, b.affine(0, (upper.index, self.row), (column, self.lanes))),
            images, places, more,
        )  # fmt: skip
        for loop in (tap, line, into, upper):
            loop.end()

    def within(self, begin: Reg, size: int, count: int) -> Reg:
        """How many of `count` a part of `size` from `begin` on has."""
        if size == 1 or (isinstance(count, int) and count % size == 0):
            return self.b.index(size)
        return self.b.minimum(self.b.index(size), self.b.sub(self.b.index(count), begin))

    def tile_sums(
        self, gradient: Reg, scratch: Reg, to: Reg, images: Reg, places: Reg, more: bool
    ) -> None:
        """One register tile: the sums over `images` and `places`, added where `more`."""
        b, c, t, lanes, panel = self.b, self.c, self.tile, self.lanes, self.panel
        taps = [
            i * panel.channel + r * panel.row + s * panel.column
            for i in range(t.ins) for r in range(t.lines) for s in range(t.taps)
        ]  # fmt: skip
        rows = [r * prod(c.out) for r in range(t.outs)]
        offsets = [r * self.row + k * lanes for r in range(t.outs) for k in range(t.columns)]
        zero = b.const(c.kind, 0, lanes)
        sums = [b.load(to, c.kind, at, lanes) if more else zero for at in offsets]

        def step(g: Reg, x: Reg, sums: list[Reg], mask: Reg | None) -> list[Reg]:
            # the fewer ones stay in registers, the others come one by one
            sums, few = list(sums), rows if len(rows) <= len(taps) else taps
            near, far = (g, x) if few is rows else (x, g)
            held = [b.load(near, c.kind, at, lanes, mask) for at in few]
            for k, at in enumerate(taps if few is rows else rows):
                value = b.load(far, c.kind, at, lanes, mask)
                for n, other in enumerate(held):
                    r, column = (n, k) if few is rows else (k, n)
                    place = r * t.columns + column
                    sums[place] = b.muladd(value, other, sums[place])
            return sums

        image = b.loop(0, images, 1, *sums)
        g = b.at(gradient, c.kind, b.affine(0, (image.index, c.o * prod(c.out))))
        x = b.at(scratch, c.kind, b.affine(0, (image.index, panel.lines * panel.width)))
        known = places.name[0] != "%"
        rest = b.index(int(places.name) % lanes) if known else b.rem(places, b.index(lanes))
        whole = b.index(int(places.name) - int(rest.name)) if known else b.sub(places, rest)
        place = b.loop(0, whole, lanes, *image.values)
        sums = place.end(*step(b.at(g, c.kind, place.index), b.at(x, c.kind, place.index),
                               place.values, None))  # fmt: skip
        if rest.name != "0":
            # both under the mask: what lies beyond may be no number
            mask = b.mask_below(rest, lanes)
            sums = step(b.at(g, c.kind, whole), b.at(x, c.kind, whole), sums, mask)
        for value, at in zip(image.end(*sums), offsets):
            b.store(value, to, at)

    def hand_over(self, epilogue: Epilogue, out: Reg, first_in: Reg) -> None:
        """Add up the lanes and give the sums of each output channel to the epilogue."""
        b, c, k, lanes = self.b, self.c, self.blocks, self.lanes
        row = b.loop(0, k.outs)
        last = (k.outs - 1) // self.tile.outs * self.tile.outs
        # rows of the last tile, which reached back, lie further on
        reached = b.ge(row.index, b.index(last))
        back = b.select(reached, b.index(last + self.tile.outs - k.outs), b.index(0))
        at = b.affine(0, (b.add(row.index, back), self.row))
        column = b.loop(0, k.ins * self.taps, lanes)
        sums = [
            b.load(self.sums, c.kind, b.affine(n * lanes, (at, 1), (column.index, lanes)), lanes)
            for n in range(lanes)
        ]
        b.store(totals(b, sums), self.line, column.index)
        column.end()
        left = b.affine(0, (first_in, self.taps))
        hand_line(
            b, epilogue, lambda at, n: b.load(self.line, c.kind, at, n),
            (b.affine(0, (out, 1), (row.index, 1)),), left, k.ins * self.taps, lanes,
        )  # fmt: skip
        row.end()


def backward_weight(c: Conv, target: Target, epilogue: Epilogue) -> tuple[Builder, int]:
    """g (n, o, *out), x (n, c, *size) -> (o, c / groups * taps): the weight's rows, flat."""
    return _Writer(c, target, _blocks(c, target)).write(epilogue)
