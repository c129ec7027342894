"""From a tensor to one example of it and back: what vmap does to its arguments and results.

Room: ops. `batch` makes the first axis of a tensor a lane, `unbatch` makes a lane the first axis;
each is the other's gradient. Gradients are those of one example while its level is active, and are
summed over the lanes of levels that are not (see `sum_lanes`).
"""

from __future__ import annotations

import heapq
import weakref
from typing import Any

from bital.base.device import with_lanes
from bital.ir.batch import AS_IT_IS
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import local
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, edge_of, view_node

_free: list[int] = []
_known = 0
_living: weakref.WeakValueDictionary[int, Level] = weakref.WeakValueDictionary()


class Level:
    """One call of vmap: how many examples it has, and what random numbers do in it.

    `id` is the least that no living level has, so that programs which are the same have the same
    metas each time. Graphs hold the levels whose lanes they lead through.
    """

    __slots__ = ("id", "size", "randomness", "__weakref__")

    def __init__(self, size: int, randomness: str) -> None:
        global _known
        self.size, self.randomness = size, randomness
        try:
            self.id = heapq.heappop(_free)
        except IndexError:
            self.id = _known
            _known += 1
        _living[self.id] = self

    def __del__(self, give: Any = heapq.heappush, free: list[int] = _free) -> None:
        give(free, self.id)  # held by the defaults, since modules end before the last levels may

    def __enter__(self) -> Level:
        trace = local.trace
        trace.levels = (*trace.levels, self)
        return self

    def __exit__(self, *exc: object) -> None:
        trace = local.trace
        trace.levels = trace.levels[:-1]


def _place(lanes: tuple, level: int) -> int | None:
    """Which of the lanes is the level's."""
    return next((k for k, (each, _) in enumerate(lanes) if each == level), None)


def _batch_rule(x: Meta, level: int, size: int) -> tuple[Meta, dict]:
    lanes = tuple(sorted((*x.device.lanes, (level, size))))
    meta = meta_of(x.shape[1:], x.dtype, with_lanes(x.device, lanes))
    return meta, {"axis": len(x.device.lanes), "lane": _place(lanes, level)}


def _batch_impl(xp: Any, x: Any, *, axis: int, lane: int) -> Any:
    return x if axis == lane else xp.moveaxis(x, axis, lane)


def _unbatch_rule(x: Meta, level: int, size: int) -> tuple[Meta, dict]:
    lanes = tuple([lane for lane in x.device.lanes if lane[0] != level])
    meta = meta_of((size, *x.shape), x.dtype, with_lanes(x.device, lanes))
    shape = (*meta.device.sizes, *meta.shape)
    attrs = {"lane": _place(x.device.lanes, level), "axis": len(lanes), "shape": shape}
    return meta, attrs


def _unbatch_impl(xp: Any, x: Any, *, lane: int | None, axis: int, shape: tuple) -> Any:
    if lane is None:  # the same for every example
        return xp.broadcast_to(xp.expand_dims(x, axis), shape)
    return x if axis == lane else xp.moveaxis(x, lane, axis)


_BATCH = Op("batch_axis", _batch_rule, _batch_impl, alias=True, batch=AS_IT_IS)
_UNBATCH = Op("unbatch_axis", _unbatch_rule, _unbatch_impl, alias=True, batch=AS_IT_IS)


def batch(x: Tensor, level: Level) -> Tensor:
    """The example of x, whose first axis numbers the examples of `level`."""
    out = apply(_BATCH, (x,), (level.id, level.size))
    edge = edge_of(x)
    if edge is not None and local.trace.grad:
        out._edge = view_node("BatchBackward0", edge, x._meta, lambda g: unbatch(g, level))
    return out


def unbatch(x: Tensor, level: Level) -> Tensor:
    """All examples of x along a new first axis."""
    out = apply(_UNBATCH, (x,), (level.id, level.size))
    edge = edge_of(x)
    if edge is not None and local.trace.grad:
        out._edge = view_node("PermuteBackward0", edge, x._meta, lambda g: batch(g, level))
    return out


def is_batched(x: Any, level: Level) -> bool:
    """Whether x is a tensor that has an example for each of the level's."""
    return isinstance(x, Tensor) and (level.id, level.size) in x._meta.device.lanes


def noise_meta(meta: Meta) -> Meta:
    """What is drawn for a tensor of `meta`: where a running vmap wants different numbers, for all.

    The examples' axes lie in front, the outermost vmap's first.
    """
    levels = local.trace.levels
    if not levels:
        return meta
    sizes = [level.size for level in _differing(levels)]
    return meta_of((*sizes, *meta.shape), meta.dtype, with_lanes(meta.device, ()))


def per_example(noise: Tensor) -> Tensor:
    """What was drawn for `noise_meta` as the tensor of one example."""
    levels = local.trace.levels
    for level in _differing(levels) if levels else ():
        noise = batch(noise, level)
    return noise


def drawn_with(p: Tensor) -> Tensor:
    """A parameter of random numbers for all that is drawn."""
    for level in reversed(_differing(local.trace.levels)):
        p = unbatch(p, level)
    if p._meta.device.lanes:
        raise RuntimeError(
            "Vmap does not currently support same randomness with a batched tensor input. Please "
            "file an issue with functorch"
        )
    return p


def _differing(levels: tuple) -> list[Level]:
    """The running calls of vmap that want different numbers; an error where one wants none."""
    if any(level.randomness == "error" for level in levels):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the "
            "'same' or 'different' randomness flags on vmap or perform the randomness operation "
            "out of vmap"
        )
    return [level for level in levels if level.randomness == "different"]


def sum_lanes(g: Tensor, meta: Meta) -> Tensor:
    """A gradient summed over the lanes that what it is for, `meta`, has not.

    Inside a running vmap every example has a gradient of its own, so its lanes stay.
    """
    kept = {level.id for level in local.trace.levels}
    kept.update([level for level, _ in meta.device.lanes])
    for level, _ in g._meta.device.lanes:
        if level not in kept:
            g = unbatch(g, _living[level]).sum(0)
    return g


def all_examples(x: Tensor, recurse: bool = True) -> Tensor:
    """All examples of x, of the innermost running vmap only or of every one."""
    for level in reversed(local.trace.levels):
        if is_batched(x, level):
            x = unbatch(x, level)
            if not recurse:
                break
    return x
