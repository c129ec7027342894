"""Pooling of arrays: where windows lie along axes, and sums and extremes over them.

Room: ops; arrays and numbers only, no tensors. A window's elements are visited tap by tap: tap t of
all windows of an axis at once, those left out whose tap t lies outside the input. Sums and extremes
go axis by axis. Results keep the memory order of their operand.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Ints = tuple[int, ...]
#: which windows of an axis have a tap (their numbers), and which elements it meets
Meeting = tuple[Any, Any]
_ALL = slice(None)


class Windows(NamedTuple):
    """The windows of one axis of `size` elements: `out` of them, `kernel` taps `dilation` apart.

    kernel 0 means windows that cover the axis as evenly as whole numbers can (adaptive pooling).
    """

    size: int
    out: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def ends(self, with_padding: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Where each window starts and ends, in the input or also in its padding."""
        number = np.arange(self.out)
        if not self.kernel:
            return number * self.size // self.out, -(-(number + 1) * self.size // self.out)
        start = number * self.stride - self.padding
        if with_padding:
            return start, np.minimum(start + self.kernel, self.size + self.padding)
        return np.maximum(start, 0), np.minimum(start + self.kernel, self.size)


def one_window(axes: tuple[Windows, ...]) -> bool:
    """Whether there is one window, which is all of the axes."""
    return all(w.out == 1 and w.kernel == w.size and not w.padding for w in axes)


def adaptive(size: int, out: int) -> Windows:
    """The windows of adaptive pooling; as plain ones where they divide the axis."""
    if size and out and size % out == 0:
        return Windows(size, out, size // out, size // out)
    return Windows(size, out)


@functools.lru_cache(1024)
def meetings(w: Windows) -> tuple[Meeting, ...]:
    """Per tap the windows that have it and the elements it meets; taps that meet none left out.

    No window and no element comes twice in one meeting.
    """
    found: list[Meeting] = []
    if not w.kernel:
        start, end = w.ends()
        for t in range(int((end - start).max(initial=0))):
            having = np.flatnonzero(start + t < end)
            while having.size:  # windows that meet one element take turns
                met, chosen = np.unique(start[having] + t, return_index=True)
                found.append((having[chosen], met))
                having = np.delete(having, chosen)
        return tuple(found)
    for t in range(w.kernel):
        at = t * w.dilation - w.padding
        first = max(0, -(at // w.stride))
        last = min(w.out, (w.size - 1 - at) // w.stride + 1)
        if first < last:
            begin = first * w.stride + at
            stop = begin + (last - first - 1) * w.stride + 1
            found.append((slice(first, last), slice(begin, stop, w.stride)))
    return tuple(found)


def _is_whole(w: Windows, meeting: Meeting) -> bool:
    """Whether every window has the tap."""
    return type(meeting[0]) is slice and meeting[0] == slice(0, w.out)


def _on(selection: Any, axis: int) -> tuple:
    return (_ALL,) * axis + (selection,)


def like(xp: Any, x: Any, shape: Ints, value: Any) -> Any:
    """An array of `shape` filled with value, in x's dtype and memory order."""
    out = xp.empty_like(x, shape=shape)
    out[...] = value
    return out


def laid_like(xp: Any, x: Any, model: Any) -> Any:
    """x in the memory order of an array of its shape: operands that differ in it are slow."""
    if x.strides == model.strides:
        return x
    out = xp.empty_like(model, dtype=x.dtype)
    out[...] = x
    return out


def reduced(xp: Any, fn: Callable, x: Any, axes: tuple[Windows, ...], start: Any) -> Any:
    """`fn` (a ufunc of two operands) over all elements of each window of the last axes.

    `start` is the value of a window without elements.
    """
    for axis, w in enumerate(axes, x.ndim - len(axes)):
        x = _reduced_along(xp, fn, x, axis, w, start)
    return x


def _reduced_along(xp: Any, fn: Callable, x: Any, axis: int, w: Windows, start: Any) -> Any:
    taps = list(meetings(w))
    if not w.kernel and len(taps) == w.size and w.out == 1:
        return fn.reduce(x, axis=axis, keepdims=True)  # type: ignore[attr-defined]
    if w.kernel == w.size and w.out == 1 and len(taps) == w.size:
        return fn.reduce(x, axis=axis, keepdims=True)  # type: ignore[attr-defined]
    whole = [t for t in taps if _is_whole(w, t)]
    if len(whole) > 1:
        out = fn(x[_on(whole[0][1], axis)], x[_on(whole[1][1], axis)])
        taps = [t for t in taps if t is not whole[0] and t is not whole[1]]
    elif whole:
        out = xp.array(x[_on(whole[0][1], axis)], order="K")
        taps = [t for t in taps if t is not whole[0]]
    else:
        out = like(xp, x, (*x.shape[:axis], w.out, *x.shape[axis + 1 :]), start)
    for having, met in taps:
        place = _on(having, axis)
        if type(having) is slice:
            fn(out[place], x[_on(met, axis)], out=out[place])
        else:
            out[place] = fn(out[place], x[_on(met, axis)])
    return out


def shared_out(xp: Any, g: Any, axes: tuple[Windows, ...]) -> Any:
    """Every element gets the sum of g over the windows it lies in: the transpose of a sum."""
    for axis, w in enumerate(axes, g.ndim - len(axes)):
        shape = (*g.shape[:axis], w.size, *g.shape[axis + 1 :])
        taps = meetings(w)
        if w.kernel == w.stride and w.dilation == 1:  # every element lies in one window at most
            out = xp.empty_like(g, shape=shape)
            if w.size > w.out * w.kernel or w.padding:
                out[...] = 0
            for having, met in taps:
                out[_on(met, axis)] = g[_on(having, axis)]
        else:
            out = like(xp, g, shape, 0)
            for having, met in taps:
                out[_on(met, axis)] += g[_on(having, axis)]
        g = out
    return g


def mesh(selections: tuple) -> tuple:
    """An index for the last axes from one selection for each."""
    if all(type(s) is slice for s in selections):
        return (..., *selections)
    return (
        ...,
        *np.ix_(*[np.arange(s.stop)[s] if type(s) is slice else s for s in selections]),
    )


def taps(axes: tuple[Windows, ...]) -> Iterator[tuple[tuple, tuple]]:
    """Per tap of all axes together: the index of the windows that have it, and of what it meets."""
    for each in itertools.product(*[meetings(w) for w in axes]):
        yield mesh(tuple([m[0] for m in each])), mesh(tuple([m[1] for m in each]))


def lowest(x: Any) -> Any:
    """A number that no number of x's dtype is below."""
    return -math.inf if x.dtype.kind not in "iu" else np.iinfo(x.dtype).min


def largest(xp: Any, x: Any, axes: tuple[Windows, ...]) -> tuple[Any, Any]:
    """The largest element of each window, and its number in the last axes, flat.

    As in PyTorch the first of several equal ones counts, and the last NaN.
    """
    shape = (*x.shape[: -len(axes)], *[w.out for w in axes])
    out = like(xp, x, shape, lowest(x))
    numbers = np.arange(math.prod(w.size for w in axes)).reshape([w.size for w in axes])
    starts = mesh(tuple([_first_of(w) for w in axes]))
    index = xp.empty(shape, xp.int64)
    index[...] = numbers[starts]
    floats = x.dtype.kind not in "iu"
    for having, met in taps(axes):
        seen, here = x[met], out[having]
        better = seen > here
        if floats:
            better |= seen != seen
        out[having] = xp.where(better, seen, here)
        index[having] = xp.where(better, numbers[met], index[having])
    return out, index


def _first_of(w: Windows) -> np.ndarray:
    """The first element of each window that lies in the input."""
    if not w.kernel:
        return w.ends()[0]
    start = np.arange(w.out) * w.stride - w.padding
    behind = np.maximum(-(start // w.dilation), 0)  # taps that come before the input
    return np.where(start < 0, start + behind * w.dilation, start)


def winners(xp: Any, x: Any, peak: Any, axes: tuple[Windows, ...]) -> Iterator[tuple]:
    """Per tap its windows, what it meets, and where that is the window's largest, `peak`.

    Every window has one such tap: the first largest, or the last NaN.
    """
    if x.dtype.kind not in "iu" and (peak != peak).any():
        yield from _winners_by_number(xp, x, axes)
        return
    taken = None
    for having, met in taps(axes):
        is_it = x[met] == peak[having]
        if taken is None:
            taken = like(xp, is_it, peak.shape, False)
            taken[having] = is_it
        else:
            before = taken[having]
            here = before | is_it
            is_it = xp.greater(is_it, before, out=is_it)
            taken[having] = here
        yield having, met, is_it


def _winners_by_number(xp: Any, x: Any, axes: tuple[Windows, ...]) -> Iterator[tuple]:
    _, index = largest(xp, x, axes)
    sizes = [w.size for w in axes]
    numbers = np.arange(math.prod(sizes)).reshape(sizes)
    for having, met in taps(axes):
        yield having, met, index[having] == numbers[met]
