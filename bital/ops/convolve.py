"""Convolutions of arrays: the three products that convolutions and all their gradients are.

Room: ops; arrays only, no tensors. With x (N, C, *in), w (O, C/G, *kernel) and g (N, O, *out) there
is one sum over samples, channels, places and kernel taps of x w g; leaving out one factor gives
`correlate` (out g), `spread` (out x) and `weigh` (out w). Each lays the windows of x side by side,
one row per channel and tap (im2col), and is then one matrix product per group. Results are laid out
channels first in memory, (O, N, *out), in which they come from the products and are best read by
the next ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from numpy.lib.stride_tricks import as_strided

Ints = tuple[int, ...]

#: windows are laid out for so many samples at once that they take about this much memory
_BLOCK_BYTES = 1 << 25


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


def padded(xp: Any, x: Any, padding: Ints, value: Any = 0) -> Any:
    """(N, C, *in) as (C, N, *in), with `value` around it."""
    x = x.swapaxes(0, 1)
    if not any(padding):
        return x
    shape = [*x.shape[:2], *[n + 2 * p for n, p in zip(x.shape[2:], padding)]]
    out = xp.zeros(shape, x.dtype) if value == 0 else xp.full(shape, value, x.dtype)
    inside = [slice(p, p + n) for n, p in zip(x.shape[2:], padding)]
    out[(..., *inside)] = x
    return out


def windows(xp: Any, x: Any, taps: Taps, out: Ints) -> Any:
    """The windows of (N, C, *in) laid side by side: (C * taps, N * places), contiguous."""
    x = padded(xp, x, taps.padding)
    c, n = x.shape[:2]
    if all(k == 1 for k in taps.kernel):
        x = x[(..., *taps.slices((0,) * len(out), out))]
        return x.reshape(c, n * prod(out))
    steps = x.strides[2:]
    view = as_strided(
        x,
        (c, *taps.kernel, n, *out),
        (
            x.strides[0],
            *[t * d for t, d in zip(steps, taps.dilation)],
            x.strides[1],
            *[t * s for t, s in zip(steps, taps.stride)],
        ),
        writeable=False,
    )
    return view.reshape(c * prod(taps.kernel), n * prod(out))


def _blocks(n: int, bytes_each: int) -> Iterator[slice]:
    """The samples in blocks of bounded memory."""
    step = max(1, _BLOCK_BYTES // max(bytes_each, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _grouped(x: Any, groups: int) -> Any:
    """A matrix as one per group of its rows."""
    return x if groups == 1 else x.reshape(groups, x.shape[0] // groups, x.shape[1])


def _as_rows(w: Any, groups: int) -> Any:
    """A kernel as one row per output channel, in groups."""
    return _grouped(w.reshape(w.shape[0], prod(w.shape[1:])), groups)


def correlate(xp: Any, x: Any, w: Any, taps: Taps, out: Ints) -> Any:
    """(N, O, *out): the sum over channels and taps of x w."""
    n, o, places = x.shape[0], w.shape[0], prod(out)
    rows = _as_rows(w, taps.groups)
    result = xp.empty((o, n, places), x.dtype)
    for block in _blocks(n, x.shape[1] * prod(taps.kernel) * places * x.itemsize):
        columns = _grouped(windows(xp, x[block], taps, out), taps.groups)
        got = xp.matmul(rows, columns).reshape(o, -1, places)
        if len(got[0]) == n:
            result = got
        else:
            result[:, block] = got
    return result.reshape(o, n, *out).swapaxes(0, 1)


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
    c = w.shape[1] * taps.groups
    rows = _as_rows(w, taps.groups).swapaxes(-1, -2)
    whole = xp.zeros((c, n, *[s + 2 * p for s, p in zip(size, taps.padding)]), g.dtype)
    for block in _blocks(n, c * prod(taps.kernel) * prod(out) * g.itemsize):
        part = g[block].swapaxes(0, 1)
        columns = _grouped(part.reshape(part.shape[0], part.shape[1] * prod(out)), taps.groups)
        got = xp.matmul(rows, columns).reshape(c, *taps.kernel, part.shape[1], *out)
        for tap in taps.all():
            whole[(slice(None), block, *taps.slices(tap, out))] += got[(slice(None), *tap)]
    inside = [slice(p, p + s) for s, p in zip(size, taps.padding)]
    return whole[(..., *inside)].swapaxes(0, 1)


def weigh(xp: Any, x: Any, g: Any, taps: Taps) -> Any:
    """(O, C/G, *kernel): the sum over samples and places of x g."""
    n, o, out = g.shape[0], g.shape[1], g.shape[2:]
    c = x.shape[1] // taps.groups
    result = xp.zeros((o, c, *taps.kernel), g.dtype)
    for block in _blocks(n, x.shape[1] * prod(taps.kernel) * prod(out) * x.itemsize):
        part = g[block].swapaxes(0, 1)
        left = _grouped(part.reshape(o, part.shape[1] * prod(out)), taps.groups)
        columns = _grouped(windows(xp, x[block], taps, out), taps.groups)
        result += xp.matmul(left, columns.swapaxes(-1, -2)).reshape(result.shape)
    return result
