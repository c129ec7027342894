"""What moves the elements of symbolic arrays: shapes, windows, joining, taking.

Room: plan.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.base.extent import Extent
from bital.base.stride import contiguous_strides
from bital.plan.graph import Graph
from bital.plan.node import Ints, Node, Untraceable
from bital.plan.rows import add_rows
from bital.plan.symbolic_array import Array, kind_for


def runs_of(places: np.ndarray) -> list[tuple[int, int, int]]:
    """A vector of places as runs that are evenly spaced: first place, step, count.

    >>> runs_of(np.array([2, 1, 0, 1, 2, 3, 3, 3]))
    [(2, -1, 3), (1, 1, 3), (3, 0, 2)]
    """
    found: list[tuple[int, int, int]] = []
    for place in places.tolist():
        first, step, count = found[-1] if found else (0, 0, 0)
        if count == 1:
            step = place - first
        if count and place == first + step * count:
            found[-1] = (first, step, count + 1)
        else:
            found.append((place, 1, 1))
    return found


class Shapes:
    """The part of the namespace about shapes."""

    graph: Graph
    asarray: Callable[..., Array]
    add: Callable[..., Array]
    multiply: Callable[..., Array]
    copyto: Callable[..., None]
    fitted: Callable[..., Node]
    nodes: Callable[..., tuple[list[Node], str]]

    def shown(self, x: Array, node: Node) -> Array:
        """A view of x."""
        return Array(self, node, x)

    def reshape(self, x: Array, shape: Any) -> Array:
        shape = (shape,) if isinstance(shape, (int, Extent)) else tuple(shape)
        if -1 in shape:
            known = -prod(shape)
            shape = tuple(x.size // known if n == -1 else n for n in shape) if known else shape
        shape = tuple(n if isinstance(n, Extent) else int(n) for n in shape)
        return self.shown(x, self.graph.reshape(x.node, shape))

    def transpose(self, x: Array, order: Any = None) -> Array:
        order = tuple(reversed(range(x.ndim))) if order is None else tuple(order)
        return self.shown(x, self.graph.permute(x.node, tuple(k % x.ndim for k in order)))

    def swapaxes(self, x: Array, a: int, b: int) -> Array:
        order = list(range(x.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(x, order)

    def moveaxis(self, x: Array, source: int, target: int) -> Array:
        order = [k for k in range(x.ndim) if k != source % x.ndim]
        order.insert(target % x.ndim, source % x.ndim)
        return self.transpose(x, order)

    def broadcast_to(self, x: Any, shape: Any) -> Array:
        x = self.asarray(x)
        return self.shown(x, self.graph.broadcast(x.node, tuple(shape)))

    def expand_dims(self, x: Array, axis: Any) -> Array:
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        n = x.ndim + len(axes)
        places = {a % n for a in axes}
        sizes = iter(x.shape)
        return self.reshape(x, tuple(1 if k in places else next(sizes) for k in range(n)))

    def squeeze(self, x: Array, axis: Any = None) -> Array:
        if axis is None:
            return self.reshape(x, tuple(n for n in x.shape if n != 1))
        places = {a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)}
        return self.reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in places))

    def flip(self, x: Array, axis: Any = None) -> Array:
        axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        turned = {a % x.ndim for a in axes}
        return self.getitem(
            x, tuple(slice(None, None, -1 if k in turned else 1) for k in range(x.ndim))
        )

    # windows

    def window(self, x: Array, shape: Ints, strides: Ints, offset: Any, dtype: Any = None) -> Array:
        """A strided look at x's elements in order; strides and offset in elements."""
        start, moved = self._place(x, shape, strides, offset, dtype)
        return self.shown(x, self.graph.window(x.node, shape, strides, start, moved))

    def written(
        self, x: Array, value: Any, shape: Ints, strides: Ints, offset: Any, dtype: Any = None
    ) -> Array:
        """A copy of x with a window of its elements replaced."""
        start, moved = self._place(x, shape, strides, offset, dtype)
        new = self.graph.cast(self.asarray(value).node, x.node.kind)
        new = self.graph.broadcast(new, shape)
        return Array(self, self.graph.write(x.node, new, strides, start, moved))

    def _place(
        self, x: Array, shape: Ints, strides: Ints, offset: Any, dtype: Any
    ) -> tuple[int, Node | None]:
        """Where a window begins: a number, and what is known at run time only."""
        if dtype is not None and kind_for(dtype) != x.node.kind:
            raise Untraceable("a window of another dtype")
        if not isinstance(offset, Array):
            return offset, None
        reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
        if reach == x.size or 0 in shape:  # then there is one place only where it fits
            return 0, None
        start, moved = 0, offset.node
        while moved.word == "map" and moved.attrs[0] in ("cast", "add"):
            if moved.attrs[0] == "add":
                numbers = [n for n in moved.inputs if n.word == "constant"]
                if len(numbers) != 1 or numbers[0].attrs[1] != int(numbers[0].attrs[1]):
                    break
                start += int(numbers[0].attrs[1])
            moved = next(n for n in moved.inputs if n.word != "constant")
        if moved.word != "param":
            raise Untraceable("a place that is computed")
        return start, self.graph.cast(moved, "i64")

    def getitem(self, x: Array, index: Any) -> Array:
        """Basic indexing: integers, slices, None and the ellipsis."""
        shape, strides, offset, whole = _window_of(x.shape, index)
        if whole:
            return self.reshape(x, shape)
        return self.window(x, shape, strides, offset)

    def setitem(self, x: Array, index: Any, value: Any) -> None:
        """Assignment to a part, or where a mask is true."""
        if isinstance(index, Array):
            if index.node.kind != "i1" or index.shape != x.shape:
                raise Untraceable("assignment to elements by number")
            self.copyto(x, value, where=index)
            return
        shape, strides, offset, whole = _window_of(x.shape, index)
        if whole and shape == x.shape:
            self.copyto(x, value)
        else:
            x.move(self.written(x, value, shape, strides, offset).node)

    def diagonal(self, x: Array, offset: int = 0) -> Array:
        """The diagonal of a matrix, `offset` to the right of the main one."""
        rows, columns = x.shape
        n = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
        start = offset if offset >= 0 else -offset * columns
        return self.window(x, (n,), (columns + 1,), start if n else 0)

    # joining, taking, numbering

    def concatenate(self, arrays: Any, axis: int = 0, out: Any = None) -> Array:
        if out is not None:
            raise Untraceable("concatenate into an array")
        nodes, kind = self.nodes(tuple(arrays))
        axis %= len(nodes[0].shape)
        shape = list(nodes[0].shape)
        shape[axis] = sum(n.shape[axis] for n in nodes)
        nodes = [n for n in nodes if n.shape[axis]] or nodes[:1]
        if len(nodes) == 1:
            return Array(self, nodes[0])
        return Array(self, self.graph.node("concat", tuple(nodes), (axis,), tuple(shape), kind))

    def stack(self, arrays: Any, axis: int = 0, out: Any = None) -> Array:
        return self.concatenate([self.expand_dims(a, axis) for a in arrays], axis, out)

    def take(self, x: Array, indices: Any, axis: int | None = None) -> Array:
        """x at indices along an axis: at given places, or at numbers known to be in range."""
        if axis is None:
            x, axis = self.reshape(x, (-1,)), 0
        axis %= x.ndim
        if isinstance(indices, np.ndarray):
            return self._at_places(x, indices, axis)
        lead, n, rest = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        outer = prod(lead)
        if outer != 1:  # the axes before count on along the one that is read
            first = self.iota((outer, *[1] * indices.ndim), 0)
            indices = self.add(self.multiply(first, n), indices)
        taken = self.take_rows(self.reshape(x, (outer * n, *rest)), indices)
        own = indices.shape[1:] if outer != 1 else indices.shape
        return self.reshape(taken, (*lead, *own, *rest))

    runs_of = staticmethod(runs_of)

    def _at_places(self, x: Array, places: np.ndarray, axis: int) -> Array:
        """Runs of evenly spaced places, each a window, one after another."""
        steps = contiguous_strides(x.shape)
        parts = []
        for first, step, count in runs_of(places):
            shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
            strides = (*steps[:axis], step * steps[axis], *steps[axis + 1 :])
            parts.append(self.window(x, shape, strides, first * steps[axis]))
        return self.concatenate(parts, axis)

    def take_rows(self, x: Array, numbers: Array) -> Array:
        """x[numbers] along the first axis; the numbers are known to be in range."""
        shape = (*numbers.shape, *x.shape[1:])
        index = self.graph.cast(numbers.node, "i64")
        return Array(self, self.graph.node("take", (x.node, index), (), shape, x.node.kind))

    def put_rows(
        self, values: Array, numbers: Array, base: Any, *, how: str | None = None
    ) -> Array:
        """A copy of `base` with rows put, one after another, at numbers known to be in range.

        With `how`, "add", "multiply", "maximum" or "minimum", they are combined with what is there;
        of zeros, the number of rows will do for a base.
        """
        zeros = isinstance(base, int)
        count, rest = numbers.size, values.shape[numbers.ndim :]
        shape = (base, *rest) if isinstance(base, int) else base.shape
        graph, kind = self.graph, values.node.kind
        if how is not None and kind == "i1":
            raise Untraceable("bools combined")
        if 0 in shape or not count:
            zero = graph.broadcast(graph.constant(0, kind), shape)
            return Array(self, zero if zeros else graph.cast(base.node, kind))
        inputs = [
            graph.reshape(values.node, (count, prod(rest))),
            graph.reshape(graph.cast(numbers.node, "i64"), (count,)),
        ]
        if not zeros:
            inputs.append(graph.reshape(graph.cast(base.node, kind), (shape[0], prod(rest))))
        if zeros and how == "add":
            return Array(
                self, graph.reshape(add_rows(graph, inputs[0], inputs[1], shape[0]), shape)
            )
        inputs = [graph.in_order(x) for x in inputs]
        attrs = ("put_rows", "mul" if how == "multiply" else how)
        found = graph.node("special", tuple(inputs), attrs, (shape[0], prod(rest)), kind)
        return Array(self, graph.reshape(found, shape))

    def iota(self, shape: Ints, axis: int, dtype: Any = np.int64) -> Array:
        """Along `axis` 0, 1, 2…, the same along the others."""
        line = self.graph.iota(shape[axis])
        axis %= len(shape)
        mapping = tuple(0 if k == axis else None for k in range(len(shape)))
        spread = self.graph.axes(self.graph.cast(line, kind_for(dtype)), mapping, tuple(shape))
        return Array(self, spread)

    def arange(self, n: int, dtype: Any = np.int64) -> Array:
        """0, 1, 2… below n."""
        return self.iota((n,), 0, dtype)

    def special(self, name: str, operands: tuple, results: tuple, *attrs: Any) -> Any:
        """A word with a kernel writer of its own; `results` are (shape, dtype) of each result.

        Its kernel finds the elements of every operand in order.
        """
        nodes = tuple(self.graph.in_order(o.node) for o in operands)
        looks = [(tuple(shape), kind_for(dtype)) for shape, dtype in results]
        if len(looks) == 1:
            return Array(self, self.graph.node("special", nodes, (name, *attrs), *looks[0]))
        shapes = tuple(shape for shape, _ in looks)
        whole = self.graph.node("special", nodes, (name, *attrs, shapes), (), "many")
        return tuple(
            Array(self, self.graph.node("pick", (whole,), (k,), *look))
            for k, look in enumerate(looks)
        )


def _window_of(sizes: Ints, index: Any) -> tuple[Ints, Ints, int, bool]:
    """Basic indexing as a window: shape, strides, offset; whether it shows all in order."""
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, Array) for i in index):
        raise Untraceable("indexing by an array")
    rest = [slice(None)] * (len(sizes) - sum(1 for i in index if i is not None and i is not ...))
    at = index.index(...) if ... in index else len(index)
    axes = iter(zip(sizes, contiguous_strides(sizes)))
    shape: list[int] = []
    strides: list[int] = []
    offset = 0
    whole = True
    for i in (*index[:at], *rest, *index[at + 1 :]):
        if i is None:
            shape.append(1)
            strides.append(0)
            continue
        size, stride = next(axes)
        if isinstance(i, slice) and i == slice(None):
            shape.append(size)
            strides.append(stride)
        elif isinstance(i, slice):
            start, stop, step = i.indices(size)
            count = len(range(start, stop, step))
            whole = whole and count == size and (step == 1 or size <= 1)
            shape.append(count)
            strides.append(stride * step)
            offset += start * stride
        elif isinstance(i, (int, np.integer)):
            whole = whole and size == 1
            offset += range(size)[i] * stride
        else:
            raise Untraceable("indexing by an array")
    return tuple(shape), tuple(strides), offset if 0 not in shape else 0, whole
