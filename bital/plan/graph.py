"""Graph: what a trace computes, as nodes of a few words; equal nodes are one node.

Room: plan. The methods of Graph build nodes and simplify while they do: what is known to be the
same number for every input is not computed twice, and never in a way that changes its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from bital.base.extent import hints
from bital.base.size import broadcast_shapes
from bital.base.stride import contiguous_strides
from bital.plan.access import has_memory, in_order, root_of
from bital.plan.node import DTYPES, Ints, Node, Untraceable

#: words that read their operands from memory
_FROM_MEMORY = frozenset(("product", "take", "special", "opaque"))


class Graph:
    """Makes nodes; those alike are one.

    `known` says which scalar and special words can be compiled; by default all.
    """

    def __init__(self, known: Callable[[str], bool] | None = None) -> None:
        self.known = known
        self.table: dict[tuple, Node] = {}
        self.made: list[Node] = []  # the nodes that are new, until somebody has seen them

    def node(self, word: str, inputs: tuple, attrs: tuple, shape: Ints, kind: str) -> Node:
        """The one node that is so described."""
        if word in _FROM_MEMORY:
            inputs = tuple([self.in_memory(x) for x in inputs])
        key = (word, inputs, attrs, shape, kind)
        found = self.table.get(key)
        if found is None:
            if word in ("map", "special") and self.known and not self.known(attrs[0]):
                raise Untraceable(f"{attrs[0]} is not a word of compiled code")
            found = self.table[key] = Node(word, inputs, attrs, shape, kind)
            self.made.append(found)
        return found

    # leaves

    def input(self, k: int, shape: Ints, kind: str, strides: Ints) -> Node:
        """The k-th input; its strides, in elements, as it will come."""
        return self.node("input", (), (k, strides), shape, kind)

    def param(self, k: int, kind: str) -> Node:
        """Run-time scalar k, as a float (f64) or an integer (i64)."""
        return self.node("param", (), (k,), (), kind)

    def constant(self, value: Any, kind: str) -> Node:
        """A number; its sign and, for NaN, itself are part of the key."""
        number = DTYPES[kind].type(value)
        return self.node("constant", (), (number.tobytes(), number.item()), (), kind)

    def iota(self, n: int) -> Node:
        """The i64 numbers below n."""
        return self.node("iota", (), (), (n,), "i64")

    # elementwise

    def map(self, word: str, *inputs: Node, kind: str | None = None, more: tuple = ()) -> Node:
        """A scalar word on broadcast inputs; `kind` of the result, by default of the first."""
        kind = kind or inputs[0].kind
        shape = inputs[0].shape
        for other in inputs[1:]:
            if len(other.shape) != len(shape) or other.shape != shape:
                shape = broadcast_shapes(*[i.shape for i in inputs])
                break
        respelled = self._behind_reshape(inputs, shape)
        if respelled is not None:
            return self.reshape(self.map(word, *respelled, kind=kind, more=more), shape)
        return self.node("map", inputs, (word, *more), shape, kind)

    def _behind_reshape(self, inputs: tuple[Node, ...], shape: Ints) -> tuple[Node, ...] | None:
        """The inputs as they are spelled before a reshape, so that the map comes before it.

        What computes the reshaped node can then compute the map too. All inputs must be
        expressible: contiguous under another shape, or repeated along axes that stay whole.
        """
        sources = [i.inputs[0].shape for i in inputs if i.word == "reshape" and i.shape == shape]
        before = min(sources, key=_spelling, default=shape)
        if _spelling(before) >= _spelling(shape):  # so that it comes to an end
            return None
        found = []
        for i in inputs:
            if i.word == "reshape" and i.inputs[0].shape == before:
                found.append(i.inputs[0])
            elif i.shape == shape:
                found.append(self.reshape(i, before))
            else:
                spelled = _spelled_before(i.shape, shape, before)
                if spelled is None:
                    return None
                same = len(i.shape) <= len(before) and _trimmed(spelled) == _trimmed(i.shape)
                found.append(i if same else self.reshape(i, spelled))
        return tuple(found)

    def cast(self, x: Node, kind: str) -> Node:
        """The numbers as another kind."""
        if x.kind == kind:
            return x
        if x.word == "constant":
            with np.errstate(all="ignore"):
                return self.constant(DTYPES[x.kind].type(x.attrs[1]), kind)
        return self.map("cast", x, kind=kind, more=(kind,))

    # reductions

    def reduce(self, how: str, x: Node, axes: Ints) -> Node:
        """A reduction over axes that stay with size 1."""
        axes = tuple(sorted(a % len(x.shape) for a in axes)) if x.shape else ()
        axes = tuple(a for a in axes if x.shape[a] != 1)  # along which there is nothing to do
        shape = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
        if not axes:
            return x
        if not x.numel:  # there is no loop over nothing
            return self.broadcast(self.constant(how in ("prod", "all"), x.kind), shape)
        if x.word == "reshape" and _spelling(x.inputs[0].shape) < _spelling(x.shape):
            before = _axes_before(x.inputs[0].shape, x.shape, axes)
            if before is not None:
                return self.reshape(self.reduce(how, x.inputs[0], before), shape)
        return self.node("reduce", (x,), (how, axes), shape, x.kind)

    # other ways to look at the same elements

    def reshape(self, x: Node, shape: Ints) -> Node:
        """The elements in order under another shape of as many elements."""
        if x.word == "reshape":
            x = x.inputs[0]
        if x.shape == shape:
            return x
        mapping = _unit_axes_only(x.shape, shape)
        if mapping is not None:
            return self.axes(x, mapping, shape)
        if x.word == "window" and x.attrs[0] == contiguous_strides(x.shape):
            return self.node(
                "window", x.inputs, (contiguous_strides(shape), x.attrs[1]), shape, x.kind
            )
        return self.node("reshape", (root_of(self.in_order(x)),), (), shape, x.kind)

    def in_memory(self, x: Node) -> Node:
        """x, or a copy of it where it is made of numbers that no memory holds."""
        return x if has_memory(x) else self.node("map", (x,), ("copy",), x.shape, x.kind)

    def in_order(self, x: Node) -> Node:
        """x, or a copy of it, such that its elements lie in memory in order, without gaps."""
        return x if in_order(x) else self.map("copy", x)

    def axes(self, x: Node, mapping: tuple, shape: Ints) -> Node:
        """Axes permuted, added, dropped or repeated."""
        if x.word == "axes":
            inner = x.attrs[0]
            mapping = tuple(None if m is None else inner[m] for m in mapping)
            x = x.inputs[0]
            mapping = tuple(
                None if m is not None and x.shape[m] == 1 else m for m in mapping
            )  # an axis of size 1 is as good as none
            return self.axes(x, mapping, shape)
        plain = tuple(range(len(x.shape)))
        if shape == x.shape and all(
            m == p or (m is None and n == 1) for m, p, n in zip(mapping, plain, shape)
        ):
            return x
        return self.node("axes", (x,), (mapping,), shape, x.kind)

    def permute(self, x: Node, order: Ints) -> Node:
        return self.axes(x, order, tuple(x.shape[k] for k in order))

    def broadcast(self, x: Node, shape: Ints) -> Node:
        """Repeated as NumPy does."""
        if x.shape == shape:
            return x
        gap = len(shape) - len(x.shape)
        mapping = tuple(
            None if k < gap or x.shape[k - gap] == 1 else k - gap for k in range(len(shape))
        )
        return self.axes(x, mapping, shape)

    def window(
        self, x: Node, shape: Ints, strides: Ints, offset: int = 0, moved: Node | None = None
    ) -> Node:
        """A strided look at x's elements in order, in units of elements."""
        if x.word == "reshape":
            x = x.inputs[0]
        order = None if moved is not None or offset else _dense_order(shape, strides, x.numel)
        if order is not None:
            found = self.reshape(x, tuple([shape[k] for k in order]))
            place = {k: at for at, k in enumerate(order)}
            return self.axes(found, tuple([place.get(k) for k in range(len(shape))]), shape)
        if x.word == "window" and moved is None and x.attrs[0] == contiguous_strides(x.shape):
            return self.node("window", x.inputs, (strides, x.attrs[1] + offset), shape, x.kind)
        x = root_of(self.in_order(x))
        inputs = (x,) if moved is None else (x, moved)
        return self.node("window", inputs, (strides, offset), shape, x.kind)

    def write(
        self, x: Node, value: Node, strides: Ints, offset: int = 0, moved: Node | None = None
    ) -> Node:
        """A copy of x with the value written over a window of it."""
        order = None if moved is not None or offset else _dense_order(value.shape, strides, x.numel)
        if order is not None and prod([value.shape[k] for k in order]) == value.numel:
            order += tuple(k for k in range(len(value.shape)) if k not in order)
            return self.reshape(self.permute(value, order), x.shape)
        inputs = (x, value) if moved is None else (x, value, moved)
        return self.node("write", inputs, (strides, offset), x.shape, x.kind)

    # products

    def product(self, a: Node, b: Node, turn_a: bool = False, turn_b: bool = False) -> Node:
        """Matrix products over broadcast leading axes; turned factors are stored transposed."""
        a, turn_a = absorb_transpose(a, turn_a)
        b, turn_b = absorb_transpose(b, turn_b)
        M = a.shape[-1] if turn_a else a.shape[-2]
        N = b.shape[-2] if turn_b else b.shape[-1]
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return self.node("product", (a, b), (turn_a, turn_b), (*batch, M, N), a.kind)


def _spelling(shape: Ints) -> tuple[int, Ints]:
    """What orders the shapes of as many elements."""
    return len(shape), hints(shape)


def _dense_order(shape: Ints, strides: Ints, numel: int) -> Ints | None:
    """The axes by falling strides, where a window from the start shows each element once.

    Axes of size 1 and those along which the window repeats itself are left out.
    """
    live = [k for k, n in enumerate(shape) if n > 1 and strides[k]]
    order = tuple(sorted(live, key=lambda k: -strides[k]))
    sizes = tuple([shape[k] for k in order])
    if prod(sizes) != numel or 0 in shape:
        return None
    return order if tuple([strides[k] for k in order]) == contiguous_strides(sizes) else None


def absorb_transpose(x: Node, turned: bool) -> tuple[Node, bool]:
    """A factor without a swap of its last two axes, which the product's flag says instead."""
    n = len(x.shape)
    if x.word == "axes" and x.attrs[0] == (*range(n - 2), n - 1, n - 2):
        if len(x.inputs[0].shape) == n:
            return x.inputs[0], not turned
    return x, turned


def _blocks(one: Ints, other: Ints) -> Iterator[tuple[range, range]]:
    """The axes of two shapes of as many elements, in runs that hold the same elements.

    >>> list(_blocks((6, 4), (2, 3, 4)))
    [(range(0, 1), range(0, 2)), (range(1, 2), range(2, 3))]
    """
    i = j = 0
    if 0 in one:
        yield range(len(one)), range(len(other))
        return
    while i < len(one) or j < len(other):
        begin, start, a, b = i, j, prod(one[i : i + 1]), prod(other[j : j + 1])
        i, j = min(i + 1, len(one)), min(j + 1, len(other))
        while a != b:
            if a < b:
                a, i = a * one[i], i + 1
            else:
                b, j = b * other[j], j + 1
        yield range(begin, i), range(start, j)


def _axes_before(before: Ints, shape: Ints, axes: Ints) -> Ints | None:
    """The axes that `axes` (none of size 1) were before a reshape, if they were whole ones."""
    found: list[int] = []
    for old, new in _blocks(before, shape):
        which = {k in axes for k in new if shape[k] != 1}
        if len(which) == 2:
            return None
        found += old if True in which else ()
    return tuple(found)


def _spelled_before(small: Ints, shape: Ints, before: Ints) -> Ints | None:
    """The shape that what is repeated to `shape` had before a reshape to it, if it had one."""
    padded = (1,) * (len(shape) - len(small)) + small
    found: list[int] = []
    for old, new in _blocks(before, shape):
        sizes, whole = padded[new.start : new.stop], shape[new.start : new.stop]
        was = before[old.start : old.stop]
        if sizes == whole:
            found += was
        elif was == whole:
            found += sizes
        elif set(sizes) <= {1}:
            found += [1] * len(was)
        else:
            return None
    return tuple(found)


def _trimmed(shape: Ints) -> Ints:
    """A shape without leading axes of size 1."""
    return shape[next((k for k, n in enumerate(shape) if n != 1), len(shape)) :]


def _unit_axes_only(old: Ints, new: Ints) -> tuple | None:
    """The mapping of axes where a reshape only adds or drops axes of size 1."""
    if [n for n in old if n != 1] != [n for n in new if n != 1]:
        return None
    places = iter([k for k, n in enumerate(old) if n != 1])
    return tuple(None if n == 1 else next(places) for n in new)
