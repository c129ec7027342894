"""Padding: `nn.functional.pad` in all its modes.

Room: ops. Padding other than by a constant reads its input at an index map per axis; its gradient
adds back along the same maps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import public
from bital.ops.view import Ints, ints
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: NumPy's words for PyTorch's modes
_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _pairs(ndim: int, pad: Ints) -> list[tuple[int, int]]:
    """(before, after) per axis, from PyTorch's order: the last axis first."""
    pairs = [(0, 0)] * ndim
    for k in range(len(pad) // 2):
        pairs[ndim - 1 - k] = (pad[2 * k], pad[2 * k + 1])
    return pairs


def _constant_rule(x: Meta, pad: Ints) -> tuple[Meta, dict]:
    pairs = _pairs(x.ndim, pad)
    shape, take, put = [], [], []
    for n, (before, after) in zip(x.shape, pairs):
        size = n + before + after
        if size < 0 or n + min(before, 0) < 0 or n + min(after, 0) < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        shape.append(size)
        take.append(slice(max(-before, 0), n - max(-after, 0)))
        put.append(slice(max(before, 0), size - max(after, 0)))
    return meta_of(tuple(shape), x.dtype, x.device), {
        "shape": tuple(shape), "take": tuple(take), "put": tuple(put), "pad": pad,
    }  # fmt: skip


def _constant_impl(
    xp: Any, x: Any, value: Any, *, shape: Ints, take: tuple, put: tuple, pad: Ints
) -> Any:
    out = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)
    out[put] = x[take]
    return out


def _constant_native(
    xp: Any, x: Any, value: Any, *, shape: Ints, take: tuple, put: tuple, pad: Ints
) -> Any:
    """The constant and x side by side, axis after axis."""
    out, value = x[take], x.dtype.type(value)
    for axis, place in enumerate(put):
        ends = []
        for count in (place.start, shape[axis] - place.stop):
            edge = (*out.shape[:axis], count, *out.shape[axis + 1 :])
            ends.append(xp.full(edge, value, x.dtype))
        out = xp.concatenate([ends[0], out, ends[1]], axis)
    return out


_CONSTANT = Op(
    "constant_pad_nd",
    _constant_rule,
    _constant_impl,
    params=("value",),
    vjp=(lambda g, pad: apply(_CONSTANT, (g,), (tuple([-n for n in pad]),), (0,)),),
    batch=again(),
    native=_constant_native,
)


def _map(n: int, before: int, after: int, mode: str) -> np.ndarray | None:
    """Which element of an axis each padded place shows; None where nothing changes."""
    if not before and not after:
        return None
    own, more = np.arange(n), (max(before, 0), max(after, 0))
    drop = max(-before, 0), max(-after, 0)
    if mode == "circular":  # what is cut off does not come around
        return np.pad(own[drop[0] : n - drop[1]], more, "wrap")
    places = np.pad(own, more, _NUMPY_MODES[mode])  # type: ignore[call-overload]
    return places[drop[0] : len(places) - drop[1]]


def _mapped_rule(x: Meta, pad: Ints, mode: str) -> tuple[Meta, dict]:
    pairs = _pairs(x.ndim, pad)
    maps = tuple([_map(n, b, a, mode) for n, (b, a) in zip(x.shape, pairs)])
    shape = tuple([n if m is None else len(m) for n, m in zip(x.shape, maps)])
    return meta_of(shape, x.dtype, x.device), {"maps": maps, "pad": pad, "mode": mode}


def _mapped_impl(xp: Any, x: Any, *, maps: tuple, pad: Ints, mode: str) -> Any:
    for axis, places in enumerate(maps):
        if places is not None:
            x = x.take(places, axis)
    return x


def _back_rule(g: Meta, shape: Ints, pad: Ints, mode: str) -> tuple[Meta, dict]:
    x = meta_of(shape, g.dtype, g.device)
    return x, _mapped_rule(x, pad, mode)[1]


def _back_impl(xp: Any, g: Any, *, maps: tuple, pad: Ints, mode: str) -> Any:
    for axis, places in enumerate(maps):
        if places is None:
            continue
        pair = pad[2 * (len(maps) - 1 - axis) :][:2]
        g = _add_back(xp, g, axis, places, len(places) - pair[0] - pair[1])
    return g


def _add_back(xp: Any, g: Any, axis: int, places: np.ndarray, n: int) -> Any:
    """The sum, per element of an axis of n elements, of the padded places that show it."""
    shape = list(g.shape)
    shape[axis] = n
    out = xp.zeros(shape, g.dtype)
    into, source = xp.moveaxis(out, axis, 0), xp.moveaxis(g, axis, 0)
    order = np.argsort(places, kind="stable")
    # places shown once are added together; only repeated ones, few as a rule, take further rounds
    while len(order):
        shown, first = np.unique(places[order], return_index=True)
        into[shown] += source[order[first]]
        order = np.delete(order, first)
    return out


def _back_native(xp: Any, g: Any, *, maps: tuple, pad: Ints, mode: str) -> Any:
    """As `_back_impl`: every run of evenly spaced places is a window that is added."""
    for axis, places in enumerate(maps):
        if places is None:
            continue
        pair = pad[2 * (len(maps) - 1 - axis) :][:2]
        shape = (*g.shape[:axis], len(places) - sum(pair), *g.shape[axis + 1 :])
        out, done = xp.zeros(shape, g.dtype), 0
        ahead = (slice(None),) * axis
        for first, step, count in xp.runs_of(places):
            part = g[(*ahead, slice(done, done + count))]
            done += count
            if not step:
                part, count = xp.sum(part, axis, keepdims=True), 1
            end = first + (step or 1) * count
            where = (*ahead, slice(first, end if end >= 0 else None, step or 1))
            out[where] = out[where] + part
        g = out
    return g


_OPS: dict[tuple[str, int], Op] = {}


def _op(mode: str, axes: int) -> Op:
    """The operator of a mode for that many axes; PyTorch names them apart."""
    found = _OPS.get((mode, axes))
    if found is None:
        words = {"reflect": "Reflection", "replicate": "Replication"}
        name = f"{words[mode]}Pad{axes}DBackward0" if mode in words else "CopySlices"
        found = _OPS[mode, axes] = Op(
            f"{mode}_pad{axes}d", _mapped_rule, _mapped_impl, grad_fn=name,
            vjp=(lambda g, x_shape, pad, mode: apply(back, (g,), (x_shape, pad, mode)),),
        )  # fmt: skip
        back = Op(
            f"{mode}_pad{axes}d_backward", _back_rule, _back_impl, inputs=("g",),
            vjp=(lambda g, pad, mode: apply(_op(mode, axes), (g,), (pad, mode)),),
            native=_back_native,
        )  # fmt: skip
    return found


def _check_mapped(shape: Ints, pad: Ints, mode: str) -> None:
    ndim, axes = len(shape), len(pad) // 2
    if ndim not in (axes + 1, axes + 2) or axes > 3:
        raise NotImplementedError(
            f"Padding size {len(pad)} is not supported for {ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for k in range(axes):
        n, pair = shape[ndim - 1 - k], pad[2 * k : 2 * k + 2]
        if mode == "reflect" and max(pair) >= n:
            raise RuntimeError(
                f"Argument #{4 + 2 * k}: Padding size should be less than the corresponding input "
                f"dimension, but got: padding {pair} at dimension {ndim - 1 - k} of input "
                f"{list(shape)}"
            )
        if mode == "circular" and max(pair) > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")


@public("nn.functional", method=False)
def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with its last axes made longer (or, by negative counts, shorter) at both ends.

    `pad` is (before, after) of the last axis, then of the one before it, and so on. `mode` says
    what is put there: "constant" (`value`), "reflect", "replicate" (the edge) or "circular".
    """
    counts = ints("pad", "pad", 2, (pad,))
    if len(counts) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(counts) > 2 * input._meta.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(counts)} and input of dimension {input._meta.ndim}"
        )
    if mode == "constant":
        return apply(_CONSTANT, (input,), (counts,), (0 if value is None else value,))
    if value:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in _NUMPY_MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    _check_mapped(tuple(input._meta.shape), counts, mode)
    return apply(_op(mode, len(counts) // 2), (input,), (counts, mode))
