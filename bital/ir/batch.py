"""How an operator made for one example is applied to many at once: what vmap runs on.

Room: ir. Under vmap a value's Meta is that of one example, on a device with lanes; its array has an
axis per lane in front. So operators, their rules and gradients see examples only, and all that is
particular is how an implementation is bound when a Spec is made. That is decided here, once per
Spec: recording and running know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from bital.base.device import device
from bital.ir.meta import Meta, meta_of


class Batch:
    """An operator about to be bound for arrays of many examples.

    `metas`, `attrs`, `out` and `kwargs` are those of one example, as in a Spec; `fn` is the
    implementation bound for it, which takes its arrays and then its run-time scalars; `sizes` are
    the leading axes of the result's array; `resolve(metas, attrs)` gives the operator's Spec for
    other operands and attributes.
    """

    __slots__ = ("metas", "attrs", "out", "kwargs", "fn", "sizes", "resolve")

    def __init__(
        self,
        metas: tuple[Meta, ...],
        attrs: tuple,
        out: Any,
        kwargs: Mapping[str, Any],
        fn: Callable,
        sizes: tuple[int, ...],
        resolve: Callable,
    ) -> None:
        self.metas, self.attrs, self.out, self.kwargs = metas, attrs, out, kwargs
        self.fn, self.sizes, self.resolve = fn, sizes, resolve

    @property
    def outs(self) -> tuple[Meta, ...]:
        return self.out if isinstance(self.out, tuple) else (self.out,)

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        return self.outs[0].device.lanes

    def align(self, k: int, rank: int) -> Callable[[Any], Any]:
        """What gives operand k's array the axes by which it broadcasts with the others.

        These are every lane of the result, of size 1 where the operand has it not, and `rank` axes
        of an example.
        """
        meta = self.metas[k]
        own = meta.device.lanes
        if not own or (own == self.lanes and meta.ndim >= rank):
            return _as_it_is
        index: list[Any] = [slice(None) if lane in own else None for lane in self.lanes]
        index += [None] * (rank - meta.ndim) + [Ellipsis]
        at = tuple(index)
        return lambda array: array[at]

    def full(self, k: int, rank: int = 0) -> Callable[[Any], Any]:
        """What gives operand k's array every lane of the result in full, and `rank` axes."""
        meta = self.metas[k]
        align = self.align(k, rank)
        if meta.device.lanes == self.lanes:
            return align
        if rank and not meta.ndim and not meta.device.lanes:
            return _as_it_is  # a number broadcasts everywhere
        shape = (*self.sizes, *[1] * (rank - meta.ndim), *meta.shape)
        return lambda array: np.broadcast_to(align(array), shape)


Batching = Callable[[Batch], Callable]


def _as_it_is(array: Any) -> Any:
    return array


def AS_IT_IS(batch: Batch) -> Callable:
    """For operators whose rule and implementation know of lanes themselves."""
    return batch.fn


def placed(out: Any, where: device) -> Any:
    """The metas of a result, on another device."""
    if isinstance(out, tuple):
        return tuple([meta_of(m.shape, m.dtype, where) for m in out])
    return meta_of(out.shape, out.dtype, where)


def into_contiguous(fn: Callable) -> Callable:
    """`fn` that writes into a buffer given to it if that is contiguous, as results here may not be.

    NumPy lays results out as their operands, and an example's axes need not be the last ones.
    """

    def call(*args: Any, out: Any = None) -> Any:
        return fn(*args) if out is None or not out.flags.c_contiguous else fn(*args, out=out)

    return call


def broadcast(batch: Batch) -> Callable:
    """For implementations that broadcast leading axes: the operands are only lined up."""
    rank = max(m.ndim for m in (*batch.metas, *batch.outs))
    return _lined_up(batch.fn, [batch.align(k, rank) for k in range(len(batch.metas))])


def elementwise(batch: Batch) -> Callable:
    """For elementwise implementations of any kind: every operand has all lanes in full.

    Such an implementation may count on shapes that its operands have for one example.
    """
    rank = max(m.ndim for m in (*batch.metas, *batch.outs))
    return _lined_up(batch.fn, [batch.full(k, rank) for k in range(len(batch.metas))])


def _lined_up(fn: Callable, lines: list[Callable]) -> Callable:
    count = len(lines)
    if all(line is _as_it_is for line in lines):
        return fn

    def call(*args: Any, **out: Any) -> Any:
        return fn(*[line(a) for line, a in zip(lines, args)], *args[count:], **out)

    return call


def looped(batch: Batch) -> Callable:
    """For any implementation: one call per example, the results put side by side."""
    fn, sizes, outs = batch.fn, batch.sizes, batch.outs
    full = [batch.full(k) if m.device.lanes else None for k, m in enumerate(batch.metas)]
    count = len(full)

    def call(*args: Any, out: Any = None) -> Any:
        arrays = [a if line is None else line(a) for line, a in zip(full, args)]
        scalars = args[count:]
        made = [np.empty((*sizes, *m.shape), m.np) for m in outs]
        for at in np.ndindex(*sizes):
            place = (*at, Ellipsis)
            each = [a if line is None else a[place] for line, a in zip(full, arrays)]
            got = fn(*each, *scalars)
            for whole, part in zip(made, got if isinstance(batch.out, tuple) else (got,)):
                whole[place] = part
        if out is not None:
            out[...] = made[0]
            return out
        return tuple(made) if isinstance(batch.out, tuple) else made[0]

    return call


def leading(batch: Batch) -> Callable:
    """For implementations that take arrays with any number of leading axes, the same for all."""
    return _lined_up(batch.fn, [batch.full(k) for k in range(len(batch.metas))])


def again(
    *axes: int, sizes: tuple[int, ...] = (), bare: tuple[int, ...] = (), all_for_none: bool = False
) -> Batching:
    """For operators of arrays with any number of axes: the operator itself, its rule asked again.

    axes   which of the attributes are axes of an example: one, several, or None for all of them
    sizes  which are the sizes of a result's axes
    bare   which operands have no lanes in this way of doing it
    all_for_none  no axes at all mean all of them, too
    """

    def batching(batch: Batch) -> Callable:
        lanes, first = len(batch.sizes), batch.metas[0]
        attrs = list(batch.attrs)
        for k in axes:
            whole = all_for_none and attrs[k] == ()
            attrs[k] = _behind(None if whole else attrs[k], lanes, first.ndim)
        for k in sizes:
            attrs[k] = (*batch.sizes, *attrs[k])
        metas, lines = [], []
        for k, m in enumerate(batch.metas):
            if k in bare and m.device.lanes:
                return looped(batch)
            lead = () if k in bare else batch.sizes
            metas.append(meta_of((*lead, *m.shape), m.dtype))
            lines.append(_as_it_is if k in bare else batch.full(k))
        return _if_fits(batch, tuple(metas), tuple(attrs), lines)

    return batching


def along(k: int) -> Batching:
    """`again` for an attribute that is one axis, or None for a result of all elements in a row."""
    way = again(k)
    return lambda batch: looped(batch) if batch.attrs[k] is None else way(batch)


def _behind(axes: Any, lanes: int, rank: int) -> Any:
    """Axes of an example as those of an array with the lanes in front."""
    if axes is None:
        return tuple(range(lanes, lanes + rank))
    if isinstance(axes, int):
        return axes if axes < 0 else axes + lanes
    return tuple([axis if axis < 0 else axis + lanes for axis in axes])


def _if_fits(batch: Batch, metas: tuple[Meta, ...], attrs: tuple, lines: list) -> Callable:
    """The operator for arrays, if that is what gives the examples' results side by side."""
    if not batch.metas[0].ndim:
        return looped(batch)  # an operator may take numbers for something else
    spec = batch.resolve(metas, attrs)
    outs = spec.out if isinstance(spec.out, tuple) else (spec.out,)
    if [tuple(o.shape) for o in outs] != [(*batch.sizes, *o.shape) for o in batch.outs]:
        return looped(batch)
    return _lined_up(spec.fn, lines)


def folded(*which: int) -> Batching:
    """For operators whose first axis numbers things apart, in operands `which` and the results.

    Lanes become part of that axis where no other operand has any.
    """

    def batching(batch: Batch) -> Callable:
        if not all(m.ndim if k in which else not m.device.lanes for k, m in enumerate(batch.metas)):
            return looped(batch)
        many = prod(batch.sizes)
        metas = tuple(
            [
                meta_of((many * m.shape[0], *m.shape[1:]), m.dtype) if k in which else m
                for k, m in enumerate(batch.metas)
            ]
        )
        spec = batch.resolve(metas, batch.attrs)
        outs = spec.out if isinstance(spec.out, tuple) else (spec.out,)
        if any((many * b.shape[0], *b.shape[1:]) != (*a.shape,) for a, b in zip(outs, batch.outs)):
            return looped(batch)
        shapes = [(*batch.sizes, *o.shape) for o in batch.outs]
        full = [batch.full(k) if k in which else None for k in range(len(metas))]

        def call(*args: Any) -> Any:
            arrays = [
                a if line is None else line(a).reshape(m.shape)
                for line, a, m in zip(full, args, metas)
            ]
            got = spec.fn(*arrays, *args[len(metas) :])
            if not isinstance(got, tuple):
                return got.reshape(shapes[0])
            return tuple([part.reshape(shape) for part, shape in zip(got, shapes)])

        return call

    return batching
