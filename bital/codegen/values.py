"""Values: what the nodes of a group are worth at the indices of the loops that are open.

Room: codegen. A node's value is written once where its loops are open, and found again from there
on; addresses likewise, axis by axis. Along the vector axis values are vectors of `width` lanes,
perhaps several side by side; what does not run along it is a scalar.
"""

from __future__ import annotations

from typing import Any

from bital.codegen.kernel import Operands, apply_word, place
from bital.codegen.scalar import FLOATS, Builder, Reg
from bital.codegen.target import Target
from bital.plan.access import Access, Places, access, follow
from bital.plan.fuse import Group
from bital.plan.node import Node


class Axis:
    """One loop: axes of the domain that are one in memory; `last` gives the strides."""

    __slots__ = ("size", "last", "reduced")

    def __init__(self, size: int, last: int, reduced: bool) -> None:
        self.size, self.last, self.reduced = size, last, reduced


class Values:
    """Writes the values of a group's nodes; `in_memory` are the nodes that any group stores."""

    def __init__(self, group: Group, target: Target, in_memory: set[Node]) -> None:
        self.group = group
        self.in_memory = in_memory
        self.rank = len(group.domain)
        self.b = Builder(target.masks, target.fused)
        self.operands = Operands(self.b)
        self.axes = [Axis(n, k, False) for k, n in enumerate(group.domain)]
        self.vector = len(self.axes) - 1  # the axis that runs in vectors
        self.lanes = 1
        # state of the writing
        self.scopes: list[dict] = [{}]
        self.open: list[tuple[int, Reg]] = []  # axes that are open, and their indices
        self.sides = 1  # vectors side by side, and the one that is written
        self.side = 0
        self.mask: Reg | None = None
        self.width = 1  # lanes of the vector axis where it is open
        self.phase = 0
        self.spread: dict[Node, frozenset[int]] = {}

    def _target(self, n: Node) -> Access:
        """Where the values of a stored node go."""
        return access(self.group.homes.get(n, n), self.group.places[n], self.rank)

    def _previous(self, k: int) -> int:
        """The axis before k, over those of size 1."""
        k -= 1
        while k >= 0 and self.group.domain[k] == 1:
            k -= 1
        return k

    # values

    def _depends(self, n: Node) -> frozenset[int]:
        """The loops that a node of the group, or something it is made of, runs along."""
        found = self.spread.get(n)
        if found is None:
            if n in self.group.places:
                places = [p for p in self.group.places[n] if p is not None]
                found = frozenset(k for k, a in enumerate(self.axes) if self._covers(k, places))
            else:
                found = frozenset()  # one number
            self.spread[n] = found
        return found

    def _covers(self, k: int, places: list[int]) -> bool:
        """Whether one of the domain's axes at `places` is part of loop k."""
        last = self.axes[k].last
        size = self.axes[k].size
        axis = last
        while True:
            if axis in places:
                return True
            size //= self.group.domain[axis]
            if size <= 1:
                return False
            axis = self._previous(axis)

    def _along_vectors(self, n: Node) -> bool:
        return self.vector in self._depends(n)

    def _lookup(self, key: Any) -> Any:
        for scope in reversed(self.scopes):
            found = scope.get(key)
            if found is not None:
                return found
        return None

    def _value(self, n: Node) -> Reg:
        """The value of a node of the group, or of one number, at the open indices."""
        if n.word == "constant":
            return self.b.const(n.kind, n.attrs[1])
        key = (n, self.side if self._along_vectors(n) else 0)
        found = self._lookup(key) or (self.scopes[0].get(n) if n.word == "reduce" else None)
        if found is None:
            found = self.scopes[-1][key] = self._compute(n)
        return found

    def _compute(self, n: Node) -> Reg:
        group = self.group
        if n.word == "param":
            return self.b.load(self.operands.pointer(n), n.kind)
        if n in group.places and n in group.stored and not group.is_row(n):
            if group.phase[n] < self.phase:
                return self._load(self._target(n), n.kind)
        if n.word == "take":
            return self._taken(n)
        operands = [self._operand(n, k) for k in range(len(n.inputs))]
        if self.mask is not None and n.attrs[0] == "div" and n.kind not in FLOATS:
            # beyond the mask there are zeros, by which the processor would not divide
            operands[1] = self.b.select(self.mask, operands[1], self.b.const(n.kind, 1))
        return apply_word(self.b, n.attrs[0], n.attrs[1:], operands, n.kind)

    def _operand(self, n: Node, k: int) -> Reg:
        """The value of an operand of a node at the open indices."""
        x = n.inputs[k]
        return self._shown(x, self.group.operand_places(n, x) if n in self.group.places else ())

    def _shown(self, x: Node, places: Places) -> Reg:
        """What a node that runs along `places` shows at the open indices."""
        source, _ = follow(x, places)
        if source in self.group.places or source.word in ("constant", "param"):
            return self._value(source)
        if source not in self.in_memory and source.uniform:
            return self._value(source)
        return self._load(access(x, places, self.rank), x.kind)

    def _taken(self, n: Node) -> Reg:
        """A row of the first operand by the number that the second one gives."""
        source, numbers = n.inputs
        places = self.group.places[n]
        row = self._shown(numbers, places[: len(numbers.shape)])
        within = places[len(numbers.shape) :]
        first = access(source, (None, *within), self.rank)
        own = access(source, (self.rank, *within), self.rank + 1).strides[self.rank]
        start = self.b.mul(row, self.b.const("i64", own))
        vector = self.axes[self.vector].last if self.axes else -1
        step = first.strides[vector] if vector >= 0 and self.width > 1 else 0
        pointer = self._pointer(first, len(self.open))
        if row.lanes == 1:
            pointer = self.b.at(pointer, n.kind, start)
            return self._load_vector(pointer, n.kind, step)
        index = self._lane_offsets(step)
        return self.b.gather(pointer, n.kind, self.b.add(start, index), self.mask)

    # memory

    def _load(self, a: Access, kind: str) -> Reg:
        step = self._vector_stride(a)
        key = ("load", a, self.side if step else 0)
        found = self._lookup(key)
        if found is None:
            if a.root.word == "iota":
                found = self._place(a)
            else:
                found = self._load_vector(self._pointer(a, len(self.open)), kind, step)
            self.scopes[-1][key] = found
        return found

    def _place(self, a: Access) -> Reg:
        """The place itself, which is what an iota holds there."""
        b = self.b
        found = b.const("i64", a.offset)
        for k, index in self.open:
            stride = a.strides[self.axes[k].last]
            if stride and k == self.vector:
                found = b.add(found, self._lane_offsets(stride))
            elif stride:
                found = b.add(found, b.mul(index, b.const("i64", stride)))
        return found

    def _load_vector(self, pointer: Reg, kind: str, step: int) -> Reg:
        if step == 0 or self.width == 1:
            if step and self.axes:
                offset = self.b.mul(self._vector_index(), self.b.const("i64", step))
                return self.b.load(pointer, kind, offset)
            return self.b.load(pointer, kind)
        if step == 1:
            return self.b.load(pointer, kind, self._vector_index(), self.width, self.mask)
        return self.b.gather(pointer, kind, self._lane_offsets(step), self.mask)

    def _vector_stride(self, a: Access) -> int:
        """The stride along the vector axis where it is open, else 0."""
        if any(k == self.vector for k, _ in self.open):
            return a.strides[self.axes[self.vector].last]
        return 0

    def _vector_index(self) -> Reg:
        """The index of the first lane."""
        index = next(reg for k, reg in self.open if k == self.vector)
        if self.side:
            key = ("index", self.side)
            found = self._lookup(key)
            if found is None:
                found = self.b.add(index, self.b.const("i64", self.side * self.lanes))
                self.scopes[-1][key] = found
            return found
        return index

    def _lane_offsets(self, step: int) -> Reg:
        """Per lane its index along the vector axis times a stride."""
        b = self.b
        if self.width == 1:
            if not any(k == self.vector for k, _ in self.open):
                return b.const("i64", 0)
            return b.mul(self._vector_index(), b.const("i64", step))
        lanes = b.add(self._vector_index(), b.iota("i64", self.width))
        return lanes if step == 1 else b.mul(lanes, b.const("i64", step, self.width))

    def _pointer(self, a: Access, level: int) -> Reg:
        """The address for the open indices of the `level` outermost loops, vectors left out."""
        key = ("pointer", a, level)
        found = self._lookup(key)
        if found is not None:
            return found
        if level == 0:
            found = self.operands.pointer(place(a))
        else:
            found = self._pointer(a, level - 1)
            k, index = self.open[level - 1]
            stride = a.strides[self.axes[k].last]
            if stride and k != self.vector:
                offset = self.b.mul(index, self.b.const("i64", stride))
                found = self.b.at(found, a.root.kind, offset)
        self.scopes[-1][key] = found
        return found

    def _store_all(self, nodes: list[Node]) -> None:
        """Store what is stored of some nodes; all is computed before anything is overwritten."""
        for n, value in [(n, self._value(n)) for n in nodes if n in self.group.stored]:
            self._store(n, value)

    def _store(self, n: Node, value: Reg) -> None:
        a = self._target(n)
        step = self._vector_stride(a)
        pointer = self._pointer(a, len(self.open))
        if step == 0:
            self.b.store(self.b.lane(value, 0), pointer)
        elif step == 1:
            self.b.store(self.b.splat(value, self.width), pointer, self._vector_index(), self.mask)
        else:
            self.b.scatter(value, pointer, self._lane_offsets(step), self.mask)

    def _hoist(self) -> None:
        """Compute here what depends on no loop that is yet to be opened."""
        group = self.group
        opened = {k for k, _ in self.open}
        for n in group.nodes:
            for k, x in enumerate(n.inputs):
                places = group.operand_places(n, x)
                source, _ = follow(x, places)
                if source in group.places or source.word == "constant":
                    continue
                if source.uniform and source not in self.in_memory:
                    self._value(source)
                elif not (n.word == "take" and k == 0):
                    self._hoist_access(access(x, places, self.rank), x.kind, opened)
            if n in group.stored:
                self._pointer(self._target(n), len(self.open))

    def _hoist_access(self, a: Access, kind: str, opened: set[int]) -> None:
        if a.root.word != "iota":
            self._pointer(a, len(self.open))
        along = {k for k, axis in enumerate(self.axes) if a.strides[axis.last]}
        if along <= opened:
            self._load(a, kind)
