"""Sums: matrix products that are added up, as one product over all their depths.

Room: plan. A weight that serves in many steps has the sum of as many products as its gradient; a
gate of a recurrent layer, and what flows back through several of them, are sums of a few. A product
of several terms reads each where it lies, and what is summed up stays in registers. A factor that
many products read turned is turned once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bital.base.extent import Extent
from bital.plan.access import access, identity
from bital.plan.fuse import reachable
from bital.plan.graph import Graph
from bital.plan.node import Node

#: terms are at most so deep: longer ones gain little
_DEEPEST = 512
#: products of at most so many rows, for which turning a factor takes a fifth of the time, and from
#: how many of them on it is turned before
_MOST_ROWS, _OFTEN = 64, 8

#: what stands for a node now, where that is another one
Now = dict[Node, Node]


def turn(graph: Graph, results: list[Node]) -> Now:
    """Turn right factors once that many products read turned; the graph's table is rewritten."""
    needed = reachable(results)
    able = [n for n in graph.table.values() if n.word == "product" and _reads_turned(n)]
    often = Counter(n.inputs[1] for n in able if n in needed)

    def changed(n: Node, now: Now) -> Node | None:
        if n.word != "product" or often[n.inputs[1]] < _OFTEN or not _reads_turned(n):
            return None
        x, y = (now.get(f, f) for f in n.inputs)
        straight = graph.map("copy", graph.permute(y, (1, 0)))
        return graph.node("product", (x, straight), (n.attrs[0], False), n.shape, n.kind)

    return _rewritten(graph, changed) if max(often.values(), default=0) >= _OFTEN else {}


def join(graph: Graph, results: list[Node]) -> Now:
    """Make one product of several that are only added up; the graph's table is rewritten.

    For what is a term now the product stands that it is a term of.
    """
    needed = reachable(results)
    users = Counter(results)
    for n in needed:
        users.update(n.inputs)
    sums: dict[Node, _Sum] = {}  # by the last addition
    inner: set[Node] = set()
    for n in reversed(graph.table.values()):
        if n in needed and n not in inner and _adds(n):
            found = _Sum(n, users)
            if found.pays:
                sums[n] = found
                inner |= found.inner

    def changed(n: Node, now: Now) -> Node | None:
        return sums[n].node(graph, now) if n in sums else None

    return _rewritten(graph, changed) if sums else {}


def _rewritten(graph: Graph, changed: Callable[[Node, Now], Node | None]) -> Now:
    """Make the graph's table anew, in order, some of its nodes `changed`."""
    now: Now = {}
    table, graph.table = graph.table, {}
    for key, n in table.items():
        new = changed(n, now)
        if new is None and any(x in now for x in n.inputs):
            inputs = tuple([now.get(x, x) for x in n.inputs])
            new = graph.node(n.word, inputs, n.attrs, n.shape, n.kind)
        if new is None:
            graph.table[key] = n
        else:
            now[n] = new
    return now


class _Sum:
    """What a tree of additions adds up: classes of terms that lie alike, and the rest."""

    def __init__(self, n: Node, users: Counter[Node]) -> None:
        self.inner: set[Node] = set()
        self.classes: dict[tuple, list[Node]] = {}
        self.rest: list[Node] = []
        todo = [n]
        while todo:
            x = todo.pop()
            if x is n or (_adds(x) and users[x] == 1 and x.shape == n.shape):
                self.inner.add(x)
                todo += reversed(x.inputs)
            elif x.word == "product" and users[x] == 1 and x.shape == n.shape and _is_term(x):
                self.classes.setdefault(_how(x), []).append(x)
            else:
                self.rest.append(x)

    @property
    def pays(self) -> bool:
        """Whether there are terms that lie alike."""
        return any(len(terms) > 1 for terms in self.classes.values())

    def node(self, graph: Graph, now: Now) -> Node:
        """The sum anew: products of several terms, and then the rest, in order."""
        total: Node | None = None
        for terms in self.classes.values():
            first = terms[0]
            factors = tuple([now.get(x, x) for term in terms for x in term.inputs])
            product = graph.node("product", factors, first.attrs, first.shape, first.kind)
            now.update(dict.fromkeys(terms, product))
            total = product if total is None else graph.map("add", total, product)
        assert total is not None
        for x in self.rest:
            total = graph.map("add", total, now.get(x, x))
        return total


def _reads_turned(n: Node) -> bool:
    """Whether a product of few rows reads a matrix turned as its right factor."""
    sizes = (*n.shape, *n.inputs[1].shape)
    fixed = len(sizes) == 4 and not any(isinstance(k, Extent) for k in sizes)
    return fixed and n.attrs[1] and n.shape[0] <= _MOST_ROWS and 1 not in sizes


def _adds(n: Node) -> bool:
    return n.word == "map" and n.attrs[0] == "add" and n.kind in ("f32", "f64")


def _is_term(n: Node) -> bool:
    """Whether a product may be a term."""
    x, turned = n.inputs[0], n.attrs[0]
    sizes = (*n.shape, *x.shape)
    return not any(isinstance(k, Extent) for k in sizes) and x.shape[-1 - turned] <= _DEEPEST


def _how(n: Node) -> tuple:
    """How a product's factors lie."""
    looks = [(x.shape, access(x, identity(x), len(x.shape)).strides) for x in n.inputs]
    return n.attrs, *looks
