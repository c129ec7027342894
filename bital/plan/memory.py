"""Memory: where each stored value lies, and in which order groups run.

Room: plan. Results that are held lie in arrays of their own, or in the array of an input that
nobody else holds and nothing reads any more (a parameter and its update). What opaque
instructions read or make lies in arrays, too. All else shares one arena by turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.extent import Extent
from bital.base.stride import contiguous_strides
from bital.plan.access import access, root_of
from bital.plan.chain import chains
from bital.plan.fuse import Fusion, Group
from bital.plan.node import Node

_ALIGN = 64


class Layout:
    """The order of the groups, in batches, and for every stored node one of: an input's array it
    overwrites (`over`), an array of its own (`arrays`, in order), a place in the arena (`offsets`).

    A chain is a batch of its own, where it is asked for.
    """

    def __init__(self, fusion: Fusion, donated: tuple[bool, ...], chained: bool = False) -> None:
        self.fusion = fusion
        self.after: dict[int, set[int]] = {g.number: set() for g in fusion.groups}
        self.readers: dict[Node, list[Group]] = {}
        for group in fusion.groups:
            for leaf in group.leaves:
                self.readers.setdefault(leaf, []).append(group)
                made = fusion.group_of.get(leaf)
                if made is not None and made is not group:
                    self.after[group.number].add(made.number)
        self.over: dict[Node, int] = {}
        self._overwrite(donated)
        self.batches = self._batches([])
        if chained:
            order = [group for batch in self.batches for group in batch]
            found = chains(fusion, order, self.after, self.over)
            self.batches = self._batches(found) if found else self.batches
        self.order = [group for batch in self.batches for group in batch]
        self.arrays: list[Node] = []
        self.offsets: dict[object, int] = {}
        #: how many bytes farther on for each unit of a size that changes
        self.units: dict[object, int] = {}
        self.arena_bytes = self.arena_unit = 0
        self._find_arrays()

    # results in the place of inputs

    def _overwrite(self, donated: tuple[bool, ...]) -> None:
        """Let results that are held take the arrays of inputs that die."""
        fusion = self.fusion
        held = {root_of(n) for n in fusion.results}
        free = {
            leaf.attrs[0]: leaf for leaf in self.readers
            if leaf.word == "input" and donated[leaf.attrs[0]] and leaf not in held
            and not any(self._aliased(leaf, g) for g in self.readers[leaf])
        }  # fmt: skip
        conditions = {fusion.group_of[root_of(n)].number for n in fusion.required}
        able: list[tuple] = []
        for group in fusion.groups:
            for n in group.stored:
                if n in held and n.shape and n.word != "pick":
                    for leaf, steps in _made_of(group, n).items():
                        if free.get(leaf.attrs[0]) is leaf and self._fits(group, n, leaf):
                            able.append((steps, len(able), group, n, leaf))
        # the nearest first: a parameter's update takes its own array, not that of a state
        for _, _, group, n, leaf in sorted(able, key=lambda a: a[:2]):
            k = leaf.attrs[0]
            # nothing is overwritten before it is read, and sure that nothing is wrong
            others = {g.number for g in self.readers[leaf] if g is not group} | conditions
            if n in self.over or k not in free:
                continue
            if not any(self._leads(group.number, other) for other in others):
                self.over[n] = k
                self.after[group.number].update(others)
                del free[k]

    def _aliased(self, leaf: Node, group: Group) -> bool:
        """Whether an opaque instruction may hand out windows of the memory."""
        return group.kind == "opaque" and group.nodes[0].attrs[0].op.alias

    def _fits(self, group: Group, n: Node, leaf: Node) -> bool:
        """Whether every element of the input is read no later than the result takes its place."""
        if (
            leaf.shape != n.shape
            or leaf.kind != n.kind
            or leaf.attrs[1] != contiguous_strides(n.shape)
        ):
            return False
        if group.kind == "write":
            value = group.nodes[0].inputs[1]
            return group.nodes[0].inputs[0] is leaf and root_of(value) is not leaf
        if group.kind not in ("loop", "product", "special") or group.split:
            return False
        rank = len(group.domain)
        place = access(n, group.places[n], rank)
        for m in group.nodes:
            for x in m.inputs:
                if root_of(x) is not leaf:
                    continue
                if m.word not in ("map", "reduce"):
                    return False
                a = access(x, group.operand_places(m, x), rank)
                if a.strides != place.strides or a.offset or a.moved is not None:
                    return False
                if group.phase[m] > group.phase[n]:
                    return False
        return n.word != "reduce"

    def _leads(self, first: int, last: int) -> bool:
        """Whether group `last` must come after group `first`."""
        seen = set()
        todo = [last]
        while todo:
            g = todo.pop()
            if g == first:
                return True
            if g not in seen:
                seen.add(g)
                todo += self.after[g]
        return False

    # the order

    def _batches(self, chains: list[list[Group]]) -> list[list[Group]]:
        """Groups that need nothing of each other together, after all that they need.

        Chains come late, and opaque ones, which stand alone, later: native ones run in one go.
        """
        groups = self.fusion.groups
        waiting = {g.number: len(self.after[g.number]) for g in groups}
        then: dict[int, list[int]] = {g.number: [] for g in groups}
        for number, needs in self.after.items():
            for needed in needs:
                then[needed].append(number)
        free = [number for number, count in waiting.items() if not count]
        found = []
        tied = [[g.number for g in chain] for chain in chains]
        late = {n for chain in tied for n in chain}
        late.update(g.number for g in groups if g.kind == "opaque")
        while free:
            batch = sorted(n for n in free if n not in late)
            if not batch:
                ready = [  # all that it waits for is in it
                    chain for chain in tied
                    if all(waiting[n] == len(self.after[n].intersection(chain)) for n in chain)
                ]  # fmt: skip
                batch = ready[0] if ready else [min(n for n in free if groups[n].kind == "opaque")]
            found.append([groups[n] for n in batch])
            for number in batch:
                waiting[number] = -1
                for other in then[number]:
                    waiting[other] -= 1
                    if not waiting[other]:
                        free.append(other)
            free = [n for n in free if waiting[n] == 0]
        return found

    # arrays and the arena

    def _find_arrays(self) -> None:
        fusion = self.fusion
        outside = {root_of(n) for n in fusion.results}
        for group in fusion.groups:
            if group.kind == "opaque":
                outside.update(root_of(x) for x in group.nodes[0].inputs)
        for group in self.order:
            if group.kind != "opaque":
                self.arrays += [n for n in group.stored if n in outside and n not in self.over]

    def place(self, scratch: Callable[[Group], list]) -> None:
        """Give every other stored node, and each group's scratch, a place in the arena.

        `scratch` tells a group's own needs, objects with `nbytes`.
        """
        at = {g.number: k for k, batch in enumerate(self.batches) for g in batch}
        wanted: list[tuple[int, int, Any, Any]] = []
        arrays = set(self.arrays)
        for group in self.order:
            k = at[group.number]
            for n in group.stored:
                if group.kind == "opaque" or n in group.homes or n in self.over or n in arrays:
                    continue
                # parts of a concatenation that are computed in its memory come before it
                first = min([k, *(at[self.fusion.group_of[m].number] for m in group.homes)])
                last = max((at[g.number] for g in self.readers.get(n, ())), default=k)
                wanted.append((first, last, n.nbytes, n))
            for s in scratch(group):
                wanted.append((k, k, s.nbytes, s))
        fixed = [(k, last, nbytes, x) for k, last, nbytes, x in wanted if isinstance(nbytes, int)]
        self.offsets, self.arena_bytes = _placed(fixed, _ALIGN)
        # what grows with a size lies behind: of so many bytes for each unit, which are aligned
        growing = [
            (k, last, max(nbytes.a, 0) + max(nbytes.b, 0), x)
            for k, last, nbytes, x in wanted if isinstance(nbytes, Extent)
        ]  # fmt: skip
        self.units, self.arena_unit = _placed(growing, 1)


def _placed(wanted: list[tuple[int, int, int, Any]], align: int) -> tuple[dict[Any, int], int]:
    """Where what is `wanted` (the first and the last batch, bytes, for whom) lies; bytes of all."""
    offsets: dict[Any, int] = {}
    most = 0
    placed: list[tuple[int, int, int, int]] = []  # first, last, offset, end
    for first, last, nbytes, owner in sorted(wanted, key=lambda w: (-w[2], w[0])):
        size = -(-max(nbytes, 1) // align) * align
        offset = 0
        for _, _, start, end in sorted(
            (p for p in placed if p[0] <= last and first <= p[1]), key=lambda p: p[2]
        ):
            if offset + size <= start:
                break
            offset = max(offset, end)
        offsets[owner] = offset
        placed.append((first, last, offset, offset + size))
        most = max(most, offset + size)
    return offsets, most


def _made_of(group: Group, n: Node) -> dict[Node, int]:
    """The inputs of the plan that a group makes a node of, and how many steps away they are."""
    found: dict[Node, int] = {}
    seen = {n}
    edge, steps = [n], 0
    while edge:
        steps += 1
        roots = [root_of(x) for m in edge for x in m.inputs]
        for root in roots:
            if root.word == "input":
                found.setdefault(root, steps)
        edge = [m for m in dict.fromkeys(roots) if m in group.places and m not in seen]
        seen.update(edge)
    return found
