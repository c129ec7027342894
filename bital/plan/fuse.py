"""Fusion: the nodes of a graph gathered into groups, each of which becomes one kernel.

Room: plan. A group of kind "loop" runs over a domain; once it holds a reduction it runs over the
kept axes outside and the reduced ones inside, in phases: what needs a finished reduction over the
same elements comes in a later phase. The elementwise nodes after a matrix product (or another word
whose kernel hands over its results one by one) join the product's group. A node made of what is in
memory anyway floats: it joins the group of the first node that needs it. Groups are numbered so
that each needs only earlier ones.
"""

from __future__ import annotations

import functools
from collections import Counter
from math import prod

from bital.base.extent import hint, most
from bital.plan.access import (
    LEAVES,
    VIEWS,
    Places,
    follow,
    identity,
    of_operand,
    root_of,
    source_of,
)
from bital.plan.again import compute_again
from bital.plan.homes import find_homes
from bital.plan.node import Ints, Node
from bital.plan.sweep import ends, factors, sweeps

#: words whose results are handed on, element by element, to the maps that follow
HANDING_ON = frozenset((
    "convolution", "convolution_backward_input", "convolution_backward_weight",
    "max_pool", "max_pool_backward", "mean_pool", "mean_pool_backward",
))  # fmt: skip
#: scalar words that take many instructions
EXPENSIVE = frozenset((
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "arctan2", "hypot",
    "logaddexp", "logaddexp2", "erf", "erfc", "erfinv", "sigmoid", "power", "div", "sqrt",
))  # fmt: skip
_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))
_MOST_PHASES = 3
#: a group whose nodes are looked at when another could join it, at most so many back
_LOOK_BACK = 8
#: so many nodes in a row may wait for a group
_LONGEST = 64
#: and as long as it has no more nodes than these; one whose results are needed may have more
_MOST_NODES, _MOST_IN_CHAIN = 64, 256
#: elements of a row that registers hold from phase to phase
_SHORT_ROW = 64
#: elements from which a reduction to little is split over chunks, which a second kernel adds up
_SPLIT_ELEMS = 65536
_FEW_PARTS = 8


class Group:
    """Nodes that one kernel computes.

    kind      "loop", "product", "sweep", "special", "opaque", "concat", "write"
    domain    the sizes the kernel runs over
    reduced   the axes of the domain that reductions run over; None without reductions
    split     the reductions are over much and keep little: done in parts
    places, phase   of each node
    stored    the nodes whose values are needed elsewhere, or again in a later phase
    homes     the windows of a concatenation where such nodes lie; of it, where its parts do
    leaves    whose memory is read; `read`: as what it is read
    tracks    of a chain, which it is part of (see chain); 0 of none
    """

    __slots__ = ("number", "kind", "domain", "reduced", "split", "nodes", "places", "phase",
                 "stored", "homes", "leaves", "read", "tracks")  # fmt: skip

    def __init__(self, number: int, kind: str, domain: Ints) -> None:
        self.number, self.kind, self.domain = number, kind, domain
        self.reduced: Ints | None = None
        self.split = False
        self.nodes: list[Node] = []
        self.places: dict[Node, Places] = {}
        self.phase: dict[Node, int] = {}
        self.stored: list[Node] = []
        self.homes: dict[Node, Node] = {}
        self.leaves: dict[Node, None] = {}  # in the order in which they are read
        self.read: set[Node] = set()
        self.tracks = 0

    def is_row(self, n: Node) -> bool:
        """Whether a node has one value per kept element, not per element of the domain."""
        return _is_row(self, self.places[n])

    def operand_places(self, n: Node, x: Node) -> Places:
        """The places of an operand of a node: a reduction runs over all of its operand's axes."""
        return identity(x) if n.word == "reduce" else of_operand(x, self.places[n])

    def __repr__(self) -> str:
        return f"<group {self.number} {self.kind} {self.domain} {len(self.nodes)} nodes>"


def _is_row(group: Group, places: Places) -> bool:
    """Whether a node with these places has one value per kept element."""
    return group.reduced is not None and not any(p in group.reduced for p in places)


def _users(needed: set[Node], results: tuple[Node, ...]) -> Counter[Node]:
    """How many nodes need each node, be it through views."""
    users: Counter[Node] = Counter(root_of(n) for n in results)
    for n in needed:
        if n.word not in VIEWS:
            users.update({root_of(x) for x in n.inputs})
    return users


def _lasting(needed: set[Node], results: list[Node]) -> set[Node]:
    """What is in memory whatever the groups: results, and what is read otherwise than in loops."""
    found = {root_of(n) for n in results}
    for n in needed:
        for k, x in enumerate(n.inputs):
            source = source_of(x)
            if n.word == "reduce":
                stored = source.word not in ("map", "take", "reduce")
            else:
                stored = n.word not in ("map", "take", *VIEWS) or (n.word == "take" and not k)
            if stored or (source.word in VIEWS and n.word not in VIEWS):
                found.add(root_of(x))
    return found


def _read(n: Node) -> set[Node]:
    """What a node reads, past rearranged axes."""
    return {source_of(x) for x in n.inputs}


class Fusion:
    """Gathers the nodes that lead to `results`, and to the conditions that are `required`.

    `order` tells the nodes in topological order.
    """

    def __init__(self, order: list[Node], results: list[Node], required: list[Node]) -> None:
        self.results, self.required = results, required
        self.groups: list[Group] = []
        self.group_of: dict[Node, Group] = {}
        #: nodes made of what is in memory: they wait for the group of the first that needs them
        self.floating: dict[Node, int] = {}  # and how many such nodes they are made of in a row
        needed = reachable([*results, *required])
        self.users = _users(needed, (*results, *required))
        #: products that may end a sweep over their matrix, and those that begin it
        self.sweeps = sweeps([n for n in order if n in needed])
        self.begin_sweeps = set(self.sweeps.values())
        self.lasting = _lasting(needed, [*results, *required])
        for n in order:
            if n in needed and n.word not in LEAVES and n.word not in VIEWS:
                if not n.uniform:
                    self._place(n)
        for n in [*results, *required]:
            if n.uniform and n not in self.group_of:
                self._alone(n, "loop", n.shape, identity(n))
        for n in [*results, *required]:
            self._settle(root_of(n))
        self._find_stored()

    @functools.cached_property
    def in_memory(self) -> set[Node]:
        """The nodes that groups store."""
        return {n for group in self.groups for n in group.stored}

    # placing

    def _place(self, n: Node) -> None:
        if n.word == "map" and self._floats(n):
            rows = [self.floating.get(root_of(x), 0) for x in n.inputs]
            self.floating[n] = 1 + max(rows, default=0)
        elif n.word in ("map", "take"):
            self._place_map(n)
        elif n.word == "reduce":
            self._place_reduce(n)
        elif n.word == "pick":
            self._add(self.group_of[n.inputs[0]], n, identity(n), 0)
        else:
            for x in n.inputs:
                self._settle(root_of(x))
            if n in self.begin_sweeps:
                self._alone(n, "sweep", (max(n.shape),), ends(n))
            elif n not in self.sweeps or not self._ends_sweep(n):
                kinds = {"product", "special", "opaque", "concat", "write"}
                self._alone(n, n.word if n.word in kinds else "loop", n.shape, identity(n))

    def _ends_sweep(self, n: Node) -> bool:
        """Add a product along columns to the group of the one along rows, where it can be."""
        group, vector = self.group_of[self.sweeps[n]], factors(n).vector
        source, shown = follow(vector, ends(vector))
        if group.places.get(source) != shown or group.number != self._earliest(n):
            return False
        self._add(group, n, (None, None), 0)
        return True

    def _floats(self, n: Node) -> bool:
        """Whether a map is computed where it is needed.

        That is where it needs nothing that a group computes, or reads it from memory anyway and is
        not to be there itself, and where it compares, as backward passes do with what is in memory:
        a mask would be written only to be read again.
        """
        if n.kind == "i1" and n.shape and n.attrs[0] in _COMPARISONS:
            return all(source_of(x).word not in VIEWS for x in n.inputs)
        joins = n in self.lasting or n.attrs[0] in EXPENSIVE
        last = -1 if joins else self._earliest(n)
        for x in n.inputs:
            root = root_of(x)
            if root.word in LEAVES or root.uniform:
                continue
            if root in self.group_of:
                if joins or not self._in_memory(root, last):
                    return False
            elif self.floating.get(root, _LONGEST) >= _LONGEST or source_of(x).word in VIEWS:
                return False
        return True

    def _in_memory(self, n: Node, last: int) -> bool:
        """Whether a node of a group is surely read from memory by one that needs group `last`.

        What becomes of a sum can join the sum's own group.
        """
        group = self.group_of[n]
        return group.number < last or (n in self.lasting and not group.is_row(n))

    def _settle(self, n: Node) -> None:
        """Give a floating node a group now."""
        if n in self.floating:
            del self.floating[n]
            self._place_map(n)

    def _alone(self, n: Node, kind: str, domain: Ints, places: Places) -> None:
        group = Group(len(self.groups), kind, domain)
        self.groups.append(group)
        self._add(group, n, places, 0)

    def _add(self, group: Group, n: Node, places: Places, phase: int) -> None:
        self.floating.pop(n, None)
        group.nodes.append(n)
        group.places[n] = places
        group.phase[n] = phase
        self.group_of[n] = group
        for x in n.inputs:
            group.leaves[root_of(x)] = None
        group.read |= _read(n)

    def _earliest(self, n: Node) -> int:
        """The number of the last group that n needs, -1 for none."""
        last = -1
        seen, todo = {n}, [n]
        while todo:
            for x in todo.pop().inputs:
                root = root_of(x)
                found = self.group_of.get(root)
                if found is not None:
                    last = max(last, found.number)
                more = [x] if x.word == "window" and len(x.inputs) > 1 else []
                if root in self.floating:  # what it is made of may have a group by now
                    more.append(root)
                todo += [m for m in more if m not in seen]
                seen.update(more)
        return last

    def _candidates(self, n: Node) -> list[Group]:
        """Groups that n might join: the last one it needs, or later ones that read what it does.

        Reading the same number or row does not count: groups of little in common are no better.
        """
        first = self._earliest(n)
        read: set[Node] = set()
        todo = [n]
        while todo:
            more = _read(todo.pop()) - read
            read |= more
            todo += [x for x in more if x in self.floating]
        elems = hint(n.inputs[0].numel if n.word == "reduce" else n.numel)
        read = {x for x in read if hint(x.numel) >= elems > 1}
        found = [self.groups[first]] if first >= 0 else []
        found = [group for group in found if len(group.nodes) < _MOST_IN_CHAIN]
        for group in self.groups[max(first + 1, len(self.groups) - _LOOK_BACK) :]:
            if group.kind != "loop" or len(group.nodes) >= _MOST_NODES:
                continue
            if not read.isdisjoint(group.read):
                found.append(group)
        return found

    def _place_map(self, n: Node) -> None:
        for x in n.inputs:  # what is seen through a view that needs memory floats no longer
            if source_of(x).word in VIEWS or n.word == "take":
                self._settle(root_of(x))
        for group in self._candidates(n):
            places = self._places_in(group, n)
            if places is not None:
                joining = self._joining(group, n, places)
                if joining is not None:
                    for each in joining:
                        self._add(group, *each)
                    return
        group = Group(len(self.groups), "loop", n.shape)
        joining = self._joining(group, n, identity(n))
        if joining is None:  # what floats has other shapes, and other users
            for x in n.inputs:
                self._settle(root_of(x))
            group = Group(len(self.groups), "loop", n.shape)
            joining = [(n, identity(n), 0)]
        self.groups.append(group)
        for each in joining:
            self._add(group, *each)

    def _joining(
        self, group: Group, n: Node, places: Places
    ) -> list[tuple[Node, Places, int]] | None:
        """n, and before it the floating nodes it needs, as they would be in a group, or None."""
        found: dict[Node, tuple[Places, int]] = {}
        joins = self._collect(group, n, places, None, found)
        return [(m, *where) for m, where in found.items()] if joins else None

    def _collect(
        self, group: Group, n: Node, places: Places, least: int | None,
        found: dict[Node, tuple[Places, int]],
    ) -> bool:  # fmt: skip
        """Whether n can join, added to what is `found` with the floating nodes it needs.

        `least` is the phase of the node that needs n.
        """
        phase = self._phase_in(group, n, places)
        if phase is None:
            return False
        if least is not None and not _is_row(group, places):
            phase = max(phase, least)
        for x in n.inputs:
            source, shown = follow(x, of_operand(x, places))
            if source in found:
                if found[source][0] != shown:  # seen along other axes, too: it needs memory
                    return False
            elif source in self.floating:
                whole = source.shape == group.domain and shown == identity(source)
                if not whole and self.users[source] > 1:
                    return False
                if not self._collect(group, source, shown, phase, found):
                    return False
            else:
                continue
            over = _is_row(group, shown) and not _is_row(group, places)
            phase = max(phase, found[source][1] + over)
        found[n] = places, phase
        return phase <= _MOST_PHASES

    def _places_in(self, group: Group, n: Node) -> Places | None:
        """The places n would have in a group, None where it does not fit."""
        if group.kind not in ("loop", "product", "sweep", "special"):
            return None
        if group.kind == "special":
            first = group.nodes[0]
            if first.attrs[0] not in HANDING_ON or len(group.places) == 0:
                return None
        if n.shape == group.domain:
            return identity(n)
        if group.kind == "product":
            turned = self._row_places(group, n)
            # along the rows of the product, as it hands over vectors of these
            return turned if turned and turned[-1] == len(group.domain) - 1 else None
        if group.kind == "sweep" or (group.kind == "loop" and group.reduced is not None):
            return self._row_places(group, n)
        return None

    def _row_places(self, group: Group, n: Node) -> Places | None:
        """The places of a node that has one value for each kept element of a group, else None."""
        found: list[int | None] = [None] * len(n.shape)
        for x in n.inputs:
            trial = tuple(range(len(n.shape)))
            source, shown = follow(x, of_operand(x, trial))
            known = group.places.get(source)
            if known is None:
                continue
            for axis, place in zip(shown, known):
                if axis is not None:
                    if found[axis] not in (None, place):
                        return None
                    found[axis] = place
        kept = {k for k, size in enumerate(group.domain)
                if size != 1 and k not in (group.reduced or ())}  # fmt: skip
        for size, place in zip(n.shape, found):
            if size != 1 and (place is None or group.domain[place] != size):
                return None
        taken = [p for p in found if p is not None]
        return tuple(found) if set(taken) == kept and len(taken) == len(kept) else None

    def _phase_in(self, group: Group, n: Node, places: Places) -> int | None:
        """The phase n would have in a group; None where something it needs is not there yet."""
        row = _is_row(group, places)
        phase = -1 if row else 0
        for k, x in enumerate(n.inputs):
            source, shown = follow(x, of_operand(x, places))
            if n.word == "take" and k == 0:
                source = root_of(x)
                if self.group_of.get(source) is group:
                    return None
                continue
            if source in group.places:
                known = group.places[source]
                if any(a != b for a, b, s in zip(shown, known, source.shape) if s != 1):
                    return None
                at = group.phase[source]
                if source.word == "reduce" or (group.reduced is not None and group.is_row(source)):
                    if group.split and source.word == "reduce":
                        return None
                    at += 0 if row else 1
                phase = max(phase, at)
            elif self.group_of.get(root_of(source)) is group:
                return None  # through a view that needs the whole in memory
        return phase if phase <= _MOST_PHASES else None

    def _place_reduce(self, n: Node) -> None:
        x = n.inputs[0]
        source, shown = follow(x, identity(x))
        if source.word in VIEWS:
            self._settle(root_of(source))
        for group in self._candidates(n):
            if self._takes(group, n) and group.places.get(source, shown) == shown:
                joining = self._joining(group, source, shown) if source in self.floating else []
                if joining is not None:
                    self._reduce_in(group, n, joining)
                    return
        group = self._reducing(n)
        joining = self._joining(group, source, shown) if source in self.floating else []
        if joining is None:
            self._settle(source)
            group = self._reducing(n)
        self.groups.append(group)
        self._reduce_in(group, n, joining or [])

    def _reducing(self, n: Node) -> Group:
        """A group for a reduction."""
        x, axes = n.inputs[0], n.attrs[1]
        group = Group(len(self.groups), "loop", x.shape)
        group.reduced, group.split = axes, splits(x.shape, axes)
        return group

    def _takes(self, group: Group, n: Node) -> bool:
        """Whether a reduction could join a group: one over the same, or that makes its operand."""
        x, axes = n.inputs[0], n.attrs[1]
        if group.kind != "loop" or group.domain != x.shape:
            return False
        source = source_of(x)
        if source.word in VIEWS and self.group_of.get(root_of(x)) is group:
            return False  # through a view that needs the whole in memory
        if group.reduced is None:
            return group.number == self._earliest(n)
        return group.reduced == axes and group.split == splits(x.shape, axes)

    def _reduce_in(self, group: Group, n: Node, joining: list[tuple[Node, Places, int]]) -> None:
        """Add a reduction to a group, and before it what it needs."""
        x, axes = n.inputs[0], n.attrs[1]
        if group.reduced is None:
            group.reduced, group.split = axes, splits(x.shape, axes)
        for each in joining:
            self._add(group, *each)
        source = source_of(x)
        known = source in group.places
        phase = group.phase[source] + group.is_row(source) if known else 0
        self._add(group, n, identity(n), phase)

    # what must be in memory

    def _find_stored(self) -> None:
        stored: set[Node] = {root_of(n) for n in (*self.results, *self.required)}
        for group in self.groups:
            for n in group.nodes:
                for x in n.inputs:
                    source, _ = follow(x, of_operand(x, (None,) * max(len(n.shape), len(x.shape))))
                    root = root_of(source)
                    if self.group_of.get(root) is not group or source.word in VIEWS:
                        stored.add(root)
                    elif self._again_later(group, n, source):
                        stored.add(source)
        compute_again(self, stored, EXPENSIVE)
        for group in self.groups:
            own = [n for n in group.nodes if self.group_of[n] is group]
            group.stored = [n for n in own if n in stored and n.kind != "many"]
        find_homes(self)

    def _again_later(self, group: Group, n: Node, source: Node) -> bool:
        """Whether a later phase needs what an earlier one computed, which is dear to compute."""
        if source not in group.places or source.word != "map" or group.is_row(source):
            return False
        if group.reduced == (len(group.domain) - 1,) and most(group.domain[-1]) <= _SHORT_ROW:
            return False  # it stays in registers
        return group.phase[n] > group.phase[source] and self._is_dear(group, source)

    def _is_dear(self, group: Group, n: Node) -> bool:
        seen: set[Node] = set()
        todo = [n]
        while todo:
            m = todo.pop()
            if m in seen or m not in group.places or m.word != "map" or group.is_row(m):
                continue
            seen.add(m)
            if m.attrs[0] in EXPENSIVE or len(seen) > 6:
                return True
            todo += [follow(x, of_operand(x, group.places[m]))[0] for x in m.inputs]
        return False


def splits(shape: Ints, axes: Ints) -> bool:
    """Whether a reduction runs over so much and keeps so little that it is done in parts."""
    if hint(prod(shape)) < _SPLIT_ELEMS:
        return False
    kept = [hint(n) for k, n in enumerate(shape) if k not in axes]
    if len(shape) - 1 not in axes:
        kept[-1] = -(-kept[-1] // 16)  # vectors of the last axis are one part
    return prod(kept) < _FEW_PARTS


def reachable(results: list[Node]) -> set[Node]:
    """The nodes that lead to the results."""
    seen: set[Node] = set()
    todo = list(results)
    while todo:
        n = todo.pop()
        if n not in seen:
            seen.add(n)
            todo += n.inputs
    return seen
