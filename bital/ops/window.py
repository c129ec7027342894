"""Windows and gradients: how the gradient of a part becomes that of the whole, and back.

Room: ops. Every view's gradient is one strided write into zeros; a write in place through a view
splits the gradient of what it is a view of at the window. Offsets are run-time scalars, so that
another row or another step of a loop is the same program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bital.base.stride import extent, is_contiguous, is_dense_nonoverlapping
from bital.base.window import strided
from bital.ir.batch import Batch, leading, looped
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ir.trace import Trace, local
from bital.tensor import dispatch, tensor
from bital.tensor.dispatch import apply
from bital.tensor.node import SECOND_TIME, Node, output_of, rule_form
from bital.tensor.storage import view_at
from bital.tensor.tensor import Tensor, attach, edge_of, strides_of, view_node, view_of, window

Ints = tuple[int, ...]


def never_shares(shape: Ints, strides: Ints) -> bool:
    """Whether no two elements of a window lie in one place (a sufficient condition)."""
    reach = 0
    for step, n in sorted(zip(strides, shape)):
        if n > 1:
            if step <= reach:
                return False
            reach += step * (n - 1)
    return True


#: a window whose elements share places is compiled if it takes no more steps than this
_MOST_STEPS = 16


def _spread_rule(g: Meta, shape: Ints, strides: Ints) -> tuple[Meta, dict]:
    slots: tuple[int, ...] | None = None
    if not never_shares(g.shape, strides):
        slots = _axes_to_walk(g.shape, strides)
    return meta_of(shape, g.dtype, g.device), {"shape": shape, "strides": strides, "walk": slots}


def _axes_to_walk(shape: Ints, strides: Ints) -> Ints:
    """Axes to step along one by one so that each step writes to every place once at most.

    The shortest axes go first; for the windows of `unfold` that is the window's own axis.
    """
    left = sorted(range(len(shape)), key=lambda k: (strides[k] != 0, shape[k]))
    walked: list[int] = []
    while left:
        kept = [k for k in range(len(shape)) if k not in walked]
        if never_shares(tuple(shape[k] for k in kept), tuple(strides[k] for k in kept)):
            break
        walked.append(left.pop(0))
    return tuple(sorted(walked))


def _spread_impl(
    xp: Any, g: Any, offset: int, *, shape: Ints, strides: Ints, walk: Ints | None
) -> Any:
    out = xp.zeros(shape, g.dtype)
    place = strided(out, offset, g.shape, strides, g.dtype)
    if walk is None:
        place[...] = g
        return out
    index: list[Any] = [slice(None)] * g.ndim
    for at in np.ndindex(*[g.shape[k] for k in walk]):
        for k, i in zip(walk, at):
            index[k] = i
        place[tuple(index)] += g[tuple(index)]
    return out


def _spread_native(
    xp: Any, g: Any, offset: Any, *, shape: Ints, strides: Ints, walk: Ints | None
) -> Any:
    out = xp.zeros(shape, g.dtype)
    if walk is None:
        return xp.written(out, g, g.shape, strides, offset)
    sizes = [g.shape[k] for k in walk]
    if math.prod(sizes) > _MOST_STEPS:
        raise NotImplementedError("a window that meets itself so often")
    index: list[Any] = [slice(None)] * g.ndim
    rest = [k for k in range(g.ndim) if k not in walk]
    part, steps = tuple([g.shape[k] for k in rest]), tuple([strides[k] for k in rest])
    for at in np.ndindex(*sizes):
        start = offset + sum(i * strides[k] for k, i in zip(walk, at))
        for k, i in zip(walk, at):
            index[k] = i
        more = xp.window(out, part, steps, start) + g[tuple(index)]
        out = xp.written(out, more, part, steps, start)
    return out


def _spread_each(batch: Batch) -> Callable:
    """Windows of the zeros of many examples: where no two elements share a place, all at once."""
    kwargs, lanes = batch.kwargs, len(batch.sizes)
    if kwargs["walk"] is not None:
        return looped(batch)

    def spread(g: Any, offset: int) -> Any:
        out = np.zeros((*batch.sizes, *kwargs["shape"]), g.dtype)
        strided(out, offset, g.shape[lanes:], kwargs["strides"], g.dtype, lanes)[...] = g
        return out

    return spread


#: zeros of `shape`, contiguous, with g added where its elements lie (strides, offset)
SPREAD = Op(
    "window_spread",
    _spread_rule,
    _spread_impl,
    inputs=("g",),
    params=("offset",),
    vjp=(lambda g, g_shape, strides, offset: part(g, g_shape, strides, offset),),
    batch=_spread_each,
    native=_spread_native,
)


def _clear_impl(
    xp: Any, g: Any, offset: int, *, window: Ints, strides: Ints, out: Any = None
) -> Any:
    if out is None:
        out = xp.array(g, order="C", copy=True)
    strided(out, offset, window, strides, out.dtype)[...] = 0
    return out


#: g with zeros in a window of it
CLEAR = Op(
    "window_clear",
    lambda g, window, strides: (g, {"window": window, "strides": strides}),
    _clear_impl,
    inputs=("g",),
    params=("offset",),
    vjp=(lambda g, window, strides, offset: apply(CLEAR, (g,), (window, strides), (offset,)),),
    out="first",
    native=lambda xp, g, offset, *, window, strides: xp.written(
        g, xp.zeros((), g.dtype), window, strides, offset
    ),
)


def spread(g: Tensor, shape: Ints, strides: Ints, offset: int) -> Tensor:
    """Zeros of `shape` with g added in the window (g's shape, strides, offset) of it."""
    return apply(SPREAD, (g,), (shape, strides), (offset,))


def part(g: Tensor, shape: Ints, strides: Ints, offset: int) -> Tensor:
    """The window (shape, strides, offset) of g, whose elements are taken in plain order."""
    if g._view is not None and not is_contiguous(g._meta.shape, g._view.strides):
        g = packed(g)
    whole = g._meta.shape
    return attach(
        bare_view(
            g, meta_of(shape, g._meta.dtype, g._meta.device), strides, offset + g.storage_offset()
        ),
        g,
        "AsStridedBackward0",
        lambda gg: spread(gg, whole, strides, offset),
    )


_PACK = Op(
    "contiguous",
    lambda x: (x, {}),
    lambda xp, x: xp.array(x, order="C", copy=True),
    vjp=(lambda g: g,),
    grad_fn="CloneBackward0",
    batch=leading,
)


def packed(t: Tensor) -> Tensor:
    """A contiguous copy, differentiably."""
    return apply(_PACK, (t,))


def laid_out(t: Tensor, strides: Ints) -> Tensor:
    """A differentiable copy of t that lies in memory as `strides` say (dense ones)."""
    order = sorted(range(t._meta.ndim), key=lambda k: -strides[k])
    if not is_dense_nonoverlapping(t._meta.shape, strides) or order == list(range(len(order))):
        return packed(t)
    return dispatch.composite(_LAID_OUT, _lay_out, (t,), (tuple(order), strides))


def _lay_out(t: Tensor, *, order: Ints, strides: Ints) -> Tensor:
    shape = tuple([t._meta.shape[k] for k in order])
    turned = bare_view(
        t, meta_of(shape, t._meta.dtype, t._meta.device), permuted(strides_of(t), order)
    )
    copy = packed(turned)
    return window(copy._storage, t._meta, view_at(0, strides))


_LAID_OUT = Op(
    "laid_out",
    lambda x, order, strides: (x, {"order": order, "strides": strides}),
    None,
    vjp=(lambda g: g,),
    grad_fn="CloneBackward0",
)


def permuted(values: tuple, order: Any) -> tuple:
    """values[k] for k in order."""
    values = tuple(values)  # where it is a Size, of which an item costs much
    return tuple([values[k] for k in order])


def bare_view(
    t: Tensor, meta: Meta, strides: Ints, offset: int | None = None, made: str = "default"
) -> Tensor:
    """Another window on t's storage, knowing its base but not yet its gradient."""
    if offset is None:
        offset = t.storage_offset()
    return window(t._storage, meta, view_of(t, offset, strides, made))


class ManyNode(Node):
    """The node of something with several inputs or results; `rule` gives all gradients at once."""

    __slots__ = ("rule", "results")

    def __init__(self, edges: tuple, metas: tuple, rule: Callable, results: int = 1) -> None:
        super().__init__(edges, metas)
        self.rule, self.results = rule, results

    @property
    def outputs(self) -> int:
        return self.results

    def apply(self, g: Any) -> list:
        return self.rule(g)

    def sign(self, key: list, named: list, trace: Trace, fresh: dict) -> bool:
        form = rule_form(self.rule)
        key += (form, self.metas, len(self.edges), self.outputs)
        return form is not None


_many_classes: dict[str, type[ManyNode]] = {}


def many_node(name: str, edges: tuple, metas: tuple, rule: Callable, results: int = 1) -> ManyNode:
    """A ManyNode of a class named as PyTorch names it."""
    cls = _many_classes.get(name)
    if cls is None:
        cls = _many_classes[name] = type(
            name, (ManyNode,), {"__slots__": (), "__module__": "torch.autograd"}
        )
    return cls(edges, metas, rule, results)


def give_outputs(outs: tuple[Tensor, ...], t: Tensor, name: str, rule: Callable) -> None:
    """One node for several views of t; rule turns the tuple of their gradients into t's."""
    edge = edge_of(t) if local.trace.grad else None
    if edge is None or not outs:
        return
    one = len(outs) == 1
    node = many_node(
        name, (edge,), (t._meta,), lambda g: [rule((g,) if one else tuple(g))], len(outs)
    )
    for k, out in enumerate(outs):
        out._edge = node if one else output_of(node, k)


class Geometry(NamedTuple):
    """Where a tensor's elements lie: shape, strides and offset in elements of its dtype."""

    shape: Ints
    strides: Ints
    offset: int

    @classmethod
    def of(cls, t: Tensor, real_parts: bool = False) -> Geometry:
        """That of t; with `real_parts`, that of view_as_real(t)."""
        shape, strides, offset = t._meta.shape, strides_of(t), t.storage_offset()
        if real_parts:
            return cls((*shape, 2), (*[2 * s for s in strides], 1), 2 * offset)
        return cls(shape, strides, offset)

    @property
    def is_plain(self) -> bool:
        return is_contiguous(self.shape, self.strides)

    def ends(self) -> tuple[int, int]:
        """The first and the last place that is used; (0, -1) for no elements."""
        low, high = extent(self.shape, self.strides)
        return (0, -1) if high < low else (self.offset + low, self.offset + high)


class Flat:
    """A stretch of memory that holds a base and a window of it, for carrying gradients over."""

    def __init__(self, base: Geometry, part: Geometry) -> None:
        self.base, self.part = base, part
        low, high = base.ends()
        first, last = part.ends()
        if last >= first and (high < low or first < low or last > high):
            low, high = (first, last) if high < low else (min(low, first), max(high, last))
        self.start, self.size = low, high + 1 - low
        self.whole = base.is_plain and self.size == math.prod(base.shape)

    def lay(self, g: Tensor) -> Tensor:
        """The base's gradient as it lies in memory, flat."""
        if self.whole:
            return g.reshape(self.size)
        return spread(g, (self.size,), self.base.strides, self.base.offset - self.start)

    def lift(self, flat: Tensor) -> Tensor:
        """The base's gradient out of the flat one; places seen several times share it evenly."""
        base = self.base
        if self.whole:
            return flat.reshape(base.shape)
        if not never_shares(base.shape, base.strides):
            ones = flat.new_ones(base.shape)
            seen = spread(ones, (self.size,), base.strides, base.offset - self.start)
            flat = flat / seen.clamp(min=1)
        return part(flat, base.shape, base.strides, base.offset - self.start)

    def put(self, g: Tensor) -> Tensor:
        """Zeros with the window's gradient in its place, flat."""
        return spread(g, (self.size,), self.part.strides, self.part.offset - self.start)

    def take(self, flat: Tensor) -> Tensor:
        """The window of a flat gradient."""
        return part(flat, self.part.shape, self.part.strides, self.part.offset - self.start)

    def clear(self, flat: Tensor) -> Tensor:
        """A flat gradient with zeros in the window."""
        window = (self.part.shape, self.part.strides)
        return apply(CLEAR, (flat,), window, (self.part.offset - self.start,))


def _between(base: Tensor, t: Tensor) -> tuple[Flat, Callable, Callable]:
    """How gradients go between a base and a window of it.

    The window may be of its real parts, or show its conjugates.
    """
    halves = base._meta.dtype.is_complex and not t._meta.dtype.is_complex
    flat = Flat(Geometry.of(base, halves), Geometry.of(t))
    if base._storage.mirrored != t._storage.mirrored:
        if halves:
            return flat, _conjugate_parts, lambda g: g.view_as_complex().conj_physical()
        return flat, _conjugate, _conjugate
    if halves:
        return flat, lambda g: g.resolve_conj().view_as_real(), lambda g: g.view_as_complex()
    return flat, _same, _same


def _same(g: Tensor) -> Tensor:
    return g


def _conjugate(g: Tensor) -> Tensor:
    return g.conj_physical()


def _conjugate_parts(g: Tensor) -> Tensor:
    return g.conj_physical().view_as_real()


def as_strided_rule(base: Tensor, t: Tensor) -> Callable[[Tensor], Tensor]:
    """The rule that turns the gradient of t, a window on base's memory, into base's."""
    flat, _, back = _between(base, t)
    return lambda g: back(flat.lift(flat.put(g)))


def strided_view(t: Tensor, base_edge: Any) -> Node:
    """The node of a view found anew, after what it is a view of was written to."""
    assert t._view is not None
    base = t._view.base
    return view_node("AsStridedBackward0", base_edge, base._meta, as_strided_rule(base, t))


class CopySlices(Node):
    """A write in place through a view: the window's gradient goes to what was written there.

    As in PyTorch backward goes through it once, whatever the operation that wrote has kept.
    """

    __slots__ = ("flat", "into", "back")
    __module__ = "torch.autograd"

    def __init__(self, base: Tensor, t: Tensor, edge: Any, source: Meta) -> None:
        super().__init__((edge_of(base), edge), (base._meta, source))
        self.flat: Flat | None
        self.flat, self.into, self.back = _between(base, t)

    def release(self) -> None:
        self.flat = None

    def apply(self, g: Tensor) -> list:
        if self.flat is None:
            raise RuntimeError(SECOND_TIME)
        flat = self.flat.lay(self.into(g))
        old = new = None
        if self.edges[1] is not None:
            new = self.flat.take(flat)
        if self.edges[0] is not None:
            old = self.back(self.flat.lift(self.flat.clear(flat)))
        return [old, new]

    def name(self) -> str:
        return "torch::autograd::CopySlices"


def copy_slices(base: Tensor, t: Tensor, edge: Any) -> Node:
    """The node of base after what `edge` leads to was written through t."""
    return CopySlices(base, t, edge, t._meta)


tensor.hooks.strided_view = strided_view
dispatch.hooks.copy_slices = copy_slices
