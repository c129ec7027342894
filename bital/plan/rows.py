"""Rows: products of rows that repeat those of a table.

Room: plan. The rows of an embedding come from a table. Where that has fewer rows than are taken,
its own product is less work: taking rows, and adding up rows by number, are linear, and so come
after a product, or before it, as is cheaper. A text's letters are 65 rows, be it ever so long.
"""

from __future__ import annotations

from math import prod

from bital.base.extent import hint
from bital.plan.graph import Graph, absorb_transpose
from bital.plan.node import Ints, Node

#: what a product of fewer columns or rows saves, taking or adding up rows costs
_LEAST_DEPTH = 32


def product(graph: Graph, a: Node, b: Node) -> Node:
    """(..., M, K) by (..., K, N), by way of a table where one of them shows its rows often."""
    if len(b.shape) == 2:
        found = _taken(graph, a)
        if found is not None and _pays(found[0], prod(a.shape[:-1])):
            table, numbers = found
            whole = graph.product(table, b)
            return graph.node("take", (whole, numbers), (), (*a.shape[:-1], b.shape[1]), a.kind)
    left, turned = absorb_transpose(a, False)
    if len(a.shape) == len(b.shape) == 2 and turned:
        for rows, other, first in ((b, left, False), (left, b, True)):
            found = _taken(graph, rows)
            if found is not None and _pays(found[0], rows.shape[0]):
                return _of_sums(graph, *found, other, first)
    return graph.product(a, b)


def add_rows(graph: Graph, values: Node, numbers: Node, count: int) -> Node:
    """The sums of values (k, width) by numbers (k,) below `count`: (count, width).

    Where the values are a product, that of the sums of its left factor, if it is less work.
    """
    found = _product_of(graph, values, numbers)
    if found is not None:
        a, b, own = found
        if 2 * count <= hint(a.shape[0]) and min(b.shape) >= _LEAST_DEPTH:
            whole = product(graph, sums(graph, a, own, count), b)
            there, zero = met(graph, own, count, a.kind), graph.constant(0, values.kind)
            return graph.map("select", there, whole, zero, kind=values.kind)
    return sums(graph, values, numbers, count)


def sums(graph: Graph, values: Node, numbers: Node, count: int) -> Node:
    """The sums of values by numbers, added up row by row."""
    inputs = graph.in_order(values), graph.in_order(numbers)
    return graph.node("special", inputs, ("put_rows", "add"), (count, values.shape[1]), values.kind)


def met(graph: Graph, numbers: Node, count: int, kind: str) -> Node:
    """Which numbers below `count` there are: (count, 1).

    A row that nobody takes may be infinite, and times nothing would be NaN.
    """
    ones = graph.broadcast(graph.constant(1, kind), (numbers.shape[0], 1))
    how_often = sums(graph, graph.in_memory(ones), numbers, count)
    return graph.map("gt", how_often, graph.constant(0, kind), kind="i1")


def _of_sums(graph: Graph, table: Node, numbers: Node, other: Node, first: bool) -> Node:
    """The product of rows of a table, turned, by `other`, or of `other`, turned, by the rows."""
    kind, count = table.kind, table.shape[0]
    there = met(graph, numbers, count, kind)
    table = graph.map("select", there, table, graph.constant(0, kind), kind=kind)
    whole = sums(graph, other, numbers, count)
    x, y = (table, whole) if first else (whole, table)
    return graph.product(x, y, True)


def _pays(table: Node, rows: int) -> bool:
    count, depth = table.shape
    return 2 * hint(count) <= hint(rows) and depth >= _LEAST_DEPTH and table.numel > 0


def _taken(graph: Graph, x: Node) -> tuple[Node, Node] | None:
    """A table and the numbers of its rows that x shows, one along each of its last axis."""
    if x.word == "take":
        return (x.inputs[0], x.inputs[1]) if len(x.inputs[0].shape) == 2 else None
    source = _rearranged(x)
    found = None if source is None else _taken(graph, source)
    if source is None or found is None:
        return None
    table, numbers = found
    if x.word == "axes":
        return table, graph.axes(numbers, x.attrs[0][:-1], x.shape[:-1])
    return table, graph.reshape(numbers, x.shape[:-1])


def _rearranged(x: Node) -> Node | None:
    """What x shows in another order of rows, each of them once."""
    if x.word == "map" and x.attrs[0] == "copy" and x.inputs[0].shape == x.shape:
        return x.inputs[0]
    if x.word not in ("axes", "reshape") or len(x.shape) < 2:
        return None
    source = x.inputs[0]
    if source.shape[-1:] != x.shape[-1:] or source.numel != x.numel or not x.numel:
        return None
    if x.word == "axes" and x.attrs[0][-1] != len(source.shape) - 1:
        return None
    return source


def _product_of(graph: Graph, x: Node, numbers: Node) -> tuple[Node, Node, Node] | None:
    """The factors of a product whose rows x shows once each, and the rows' numbers in its order."""
    numbers = graph.reshape(numbers, x.shape[:-1])
    while x.word != "product":
        source = _rearranged(x)
        if source is None:
            return None
        lead = source.shape[:-1]
        if x.word == "axes":
            numbers = graph.axes(numbers, _inverse(x.attrs[0][:-1], lead), lead)
        else:
            numbers = graph.reshape(numbers, lead)
        x = source
    if len(x.shape) != 2 or x.attrs[0]:
        return None
    a, b = x.inputs
    return a, graph.permute(b, (1, 0)) if x.attrs[1] else b, numbers


def _inverse(mapping: tuple, shape: Ints) -> tuple:
    """The mapping of axes that undoes one; axes of size 1 need not be found."""
    place = {m: k for k, m in enumerate(mapping) if m is not None}
    return tuple([place.get(k) for k in range(len(shape))])
