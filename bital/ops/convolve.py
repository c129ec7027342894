"""Convolutions of arrays: the three products that convolutions and all their gradients are.

Room: ops; arrays only, no tensors. With x (N, C, *in), w (O, C/G, *kernel) and g (N, O, *out) there
is one sum over samples, channels, places and kernel taps of x w g; leaving out one factor gives
`correlate` (out g), `spread` (out x) and `weigh` (out w). Each lays the windows of x side by side,
one row per channel and tap (im2col), and is then one matrix product per group. Results lie in
memory as (O, *out, N), as they come from the products: so the next convolution, pooling or norm
reads and writes long stretches, however small the images are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]

#: so many windows are laid out at once that they fit into a core's own cache
_BLOCK_BYTES = 1 << 21


class Taps(NamedTuple):
    """Where the taps of a kernel meet an input, per axis."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    groups: int = 1

    def out_size(self, size: Ints) -> Ints:
        """How many places the kernel has on axes of those sizes; not positive where it has none."""
        return tuple(
            [
                (n + 2 * p - d * (k - 1) - 1) // s + 1
                for n, k, s, p, d in zip(
                    size, self.kernel, self.stride, self.padding, self.dilation
                )
            ]
        )

    def in_size(self, size: Ints, more: Ints) -> Ints:
        """The size of the input whose places number `size`, with `more` at its end."""
        return tuple(
            [
                (n - 1) * s - 2 * p + d * (k - 1) + 1 + m
                for n, k, s, p, d, m in zip(
                    size, self.kernel, self.stride, self.padding, self.dilation, more
                )
            ]
        )

    def slices(self, tap: Ints, out: Ints) -> tuple[slice, ...]:
        """The places of the padded input that a tap meets."""
        return tuple(
            [
                slice(t * d, t * d + (n - 1) * s + 1, s)
                for t, d, n, s in zip(tap, self.dilation, out, self.stride)
            ]
        )

    def all(self) -> Iterator[Ints]:
        """Every tap, the last axis fastest."""
        return itertools.product(*[range(k) for k in self.kernel])


def padded(xp: Any, x: Any, padding: Ints) -> Any:
    """(N, C, *in) as (C, *in, N), with zeros around *in."""
    x = xp.moveaxis(x, 0, -1)
    if not any(padding):
        return x
    sizes = [n + 2 * p for n, p in zip(x.shape[1:], padding)]
    out = xp.zeros((x.shape[0], *sizes, x.shape[-1]), x.dtype)
    out[(slice(None), *inside(x.shape[1:], padding))] = x
    return out


def inside(sizes: Ints, padding: Ints) -> tuple[slice, ...]:
    """Where axes of those sizes lie in padded ones."""
    return tuple([slice(p, p + n) for n, p in zip(sizes, padding)])


def windows(xp: Any, x: Any, taps: Taps, out: Ints) -> Any:
    """A view of the windows of (N, C, *in): (C, *kernel, *out, N)."""
    x = padded(xp, x, taps.padding)
    steps = x.strides[1:-1]
    return as_strided(
        x,
        (x.shape[0], *taps.kernel, *out, x.shape[-1]),
        (
            x.strides[0],
            *[t * d for t, d in zip(steps, taps.dilation)],
            *[t * s for t, s in zip(steps, taps.stride)],
            x.strides[-1],
        ),
        writeable=False,
    )


def _blocks(rows: int, bytes_each: int) -> Iterator[tuple[int, int]]:
    """Where the rows of windows, along the first axis, are parted into blocks."""
    step = max(1, _BLOCK_BYTES // max(bytes_each, 1))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def _grouped(x: Any, groups: int) -> Any:
    """A matrix as one per group of its rows."""
    return x if groups == 1 else x.reshape(groups, x.shape[0] // groups, x.shape[1])


def _as_rows(w: Any, groups: int) -> Any:
    """A kernel as one row per output channel, in groups."""
    return _grouped(w.reshape(w.shape[0], prod(w.shape[1:])), groups)


def _columns(view: Any, taps: Taps, block: tuple[int, int]) -> Any:
    """A block of windows as a column each, (C * taps, windows), in groups."""
    axis = len(taps.kernel) + 1
    part = view[(slice(None),) * axis + (slice(*block),)]
    rows = view.shape[0] * prod(taps.kernel)
    return _grouped(part.reshape(rows, prod(part.shape[axis:])), taps.groups)


def _places(xp: Any, g: Any, groups: int) -> Any:
    """(N, O, *out) as a row per channel, (O, places * N), in groups."""
    g = xp.moveaxis(g, 0, -1)
    return _grouped(g.reshape(g.shape[0], prod(g.shape[1:])), groups)


def correlate(xp: Any, x: Any, w: Any, taps: Taps, out: Ints) -> Any:
    """(N, O, *out): the sum over channels and taps of x w."""
    n, o = x.shape[0], w.shape[0]
    rows = _as_rows(w, taps.groups)
    view = windows(xp, x, taps, out)
    each = n * prod(out[1:])
    result = xp.empty((o, out[0] * each), x.dtype)
    parts = _grouped(result, taps.groups)
    for block in _blocks(out[0], x.shape[1] * prod(taps.kernel) * each * x.itemsize):
        columns = _columns(view, taps, block)
        xp.matmul(rows, columns, out=parts[..., block[0] * each : block[1] * each])
    return xp.moveaxis(result.reshape(o, *out, n), -1, 0)


def _turned(w: Any, groups: int) -> Any:
    """The kernel (O, C/G, *kernel) that goes from outputs to inputs: (C, O/G, *kernel) flipped."""
    o, c, *kernel = w.shape
    w = w.reshape(groups, o // groups, c, *kernel).swapaxes(1, 2)
    w = w[(..., *[slice(None, None, -1)] * len(kernel))]
    return w.reshape(groups * c, o // groups, *kernel)


def spread(xp: Any, g: Any, w: Any, taps: Taps, size: Ints) -> Any:
    """(N, C, *size): the sum over outputs and taps of g w, where `correlate` read them."""
    around = [d * (k - 1) - p for k, d, p in zip(taps.kernel, taps.dilation, taps.padding)]
    # laying windows of g out takes half as long, element by element, as adding the taps up
    cheaper = w.shape[0] * prod(size) <= 2 * w.shape[1] * taps.groups * prod(g.shape[2:])
    if cheaper and min(around, default=0) >= 0 and all(s == 1 for s in taps.stride):
        # with every step a single one it is a correlation with the kernel turned around
        back = Taps(taps.kernel, taps.stride, tuple(around), taps.dilation, taps.groups)
        if back.out_size(g.shape[2:]) == size:
            return correlate(xp, g, _turned(w, taps.groups), back, size)
    return _spread_taps(xp, g, w, taps, size)


def _spread_taps(xp: Any, g: Any, w: Any, taps: Taps, size: Ints) -> Any:
    n, out = g.shape[0], g.shape[2:]
    c, each = w.shape[1] * taps.groups, n * prod(out[1:])
    rows = _as_rows(w, taps.groups).swapaxes(-1, -2)
    columns = _places(xp, g, taps.groups)
    whole = xp.zeros((c, *[s + 2 * p for s, p in zip(size, taps.padding)], n), g.dtype)
    for first, last in _blocks(out[0], c * prod(taps.kernel) * each * g.itemsize):
        got = xp.matmul(rows, columns[..., first * each : last * each])
        got = got.reshape(c, *taps.kernel, last - first, *out[1:], n)
        at = whole[:, first * taps.stride[0] :]
        for tap in taps.all():
            met = taps.slices(tap, (last - first, *out[1:]))
            at[(slice(None), *met)] += got[(slice(None), *tap)]
    return xp.moveaxis(whole[(slice(None), *inside(size, taps.padding))], -1, 0)


def weigh(xp: Any, x: Any, g: Any, taps: Taps) -> Any:
    """(O, C/G, *kernel): the sum over samples and places of x g."""
    o, out = g.shape[1], g.shape[2:]
    c, each = x.shape[1] // taps.groups, g.shape[0] * prod(out[1:])
    right = _places(xp, g, taps.groups).swapaxes(-1, -2)
    view = windows(xp, x, taps, out)
    result: Any = None
    for block in _blocks(out[0], x.shape[1] * prod(taps.kernel) * each * x.itemsize):
        # BLAS takes half the time for this product that it takes for the turned one
        got = xp.matmul(
            _columns(view, taps, block), right[..., block[0] * each : block[1] * each, :]
        )
        result = got if result is None else xp.add(result, got, out=result)
    return xp.ascontiguousarray(result.swapaxes(-1, -2)).reshape(o, c, *taps.kernel)
