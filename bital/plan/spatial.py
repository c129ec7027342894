"""Spatial: the words for convolutions and pooling, which have kernels of their own.

Room: plan. A special node carries a Conv or a Pool, which says all of its shapes. What their
kernels cannot do, or not well, is not said in these words: it is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

from bital.plan.node import BYTES, Ints, Untraceable
from bital.plan.symbolic_array import Array

Pair = tuple[int, int]

#: a kernel unfolds one row of places at least, for one channel: in so many bytes
_ROW_BYTES = 48 << 10
_MOST_TAPS = 1024
#: the gradient along the input is written out for every place modulo the strides
_MOST_PHASES = 9
#: pooling is written out for every tap; a gradient's plane lies in scratch
_MOST_POOLED = 25
_PLANE_BYTES = 128 << 10


class Conv(NamedTuple):
    """A convolution of (n, c, *size) by (o, c / groups, *kernel) to (n, o, *out)."""

    kind: str
    n: int
    c: int
    size: Pair
    o: int
    out: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def taps(self) -> int:
        """How many taps the kernel has."""
        return prod(self.kernel)

    @property
    def fits(self) -> bool:
        """Whether there is something to compute, in kernels that are not too large."""
        high, wide = self.kernel
        rows = high if self.stride[0] > 1 else 1 + (high - 1) * self.dilation[0]
        row = min(max(self.size[1], self.out[1]), 512) * wide * rows * BYTES[self.kind]
        some = 0 not in (self.n, self.c, self.o, *self.size, *self.out)
        return some and row <= _ROW_BYTES and self.taps <= _MOST_TAPS


class Pool(NamedTuple):
    """Windows over the last two axes of (*lead, *size); they give (*lead, *out)."""

    kind: str
    lead: Ints
    size: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @property
    def taps(self) -> list[Pair]:
        """Where the taps of a window lie from its first on, in order."""
        rows, cols = [[t * d for t in range(k)] for k, d in zip(self.kernel, self.dilation)]
        return [(row, col) for row in rows for col in cols]

    def whole(self, axis: int) -> bool:
        """Whether no window reaches out of the plane along an axis."""
        last = (self.out[axis] - 1) * self.stride[axis]
        reach = last + (self.kernel[axis] - 1) * self.dilation[axis]
        return not self.padding[axis] and reach < self.size[axis]

    @property
    def side_by_side(self) -> bool:
        """Whether windows lie side by side, two columns wide at most, so that vectors are dealt."""
        return (
            self.kernel == self.stride and self.kernel[1] <= 2 and self.dilation == (1, 1)
            and self.whole(0) and self.whole(1)
        )  # fmt: skip

    @property
    def fits(self) -> bool:
        """Whether there is something to compute, and windows are not too large."""
        return 0 not in (*self.lead, *self.size, *self.out) and prod(self.kernel) <= _MOST_POOLED

    @property
    def spreads(self) -> bool:
        """Whether the gradient's plane, or a few rows of it, is not too large."""
        rows = self.stride[0] if self.side_by_side else self.size[0]
        return self.fits and rows * self.size[1] * BYTES[self.kind] <= _PLANE_BYTES


class Mean(NamedTuple):
    """What sums over windows are divided by: a number, or how many elements each has.

    Padding counts where `with_padding`, but never what a window has beyond it.
    """

    divisor: int | None
    with_padding: bool


def _pair(values: Sequence[int], fill: int) -> Pair:
    """The numbers of two axes, the first one filled in where there is but one."""
    if len(values) not in (1, 2):
        raise Untraceable("a convolution over more than two axes")
    first, second = (fill, *values)[-2:]
    return first, second


def _conv(x: Ints, w: Ints, g: Ints, taps: Any, kind: str) -> Conv:
    """The convolution of operands and a result of these shapes, with an operator's taps."""
    pairs = [_pair(v, 1) for v in (taps.kernel, taps.stride, taps.dilation)]
    kernel, stride, dilation = pairs
    found = Conv(
        kind, x[0], x[1], _pair(x[2:], 1), w[0], _pair(g[2:], 1), kernel, stride,
        _pair(taps.padding, 0), dilation, taps.groups,
    )  # fmt: skip
    if kind not in ("f32", "f64") or not found.fits:
        raise Untraceable("an unusual convolution")
    return found


def _pool(x: Ints, axes: Sequence[Any], kind: str) -> Pool:
    """The pooling of (*, *size) by an operator's windows."""
    if len(axes) != 2 or not all(w.kernel for w in axes) or kind not in ("f32", "f64"):
        raise Untraceable("unusual windows")
    names = ("size", "out", "kernel", "stride", "padding", "dilation")
    size, out, kernel, stride, padding, dilation = [
        (getattr(axes[0], name), getattr(axes[1], name)) for name in names
    ]
    found = Pool(kind, tuple(x[:-2]), size, out, kernel, stride, padding, dilation)
    if not found.fits:
        raise Untraceable("unusual windows")
    return found


class Spatial:
    """The part of the namespace about convolutions and pooling."""

    special: Callable[..., Any]

    def convolution(self, x: Array, w: Array, taps: Any, out: Ints) -> Array:
        """x (n, c, *size), w (o, c / groups, *kernel) -> (n, o, *out)."""
        shape = (x.shape[0], w.shape[0], *out)
        conv = _conv(x.shape, w.shape, shape, taps, x.node.kind)
        return self.special("convolution", (x, w), ((shape, x.dtype),), conv)

    def convolution_backward_input(self, g: Array, w: Array, taps: Any, size: Ints) -> Array:
        """g (n, o, *out), w (o, c / groups, *kernel) -> (n, c, *size)."""
        shape = (g.shape[0], w.shape[1] * taps.groups, *size)
        conv = _conv(shape, w.shape, g.shape, taps, g.node.kind)
        if prod(conv.stride) > _MOST_PHASES:
            raise Untraceable("a gradient of large steps")
        return self.special("convolution_backward_input", (g, w), ((shape, g.dtype),), conv)

    def convolution_backward_weight(self, x: Array, g: Array, taps: Any) -> Array:
        """x (n, c, *size), g (n, o, *out) -> (o, c / groups, *kernel)."""
        shape = (g.shape[1], x.shape[1] // taps.groups, *taps.kernel)
        conv = _conv(x.shape, shape, g.shape, taps, g.node.kind)
        flat = (shape[0], prod(shape[1:]))
        found = self.special("convolution_backward_weight", (g, x), ((flat, g.dtype),), conv)
        return found.reshape(shape)

    def max_pool(self, x: Array, axes: Any) -> Array:
        """The largest element of every window."""
        pool = _pool(x.shape, axes, x.node.kind)
        return self.special("max_pool", (x,), (((*pool.lead, *pool.out), x.dtype),), pool)

    def max_pool_backward(self, g: Array, x: Array, peak: Array, axes: Any) -> Array:
        """Every window's number of g at its largest element in x, which equals `peak`."""
        pool = _pool(x.shape, axes, x.node.kind)
        if not pool.spreads:
            raise Untraceable("a large plane")
        return self.special("max_pool_backward", (g, x, peak), ((x.shape, x.dtype),), pool)

    def mean_pool(self, x: Array, axes: Any, divisor: int | None, with_padding: bool) -> Array:
        """The mean of every window; see Mean."""
        pool, mean = _pool(x.shape, axes, x.node.kind), Mean(divisor, with_padding)
        return self.special("mean_pool", (x,), (((*pool.lead, *pool.out), x.dtype),), pool, mean)

    def mean_pool_backward(
        self, g: Array, axes: Any, divisor: int | None, with_padding: bool
    ) -> Array:
        """The transpose of `mean_pool`."""
        shape = (*g.shape[:-2], *[w.size for w in axes])
        pool, mean = _pool(shape, axes, g.node.kind), Mean(divisor, with_padding)
        if not pool.spreads:
            raise Untraceable("a large plane")
        return self.special("mean_pool_backward", (g,), ((shape, g.dtype),), pool, mean)
