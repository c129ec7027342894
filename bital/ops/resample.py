"""Resampling along axes: every place of the result is a weighted sum of elements of one line.

Room: ops. How a line of n elements becomes one of m is a `Line`: its taps say which elements, and
their weights. Images are resampled axis by axis; the gradient is the same with elements and places
exchanged. Sources of formulas: PyTorch's documentation of `interpolate`; Keys, "Cubic Convolution
Interpolation for Digital Image Processing" (1981); the antialiased filters are Pillow's.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.meta import Meta
from bital.ir.op import Op, like
from bital.ops.family import check_dtype, raise_not_implemented
from bital.ops.pooling import like as filled_like
from bital.ops.reduce import widened
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: places of the result (a slice for all), the element each reads, and its weight (None for 1);
#: no place comes twice
Round = tuple[Any, np.ndarray, "np.ndarray | None"]


class Line(NamedTuple):
    """How `size` elements become `out`: by which filter, and how coordinates are scaled.

    scale is the user's factor where coordinates are computed by it and not by the sizes; `wide`
    that they are computed in float64.
    """

    mode: str
    size: int
    out: int
    aligned: bool = False
    scale: float | None = None
    antialias: bool = False
    wide: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether the result is the input; a scale has no say where it is linear."""
        if self.size != self.out:
            return False
        if self.mode in ("nearest", "nearest-exact"):
            return self.scale is None
        return self.mode != "cubic" or self.antialias

    @property
    def kind(self) -> Any:
        """The type in which PyTorch computes coordinates."""
        return np.float64 if self.wide else np.float32

    def step(self) -> Any:
        """How far apart, in the input, neighbouring places of the result lie."""
        one = self.kind
        if self.aligned:
            return one(self.size - 1) / one(self.out - 1) if self.out > 1 else one(0)
        if self.scale is not None and self.scale > 0:
            return one(1 / self.scale)
        return one(self.size) / one(self.out)

    def source(self, xp: Any = np) -> Any:
        """Where in the input each place of the result lies."""
        number = xp.arange(self.out).astype(self.kind)
        if self.aligned:
            return number * self.step()
        half = self.kind(0.5)
        return self.step() * (number + half) - half


def _nearest(line: Line, xp: Any) -> list[Round]:
    number = xp.arange(line.out).astype(line.kind)
    at = (number * line.step()).astype(np.float32)
    return [(slice(None), xp.minimum(xp.floor(at).astype(np.int64), line.size - 1), None)]


def _nearest_exact(line: Line, xp: Any) -> list[Round]:
    at = (xp.maximum(line.source(xp), 0) + line.kind(0.5)).astype(np.float32)
    return [(slice(None), xp.minimum(xp.floor(at).astype(np.int64), line.size - 1), None)]


def _linear(line: Line, xp: Any) -> list[Round]:
    at = xp.arange(line.out) if line.is_plain else xp.maximum(line.source(xp), 0)
    first = xp.minimum(xp.floor(at).astype(np.int64), line.size - 1)
    far = xp.clip(at - first, 0, 1)
    second = xp.minimum(first + 1, line.size - 1)
    return [(slice(None), first, 1 - far), (slice(None), second, far)]


def _cubic_near(x: Any, a: float) -> Any:
    """Keys' kernel for distances up to 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def _cubic_far(x: Any, a: float) -> Any:
    """Keys' kernel for distances from 1 to 2."""
    return ((x - 5) * x + 8) * x * a - 4 * a


def cubic_weights(t: Any, a: float = -0.75) -> list[Any]:
    """The weights of the four elements around a point, t behind the second."""
    return [
        _cubic_far(t + 1, a), _cubic_near(t, a), _cubic_near(1 - t, a), _cubic_far(2 - t, a),
    ]  # fmt: skip


def _cubic(line: Line, xp: Any) -> list[Round]:
    at = line.source(xp)
    first = xp.floor(at).astype(np.int64)
    weights = cubic_weights(xp.clip(at - first, 0, 1))
    return [
        (slice(None), xp.clip(first + k, 0, line.size - 1), w)
        for k, w in zip((-1, 0, 1, 2), weights)
    ]


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    return np.where(x < 1, _cubic_near(x, -0.5), np.where(x < 2, _cubic_far(x, -0.5), 0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


#: filter, and how far it reaches
_SMOOTH: dict[str, tuple[Callable, int]] = {
    "linear": (_triangle, 1), "cubic": (_keys, 2), "lanczos": (_lanczos, 3),
}  # fmt: skip


def _antialiased(line: Line) -> list[Round]:
    """The filter stretched over all elements that a place of a smaller result stands for."""
    if line.is_plain:
        return [(slice(None), np.arange(line.out), None)]
    kernel, reach = _SMOOTH[line.mode]
    step = float(line.step())
    stretch = max(step, 1.0)
    centre = step * (np.arange(line.out) + 0.5)
    first = np.maximum((centre - reach * stretch + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + reach * stretch + 0.5).astype(np.int64), line.size)
    taps = np.arange(max(int((last - first).max(initial=0)), 0))
    at = first[:, None] + taps
    far = (at - centre[:, None] + 0.5) / stretch
    weights = np.where(at < last[:, None], kernel(far), 0)
    total = weights.sum(1, keepdims=True)
    weights = (weights / np.where(total == 0, 1, total)).astype(line.kind)
    rounds: list[Round] = []
    for k in taps:
        having = np.flatnonzero(at[:, k] < last)
        rounds.append((having, at[having, k], weights[having, k]))
    return rounds


_RULES = {
    "nearest": _nearest, "nearest-exact": _nearest_exact, "linear": _linear, "cubic": _cubic,
}  # fmt: skip


@functools.lru_cache(512)
def _rounds(line: Line) -> tuple[Round, ...]:
    return tuple(_antialiased(line) if line.antialias else _RULES[line.mode](line, np))


@functools.lru_cache(512)
def _rounds_back(line: Line) -> tuple[Round, ...]:
    """The rounds with elements and places exchanged."""
    entries = []
    for places, elements, weights in _rounds(line):
        at = np.arange(line.out)[places]
        entries.append((elements, at, np.ones(len(at)) if weights is None else weights))
    elements, at, weights = (np.concatenate([e[k] for e in entries]) for k in range(3))
    order = np.argsort(elements, kind="stable")
    elements, at, weights = elements[order], at[order], weights[order]
    _, start = np.unique(elements, return_index=True)
    turn = np.arange(len(elements)) - np.repeat(start, np.diff([*start, len(elements)]))
    return tuple(
        [
            (elements[turn == k], at[turn == k], weights[turn == k])
            for k in range(int(turn.max(initial=-1)) + 1)
        ]
    )


def _along(xp: Any, x: Any, axis: int, rounds: tuple[Round, ...], n: int) -> Any:
    """x with the line along `axis` resampled to n places."""
    if len(rounds) == 1 and rounds[0][2] is None:
        return x.take(rounds[0][1], axis)
    tail = (1,) * (x.ndim - 1 - axis)
    out = None
    for places, elements, weights in rounds:
        part = x.take(elements, axis)
        if weights is not None:
            part *= weights.astype(x.dtype).reshape(-1, *tail)
        if out is None and type(places) is slice:
            out = part
            continue
        if out is None:
            out = filled_like(xp, x, (*x.shape[:axis], n, *x.shape[axis + 1 :]), 0)
        out[(slice(None),) * axis + (places,)] += part
    if out is None:
        out = filled_like(xp, x, (*x.shape[:axis], n, *x.shape[axis + 1 :]), 0)
    return out


def _in_fixed_point(xp: Any, x: Any, axis: int, rounds: tuple[Round, ...], n: int) -> Any:
    """`_along` for bytes, with weights of 16 bits, as Pillow computes it and PyTorch too."""
    largest = max([float(w.max(initial=0)) for _, _, w in rounds if w is not None], default=1.0)
    bits = 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    tail = (1,) * (x.ndim - 1 - axis)
    out = xp.full((*x.shape[:axis], n, *x.shape[axis + 1 :]), (1 << bits) >> 1, xp.int64)
    for places, elements, weights in rounds:
        scaled = np.asarray(1.0 if weights is None else weights, np.float64) * (1 << bits)
        whole = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)
        part = x.take(elements, axis).astype(xp.int64) * whole.reshape(-1, *tail)
        out[(slice(None),) * axis + (places,)] += part
    return xp.clip(out >> bits, 0, 255).astype(x.dtype)


def _impl(xp: Any, x: Any, *, lines: tuple[Line, ...]) -> Any:
    wide = widened(x)
    along = _along
    if x.dtype == np.uint8 and lines[0].mode not in ("nearest", "nearest-exact"):
        along = _in_fixed_point
    for axis in reversed(range(2, x.ndim)):
        line = lines[axis - 2]
        if not line.is_plain:
            wide = along(xp, wide, axis, _rounds(line), line.out)
    return xp.array(wide) if wide is x else wide.astype(x.dtype, copy=False)


def _impl_back(xp: Any, g: Any, *, lines: tuple[Line, ...]) -> Any:
    wide = widened(g)
    for axis, line in enumerate(lines, 2):
        wide = _along(xp, wide, axis, _rounds_back(line), line.size)
    return wide.astype(g.dtype, copy=False)


def _times(line: Line) -> int:
    """How often each element comes, one after another; 0 where that is not all there is to it."""
    if line.mode not in ("nearest", "nearest-exact") or line.out % line.size:
        return 0
    often = line.out // line.size
    same = np.array_equal(_rounds(line)[0][1], np.arange(line.out) // often)
    return often if same else 0


def _symbolic_rounds(xp: Any, line: Line) -> list[Round]:
    if line.antialias:
        raise NotImplementedError("filters of many elements")
    return _RULES[line.mode](line, xp)


def _native(xp: Any, x: Any, *, lines: tuple[Line, ...]) -> Any:
    """`_impl` in array words: places and weights are computed where they are needed."""
    if x.dtype.kind != "f":
        raise NotImplementedError("bytes")
    for axis in reversed(range(2, x.ndim)):
        line, tail = lines[axis - 2], (1,) * (x.ndim - 1 - axis)
        if line.is_plain:
            continue
        if _times(line):
            shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
            wide = (*x.shape[: axis + 1], _times(line), *x.shape[axis + 1 :])
            x = xp.broadcast_to(x.reshape(shape), wide)
            x = x.reshape((*wide[:axis], line.out, *wide[axis + 2 :]))
            continue
        parts = [
            xp.take(x, elements, axis)
            * (1 if weights is None else weights.astype(x.dtype).reshape(-1, *tail))
            for _, elements, weights in _symbolic_rounds(xp, line)
        ]
        x = functools.reduce(operator.add, parts)
    return x


def _native_back(xp: Any, g: Any, *, lines: tuple[Line, ...]) -> Any:
    for axis, line in enumerate(lines, 2):
        tail, sums = (1,) * (g.ndim - 1 - axis), line.size
        if _times(line):
            parts = (*g.shape[:axis], line.size, _times(line), *g.shape[axis + 1 :])
            g = xp.sum(g.reshape(parts), axis + 1)
            continue
        for _, elements, weights in _symbolic_rounds(xp, line):
            part = g if weights is None else g * weights.astype(g.dtype).reshape(-1, *tail)
            sums = xp.put_rows(xp.moveaxis(part, axis, 0), elements, sums, how="add")
        g = xp.moveaxis(sums, 0, axis)
    return g


def _sized(x: Meta, sizes: list[int], lines: tuple[Line, ...]) -> tuple[Meta, dict]:
    return like(x, (*x.shape[:2], *sizes)), {"lines": lines}


def resampling(fn: str, grad_fn: str) -> Callable[[Tensor, tuple[Line, ...]], Tensor]:
    """The function that resamples the axes of (N, C, *) along lines, named as PyTorch's."""

    def rule(x: Meta, lines: tuple[Line, ...]) -> tuple[Meta, dict]:
        bytes_too = not lines[0].antialias or lines[0].mode != "lanczos"
        if x.dtype.category == INT and not (x.dtype.name == "uint8" and bytes_too):
            raise_not_implemented(fn, x.dtype)
        check_dtype(x.dtype, (BOOL, COMPLEX), fn)
        return _sized(x, [line.out for line in lines], lines)

    back = Op(
        f"{fn}_backward", lambda g, lines: _sized(g, [line.size for line in lines], lines),
        _impl_back, inputs=("g",), vjp=(lambda h, lines: apply(op, (h,), (lines,)),),
        native=_native_back,
        grad_fn=grad_fn.replace("Backward0", "BackwardBackward0"),
    )  # fmt: skip
    vjp = (lambda g, lines: apply(back, (g,), (lines,)),)
    op = Op(fn, rule, _impl, vjp=vjp, grad_fn=grad_fn, native=_native)

    def resampled(x: Tensor, lines: tuple[Line, ...]) -> Tensor:
        return apply(op, (x,), (lines,))

    return resampled
