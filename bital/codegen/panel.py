"""Panels: the source of a convolution unfolded along the kernel's columns, in scratch.

Room: codegen. In a panel the elements that one tap meets at successive places of a result are
consecutive, across the ends of rows too, so that vectors run over flattened places however short
the rows are; what lies outside the source is 0.
"""

from __future__ import annotations

from typing import NamedTuple

from bital.codegen.lanes import inside, shuffle
from bital.codegen.scalar import Builder, Reg


class Axis(NamedTuple):
    """How the places of a result along one axis meet a source.

    Place k < `places` is element begin + step k of the result; tap t < `taps`, number first +
    every t of the kernel, meets element stride k + shift + gap t of the source.
    """

    places: int
    begin: int
    step: int
    stride: int
    first: int
    every: int
    taps: int
    shift: int
    gap: int

    @property
    def apart(self) -> bool:
        """Whether the taps of successive places are no shifted copies of each other."""
        return self.stride > 1 and self.taps > 1

    @property
    def lowest(self) -> int:
        """The shift of the tap that meets the first element."""
        return self.shift if self.apart else self.shift + min(0, self.gap * (self.taps - 1))


def forward_axis(out: int, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """An axis of a convolution: from its result of `out` places to its input."""
    return Axis(out, 0, 1, stride, 0, 1, kernel, -padding, dilation)


def backward_axes(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[Axis, ...]:
    """An axis of the gradient along the input: for every place modulo stride, to the gradient."""
    found = []
    for begin in range(min(stride, size)):
        met = [t for t in range(kernel) if (begin + padding - t * dilation) % stride == 0]
        shifts = [(begin + padding - t * dilation) // stride for t in met]
        every, gap = (met[1] - met[0], shifts[1] - shifts[0]) if len(met) > 1 else (1, 0)
        count = len(range(begin, size, stride))
        first, shift = (met[0], shifts[0]) if met else (0, 0)
        found.append(Axis(count, begin, stride, 1, first, every, len(met), shift, gap))
    return tuple(found)


class Panel(NamedTuple):
    """The layout of a panel for blocks of `height` x `width` places of `images` images.

    Planes lie by channel, column tap and, where `rows` keeps these apart, row tap; in a plane lie
    the images' lines of `width` elements.
    """

    rows: Axis
    cols: Axis
    height: int
    width: int
    images: int = 1

    @property
    def lines(self) -> int:
        """The lines that a plane has of each image."""
        rows = self.rows
        return self.height + (0 if rows.apart else abs(rows.gap) * max(rows.taps - 1, 0))

    @property
    def plane(self) -> int:
        """The elements of a plane."""
        return self.images * self.lines * self.width

    @property
    def column(self) -> int:
        """How far the planes of successive column taps lie apart."""
        return self.plane * (self.rows.taps if self.rows.apart else 1)

    @property
    def channel(self) -> int:
        """How far the planes of successive channels lie apart."""
        return self.column * self.cols.taps

    @property
    def row(self) -> int:
        """How far what successive row taps meet lies apart."""
        return self.plane if self.rows.apart else self.rows.gap * self.width

    @property
    def start(self) -> int:
        """Where what the first row tap meets begins."""
        return 0 if self.rows.apart else (self.rows.shift - self.rows.lowest) * self.width


class Source(NamedTuple):
    """A source in memory: the address of its first channel, and the sizes of it."""

    pointer: Reg
    kind: str
    height: int
    width: int
    channel: int  # elements from a channel to the next
    image: int  # elements from an image to the next


def fill(
    b: Builder, panel: Panel, source: Source, scratch: Reg, lanes: int,
    channels: int | Reg, images: int | Reg, corner: tuple[Reg, Reg],
) -> None:  # fmt: skip
    """Unfold the block of a source whose first place is at `corner` into `scratch`.

    Rows are written in the order of memory, each in whole vectors: what runs over its end is
    written over by the next, so the scratch must be one vector longer than the panel.
    """
    rows, cols, width = panel.rows, panel.cols, panel.width
    channel = b.loop(0, channels)
    tap = b.loop(0, cols.taps)
    left = b.affine(cols.shift, (corner[1], cols.stride), (tap.index, cols.gap))
    apart = b.loop(0, rows.taps if rows.apart else 1)
    top = b.affine(rows.lowest, (corner[0], rows.stride), (apart.index, rows.gap))
    # the lines that are outside come first and last
    first = _lines_below(b, b.neg(top), panel)
    last = _lines_below(b, b.affine(source.height, (top, -1)), panel)
    image = b.loop(0, images)
    place = b.affine(
        0, (top, source.width), (left, 1), (channel.index, source.channel),
        (image.index, source.image),
    )  # fmt: skip
    to = b.affine(
        0, (channel.index, panel.channel), (tap.index, panel.column), (apart.index, panel.plane),
        (image.index, panel.lines * width),
    )  # fmt: skip
    few = width <= 4 * lanes
    known = [
        _inside(b, source, b.affine(k, (left, 1)), cols.stride, lanes)
        for k in range(0, width * cols.stride if few else 0, lanes * cols.stride)
    ]

    def written(begin: Reg | int, end: Reg | int, copied: bool) -> None:
        line = b.loop(begin, end)
        vector = b.loop(0, 1 if few else width, lanes)
        into = b.affine(0, (to, 1), (line.index, width), (vector.index, 1))
        start = b.affine(0, (vector.index, cols.stride))
        at = b.affine(0, (place, 1), (line.index, rows.stride * source.width), (start, 1))
        for k in range(0, width if few else 1, lanes):
            value = b.const(source.kind, 0, lanes)
            if copied:
                masks = (
                    known[k // lanes]
                    if few
                    else _inside(b, source, b.add(left, start), cols.stride, lanes)
                )
                value = _strided(b, source, b.affine(k * cols.stride, (at, 1)), masks, cols.stride)
            b.store(value, scratch, b.affine(k, (into, 1)))
        vector.end()
        line.end()

    written(0, first, False)
    written(first, last, True)
    written(last, panel.lines, False)
    for loop in (image, apart, tap, channel):
        loop.end()


def _lines_below(b: Builder, rows: Reg, panel: Panel) -> Reg:
    """How many lines lie among the first so many rows of the source."""
    step = panel.rows.stride
    count = b.maximum(rows, b.index(0))
    if step > 1:
        count = b.div(b.affine(step - 1, (count, 1)), b.index(step))
    return b.minimum(count, b.index(panel.lines))


def _inside(b: Builder, source: Source, column: Reg, stride: int, lanes: int) -> list[Reg]:
    """Which lanes of the vectors that are loaded for every `stride`-th element are in the row."""
    if stride != 2:
        return [inside(b, column, stride, source.width, lanes)]
    starts = column, b.affine(lanes, (column, 1))
    return [inside(b, start, 1, source.width, lanes) for start in starts]


def _strided(b: Builder, source: Source, place: Reg, masks: list[Reg], stride: int) -> Reg:
    """Every `stride`-th element from `place` on; 0 for those outside."""
    lanes = masks[0].lanes
    parts = [
        b.load(source.pointer, source.kind, b.affine(k * lanes, (place, 1)), lanes, mask)
        for k, mask in enumerate(masks)
        if stride <= 2
    ]
    if stride == 1:
        return parts[0]
    if stride == 2:
        return shuffle(b, parts[0], parts[1], range(0, 2 * lanes, 2))
    steps = b.mul(b.iota("i64", lanes), b.const("i64", stride, lanes))
    return b.gather(source.pointer, source.kind, b.add(steps, place), masks[0])
