"""Steps: recurrences, whose step is a graph of its own that the steps of a sequence share.

Room: plan. A node ("special", "steps", Cell, shapes) is what comes of going through sequences step
by step: a cell makes of one step of every sequence, of the states that the step before left, and
of operands that are the same for all steps, the next states and one step of every result. Rows of
a step must not need each other: so some rows may go through all steps apart from the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bital.base.stride import contiguous_strides
from bital.plan.access import access, has_memory, identity, is_whole, root_of
from bital.plan.graph import Graph
from bital.plan.node import Ints, Node, Untraceable
from bital.plan.symbolic_array import Array

#: tables of which rows are taken in the step itself: so large, and so many with what rows share
_TABLE_BYTES, _MOST_SHARED = 1 << 19, 4


class Step(NamedTuple):
    """One step of a cell as a graph; `inputs` are those of the sequences, states, and the rest.

    A result is made of parts, which lie one after another in each step of it.
    """

    graph: Graph
    inputs: list[Node]
    states: list[Node]
    results: list[list[Node]]


class Cell:
    """What a step does: `function(xp, *sequences, *states, *fixed)` gives (states, results).

    `shapes` and `kinds` are those of one step of the sequences, of the states and of the operands
    that are `fixed`; the rows come first in all but these. A result is an array, or a list of
    arrays that are its parts.
    """

    def __init__(
        self, function: Callable, namespace: Callable, known: Callable | None, counts: Ints,
        shapes: list[Ints], kinds: list[str], steps: int, reverse: bool,
    ) -> None:  # fmt: skip
        self.function, self.namespace, self.known = function, namespace, known
        self.sequences, self.states, self.fixed = counts
        self.shapes, self.kinds, self.reverse = shapes, kinds, reverse
        self.steps, self.rows = steps, shapes[0][0]

    def step(self, rows: int, strides: list[Ints] | None = None) -> Step:
        """The graph of a step of some rows, whose inputs have such strides."""
        graph = Graph(self.known)
        xp = self.namespace(graph)
        moving = self.sequences + self.states
        inputs = []
        for k, (shape, kind) in enumerate(zip(self.shapes, self.kinds)):
            own = (rows, *shape[1:]) if k < moving else shape
            along = strides[k] if strides else contiguous_strides(own)
            inputs.append(graph.input(k, own, kind, along))
        states, results = self.function(xp, *[Array(xp, n) for n in inputs])
        if xp.required:
            raise Untraceable("a step that may fail")
        seen: set[Node] = set()

        def whole(x: Any) -> Node:
            n = xp.asarray(x).node
            if not is_whole(n) or root_of(n) in seen:
                n = graph.node("map", (n,), ("copy",), n.shape, n.kind)
            return n

        parts = []
        for r in results:
            parts.append([whole(x) for x in (r if isinstance(r, list) else [r])])
            seen.update(map(root_of, parts[-1]))
        seen.clear()
        return Step(graph, inputs, list(map(whole, states)), parts)


def through(
    xp: Any, cell: Callable, sequences: list, states: list, fixed: list, reverse: bool
) -> tuple[list[Array], list[Array]]:
    """A cell's way through sequences (steps, rows, …), perhaps from the last step to the first.

    Gives the last states, and of every result all steps: (steps, rows, …), with parts (steps,
    parts, rows, …).
    """
    count, rows = sequences[0].shape[:2]
    cell, sequences, fixed = _with_takes(xp, cell, sequences, fixed)
    operands = [*sequences, *states, *fixed]
    shapes = [x.shape[1:] for x in sequences] + [x.shape for x in (*states, *fixed)]
    counts = len(sequences), len(states), len(fixed)
    made = Cell(
        cell, type(xp), xp.graph.known, counts, shapes, [x.node.kind for x in operands], count,
        reverse,
    )  # fmt: skip
    step = made.step(rows)
    if [n.shape for n in step.states] != [s.shape for s in states]:
        raise Untraceable("a state that changes its shape")
    graph = xp.graph
    nodes = [_shown(graph, x.node) for x in sequences]
    # states as steps leave them; and what is put in order is so once, not in every step
    nodes += [graph.in_order(x.node) for x in (*states, *fixed)]
    looks = [_look(parts, count, rows) for parts in step.results]
    looks += [(n.shape, n.kind) for n in step.states]
    attrs = ("steps", made, tuple([shape for shape, _ in looks]))
    whole = graph.node("special", tuple(nodes), attrs, (), "many")
    picks = [Array(xp, graph.node("pick", (whole,), (k,), *look)) for k, look in enumerate(looks)]
    results, last = picks[: len(step.results)], picks[len(step.results) :]
    where = {
        root_of(n): (k, m) for k, parts in enumerate(step.results) for m, n in enumerate(parts)
    }
    for k, n in enumerate(step.states):  # of one that is a result as well it is the last step
        if root_of(n) in where:
            which, m = where[root_of(n)]
            end = results[which][0 if reverse else count - 1]
            last[k] = xp.reshape(end[m] if len(step.results[which]) > 1 else end, n.shape)
    return last, results


def _look(parts: list[Node], count: int, rows: int) -> tuple[Ints, str]:
    """The shape and kind of all steps of a result."""
    first = parts[0]
    if any((p.shape, p.kind) != (first.shape, first.kind) for p in parts) or first.shape[0] != rows:
        raise Untraceable("parts of a step that are not alike")
    more = (len(parts),) if len(parts) > 1 else ()
    return (count, *more, *first.shape), first.kind


def _shown(graph: Graph, n: Node) -> Node:
    """What is read of an operand: where rows are copied in another order, the rows themselves."""
    n = graph.in_memory(n)
    if n.word != "map" or n.attrs[0] != "copy" or n.inputs[0].shape != n.shape:
        return n
    source = n.inputs[0]
    found = access(source, identity(n), len(n.shape))
    return source if has_memory(source) and found.strides[-1] == 1 else n


def _with_takes(
    xp: Any, cell: Callable, sequences: list, fixed: list
) -> tuple[Callable, list, list]:
    """The cell, the sequences, and what is fixed, where rows of a table are taken in the step.

    Of a sequence that is made of such rows the numbers are one instead, and the table is fixed.
    """
    sources = [x.node.inputs[0] if x.node.word == "reshape" else x.node for x in sequences]
    numbers: dict[Node, Node] = {}  # as the sequence that they are
    shared: dict[Node, None] = {}
    taken = []
    for x, n in zip(sequences, sources):
        own: tuple[dict, dict] = {}, {}
        taken.append(_made_of_takes(n, x.shape[0] * x.shape[1], *own))
        if taken[-1]:
            numbers.update({m: xp.graph.reshape(m, x.shape[:2]) for m in own[0]})
            shared.update(own[1])
    if not numbers:
        return cell, sequences, fixed
    plain = [x for x, t in zip(sequences, taken) if not t]

    def taking(xp: Any, *given: Any) -> tuple:
        rest = list(given)
        own = dict(zip(shared, rest[len(rest) - len(shared) :]))
        own.update(zip(numbers, rest[len(plain) :]))
        rows = iter(rest[: len(plain)])
        moving = [_again(xp, n, own) if t else next(rows) for n, t in zip(sources, taken)]
        return cell(xp, *moving, *rest[len(plain) + len(numbers) : len(rest) - len(shared)])

    shown = [*plain, *[Array(xp, n) for n in numbers.values()]]
    return taking, shown, [*fixed, *[Array(xp, n) for n in shared]]


def _made_of_takes(n: Node, rows: int, numbers: dict, shared: dict) -> bool:
    """Whether each of the rows of a node is made of a table's rows and of what all rows share."""
    if n.shape[:1] != (rows,) or len(n.shape) != 2:
        return False
    if n.word == "take":
        numbers[n.inputs[1]] = shared[n.inputs[0]] = None
        return n.inputs[0].nbytes <= _TABLE_BYTES
    shared.update({x: None for x in n.inputs if len(x.shape) < 2})
    return (
        n.word == "map"
        and len(shared) <= _MOST_SHARED
        and all(len(x.shape) < 2 or _made_of_takes(x, rows, numbers, shared) for x in n.inputs)
    )


def _again(xp: Any, n: Node, known: dict[Node, Array]) -> Array:
    """A node made anew of what is known."""
    if n in known:
        return known[n]
    if n.word == "take":
        return xp.take_rows(known[n.inputs[0]], known[n.inputs[1]])
    nodes = [_again(xp, x, known).node for x in n.inputs]
    return Array(xp, xp.graph.map(n.attrs[0], *nodes, kind=n.kind, more=n.attrs[1:]))
