"""Alike: groups that differ only in what they work on share one kernel, written once.

Room: codegen. Layers and time steps repeat themselves; writing the text of a kernel takes a
millisecond or more, comparing descriptions a fraction of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.codegen.kernel import Kernel, Operand, Scratch, place
from bital.plan.access import VIEWS, access, identity, root_of
from bital.plan.fuse import Group
from bital.plan.node import Node


class Alike:
    """The kernels that were written, by the description of their groups."""

    def __init__(self, in_memory: set[Node]) -> None:
        self.in_memory = in_memory
        self.known: dict[Any, tuple[list[Kernel], list[list[int | Scratch]]]] = {}

    def kernels(
        self, group: Group, in_place: bool, write: Callable[[], list[Kernel]]
    ) -> list[Kernel]:
        """The group's kernels: those of one alike on this one's operands, or written now.

        `in_place` says that the group's first node takes the place of an input.
        """
        description = _Description(group, self.in_memory)
        key = description.key, in_place
        found = self.known.get(key)
        if found is None:
            kernels = write()
            numbers = description.numbers
            try:
                places = [
                    [o if isinstance(o, Scratch) else numbers[o] for o in k.operands]
                    for k in kernels
                ]
            except KeyError:  # it works on something that the description does not name
                return kernels
            self.known[key] = kernels, places
            return kernels
        operands = list(description.numbers)
        scratch: dict[Scratch, Scratch] = {}
        return [
            k._replace(operands=[
                scratch.setdefault(p, Scratch(p.elems, p.kind)) if isinstance(p, Scratch)
                else operands[p]
                for p in places
            ])
            for k, places in zip(*found)
        ]  # fmt: skip


class _Description:
    """`key`: all of a group but the identity of its operands, which are `numbers`' keys."""

    def __init__(self, group: Group, in_memory: set[Node]) -> None:
        self.group = group
        self.in_memory = in_memory
        self.numbers: dict[Operand, int] = {}
        self.own = {n: k for k, n in enumerate(group.nodes)}
        stored = set(group.stored)
        nodes = tuple(
            (
                n.word, n.attrs, n.shape, n.kind, group.places[n], group.phase[n],
                self._memory(n) if n in stored else None,
                tuple([self._operand(x) for x in n.inputs]),
            )
            for n in group.nodes
        )  # fmt: skip
        there = [root_of(x) in group.homes for x in group.nodes[0].inputs]
        how = group.reduced, group.split, group.tracks
        self.key = group.kind, group.domain, how, nodes, tuple(there)

    def _number(self, operand: Operand) -> int:
        return self.numbers.setdefault(operand, len(self.numbers))

    def _memory(self, n: Node) -> Any:
        """Where a stored node lies."""
        home = self.group.homes.get(n)
        return self._number(n) if home is None else self._operand(home)

    def _operand(self, x: Node) -> Any:
        if x in self.own:
            return self.own[x]
        if x.word in ("constant", "iota"):
            return x
        if x.word == "param":
            return "param", x.kind, self._number(x)
        if x.word == "window":
            at = self._number(place(access(x, identity(x), len(x.shape))))
            return "window", x.attrs[0], x.shape, x.kind, at, x.inputs[0] in self.own
        if x.word in VIEWS:
            return x.word, x.attrs, x.shape, tuple([self._operand(i) for i in x.inputs])
        if x.word == "map" and x not in self.in_memory:  # made of numbers alone
            return x.attrs, x.kind, tuple([self._operand(i) for i in x.inputs])
        strides = x.attrs[1] if x.word == "input" else None
        return strides, x.shape, x.kind, self._number(x)
