"""Reductions and matrix products of symbolic arrays.

Room: plan.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod
from typing import Any

from bital.plan.graph import Graph
from bital.plan.node import Ints, Node, Untraceable
from bital.plan.rows import product
from bital.plan.symbolic_array import Array, kind_for

#: NumPy's functions whose `reduce` is a word, and the word
_REDUCTIONS = {
    "add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod", "logical_and": "all",
    "logical_or": "any",
}  # fmt: skip


class Reductions:
    """The part of the namespace that adds up."""

    graph: Graph
    into: Callable[[Any, Array], Array]
    true_divide: Callable[..., Array]
    multiply: Callable[..., Array]
    nodes: Callable[..., tuple[list[Node], str]]

    def reduce_by(self, name: str, x: Array, axis: Any = 0, dtype: Any = None, out: Any = None,
                  keepdims: bool = False) -> Array:  # fmt: skip
        """`np.<name>.reduce`."""
        how = _REDUCTIONS.get(name)
        if how is None:
            raise Untraceable(f"{name}.reduce")
        return self.into(out, self.reduced(how, x, axis, keepdims, dtype))

    def reduced(self, how: str, x: Array, axis: Any, keepdims: bool, dtype: Any = None) -> Array:
        """A reduction over the axes named, or all."""
        axes = _axes(axis, x.ndim)
        node = x.node
        if dtype is not None:
            node = self.graph.cast(node, kind_for(dtype))
        elif how in ("sum", "prod") and node.kind not in ("f32", "f64"):
            node = self.graph.cast(node, "i64")
        if node.kind == "i1":
            how = {"sum": "any", "max": "any", "prod": "all", "min": "all"}.get(how, how)
        elif how in ("any", "all"):
            node = self.graph.cast(node, "i1")
        if how in ("max", "min") and not prod(x.shape[a] for a in axes):
            raise Untraceable("an extreme of nothing")
        node = self.graph.reduce(how, node, axes)
        if not keepdims:
            shape = tuple(n for k, n in enumerate(x.shape) if k not in axes)
            node = self.graph.reshape(node, shape)
        return Array(self, node)

    def sum(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("sum", x, axis, keepdims, dtype)

    def prod(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("prod", x, axis, keepdims, dtype)

    def max(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("max", x, axis, keepdims)

    def min(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("min", x, axis, keepdims)

    amax, amin = max, min

    def any(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("any", x, axis, keepdims)

    def all(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("all", x, axis, keepdims)

    def count_nonzero(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        truth = Array(self, self.graph.cast(x.node, "i1"))
        return self.reduced("sum", truth, axis, keepdims)

    def mean(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        total = self.reduced("sum", x, axis, keepdims)
        if total.node.kind not in ("f32", "f64"):
            raise Untraceable("a mean of integers")
        return self.true_divide(total, prod(x.shape[a] for a in _axes(axis, x.ndim)))

    def scanned(self, how: str, axis: int, reverse: bool, *arrays: Array) -> Array:
        """Sums ("sum"), products ("prod") or the recurrence y[k] = x[k] + a[k] y[k - 1] ("recur").

        Along an axis, from its end where `reverse`.
        """
        x = arrays[0]
        if not x.ndim or not x.size:
            return x
        if x.node.kind not in ("f32", "f64", "i64"):
            raise Untraceable(f"a scan of {x.node.kind}")
        shape = (prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))
        inputs = tuple([self.graph.in_order(self.graph.reshape(a.node, shape)) for a in arrays])
        found = self.graph.node("special", inputs, ("scan", how, reverse), shape, x.node.kind)
        return Array(self, self.graph.reshape(found, x.shape))

    def vecdot(self, a: Array, b: Array) -> Array:
        """Sums of products along the last axis."""
        return self.reduced("sum", self.multiply(a, b), -1, False)

    def matmul(self, a: Array, b: Array, out: Any = None, order: Any = None) -> Array:
        nodes, kind = self.nodes((a, b))
        if kind not in ("f32", "f64"):
            raise Untraceable(f"a product of {kind}")
        x, y = nodes
        if not x.shape or not y.shape:
            raise Untraceable("a product with no axes")
        one = self.graph.reshape(x, (1, *x.shape)) if len(x.shape) == 1 else x
        two = self.graph.reshape(y, (*y.shape, 1)) if len(y.shape) == 1 else y
        got = product(self.graph, one, two)
        shape = got.shape[:-2] + (x.shape[-2:-1] if len(x.shape) > 1 else ())
        shape += y.shape[-1:] if len(y.shape) > 1 else ()
        return self.into(out, Array(self, self.graph.reshape(got, shape)))

    def dot(self, a: Array, b: Array, out: Any = None) -> Array:
        if a.ndim > 2 or b.ndim > 2:
            raise Untraceable("a dot product of many axes")
        return self.matmul(a, b, out)


def _axes(axis: Any, ndim: int) -> Ints:
    """The axes meant, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    if not ndim:
        return ()
    named = axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(operator.index(a) % ndim for a in named))
