"""Loops: a group of elementwise nodes and reductions as one nest of loops over vectors.

Room: codegen. The domain's kept axes run outside, the reduced ones inside; the last axis of the
domain runs in vectors (the last lanes under a mask). What does not depend on an inner axis is
computed before its loop begins. A chunk is a range of one axis; its bounds follow from shapes
alone, so that the same sums are made whoever runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isqrt, prod
from typing import Any

from bital.base.extent import Extent, hint
from bital.codegen.combine import COMBINE, finish, in_pairs, neutral
from bital.codegen.kernel import Kernel, Scratch, chunks_of
from bital.codegen.scalar import FLOATS, Loop, Reg
from bital.codegen.target import Target
from bital.codegen.values import Axis, Values
from bital.plan.access import Access, access, follow
from bital.plan.fuse import EXPENSIVE, Group
from bital.plan.node import Node

#: what an element costs: by memory, by words, by dear ones
_BYTE_NS, _WORD_NS, _DEAR_NS = 0.03, 0.02, 0.4
#: vectors that are worked on side by side, so that sums do not wait for each other
_SIDE_BY_SIDE = 4
#: the longest chain of additions, for accuracy, and about how long one is where there are several
_LONGEST_CHAIN, _CHAIN = 512, 256
#: so many nodes of a group may be computed one within the other
_DEEP = 64
#: where the vectors of a row stay in registers, so often all nodes are written for that at most
_MOST_WRITTEN = 256

Range = tuple[Reg | int, Reg | int]


class Writer(Values):
    """Writes the kernel of one loop group."""

    def __init__(self, group: Group, target: Target, in_memory: set[Node]) -> None:
        super().__init__(group, target, in_memory)
        self.reduced = group.reduced or ()
        self.registers = target.registers
        self.rows = [n for n in group.nodes if n.word != "reduce" and group.is_row(n)]
        self.reduces = [n for n in group.nodes if n.word == "reduce"]
        self.axes = self._axes()
        self.vector = len(self.axes) - 1
        kinds = {n.kind for n in group.nodes} | {i.kind for n in group.nodes for i in n.inputs}
        widest = 4 if "f32" in kinds or not kinds & {"f64", "i64"} else 8
        self.lanes = target.lanes(widest)
        if self.axes and self.axes[-1].size == 1:
            self.lanes = 1
        self.parts: dict[Node, Scratch] = {}
        self.step = self.unit = 1  # elements of a chunk, which are whole units
        self.split_axis, self.chunks = self._chunks()

    # the shape of the nest

    def _accesses(self) -> list[Access]:
        """Everything that is loaded or stored, over the axes of the domain."""
        group = self.group
        found = []
        for n in group.nodes:
            for k, x in enumerate(n.inputs):
                places = group.operand_places(n, x)
                if n.word == "take" and k == 0:
                    continue
                source, _ = follow(x, places)
                if source not in group.places and source.word not in ("constant", "param"):
                    found.append(access(x, places, self.rank))
            if n in group.stored:
                found.append(self._target(n))
        return found

    def _axes(self) -> list[Axis]:
        """The loops, kept axes first; neighbours that every access runs through as one are one."""
        domain = self.group.domain
        order = [k for k in range(self.rank) if k not in self.reduced and domain[k] != 1]
        order += [k for k in range(self.rank) if k in self.reduced and domain[k] != 1]
        accesses = self._accesses()
        takes = any(n.word == "take" for n in self.group.nodes)
        axes: list[Axis] = []
        for k in order:
            reduced = k in self.reduced
            before = axes[-1] if axes else None
            if (
                before is not None
                and before.reduced == reduced
                and before.last == self._previous(k)
                and not takes
                and all(a.strides[before.last] == a.strides[k] * domain[k] for a in accesses)
            ):
                before.size *= domain[k]
                before.last = k
            else:
                axes.append(Axis(domain[k], k, reduced))
        # vectors run along the last axis, which comes innermost, be it a kept one
        axes.sort(key=lambda a: bool(order) and a.last == max(order))
        return axes

    def _chunks(self) -> tuple[int, int]:
        """The loop that is divided into chunks, and into how many."""
        group = self.group
        ns = 0.0
        for n in group.nodes:
            dear = n.word == "map" and n.attrs[0] in EXPENSIVE
            elems = hint(n.inputs[0].numel if n.word == "reduce" else n.numel)
            ns += elems * (_DEAR_NS if dear else _WORD_NS)
        ns += _BYTE_NS * sum(hint(n.nbytes) for n in (*group.stored, *group.leaves))
        self.ns = ns
        if group.tracks:  # the first axis is the outermost one
            self.step = self.axes[0].size // group.tracks
            return 0, group.tracks
        wanted = chunks_of(ns)
        able = [k for k, a in enumerate(self.axes) if group.split or not a.reduced]
        if wanted < 2 or not able or 0 in group.domain:
            return -1, 1
        sizes = [hint(a.size) for a in self.axes]
        large = [k for k in able if sizes[k] >= wanted]
        axis = large[0] if large else max(able, key=sizes.__getitem__)
        self.unit = 1
        if axis == self.vector:
            self.unit = self.lanes * (_SIDE_BY_SIDE if self.reduces else 1)
        step = -(-sizes[axis] // wanted)
        self.step = -(-step // self.unit) * self.unit
        return axis, -(-sizes[axis] // self.step)

    def _column_wise(self) -> bool:
        """Whether reductions run over other axes than the vectors do."""
        return bool(self.reduces) and bool(self.axes) and not self.axes[self.vector].reduced

    # writing

    def kernels(self) -> list[Kernel]:
        """The kernel, and where it leaves parts of reductions, the one that combines them."""
        if prod(self.group.domain) == 0:
            return self._of_nothing()
        kept = [k for k, a in enumerate(self.axes) if not a.reduced and k != self.vector]
        if self.split_axis >= 0:
            self._bounds(self.split_axis)
        self._nest(kept)
        kernel = Kernel(self.b, self.chunks, self.operands.order, self.ns)
        if not self.parts:
            return [kernel]
        return [
            kernel,
            *[finish(n, n.attrs[0], part, self.chunks) for n, part in self.parts.items()],
        ]

    def _of_nothing(self) -> list[Kernel]:
        """Reductions of no elements: what changes nothing, and the rows made of it."""
        group = self.group
        kept = prod(n for k, n in enumerate(group.domain) if k not in self.reduced)
        if not kept or not self.reduces:
            return []
        for n in self.reduces:
            self.scopes[0][n] = self.b.const(n.kind, neutral(n.attrs[0], n.kind))
        outer = [k for k, a in enumerate(self.axes) if not a.reduced]
        self.lanes, self.split_axis, self.chunks = 1, -1, 1
        self._nest_rows(outer)
        return [Kernel(self.b, 1, self.operands.order, self.ns)]

    def _nest_rows(self, outer: list[int]) -> None:
        loops = [self._open(k) for k in outer]
        self._store_all([*self.reduces, *self.rows])
        for loop in reversed(loops):
            self._close(loop)

    def _nest(self, outer: list[int]) -> None:
        """Open the kept loops outside, write the phases, close them."""
        self._hoist()
        loops = []
        for k in outer:
            loops.append(self._open(k))
            self._hoist()
        inner = [k for k, a in enumerate(self.axes) if a.reduced and k != self.vector]
        if not self.axes:
            self._phases([], None)
        elif self._column_wise():
            size = self.axes[self.vector].size
            sides = min(_SIDE_BY_SIDE, -(-hint(size) // self.lanes))
            if isinstance(size, Extent) or self.vector == self.split_axis:
                sides = 1 << (sides.bit_length() - 1)  # a mask of bits finds what is left over
            self._in_vectors(sides, lambda: self._phases(inner, None))
        elif self.axes[self.vector].reduced and not inner and self._fits_registers():
            self._in_registers()
        elif self.axes[self.vector].reduced:
            self._phases(inner, self.vector)
        else:
            self._in_vectors(1, lambda: self._body([], self.group.nodes))
        for loop in reversed(loops):
            self._close(loop)

    def _bounds(self, k: int) -> Range:
        """Where the loop over an axis begins and ends in this chunk."""
        size = self.axes[k].size
        if k != self.split_axis:
            return 0, size
        found = self.scopes[0].get("bounds")
        if found is None:
            b, step, last = self.b, self.b.index(self.step), self.b.index(size)
            chunk = Reg("%chunk", "i64")
            if isinstance(size, Extent):  # there are as many chunks, whatever the size
                each = self.chunks * self.unit
                step = b.div(b.add(last, b.index(each - 1)), b.index(each))
                step = b.mul(step, b.index(self.unit))
            begin = b.mul(chunk, step)
            if isinstance(size, Extent):  # the last ones may be empty
                begin = b.minimum(begin, last)
            end = b.add(begin, step)
            end = b.select(b.lt(end, last), end, last)
            found = self.scopes[0]["bounds"] = (begin, end)
        return found

    def _open(self, k: int, *carried: Reg, within: Range | None = None) -> Loop:
        begin, end = within or self._bounds(k)
        loop = self.b.loop(begin, end, 1, *carried)
        self.open.append((k, loop.index))
        self.scopes.append({})
        return loop

    def _close(self, loop: Loop, *values: Reg) -> list[Reg]:
        self.open.pop()
        self.scopes.pop()
        return loop.end(*values)

    def _segments(self, sides: int) -> list[tuple[Reg | int, Reg | int, int, bool]]:
        """Ranges of the vector axis: (begin, end, vectors at a time, whether under a mask)."""
        k = self.vector
        size, lanes = self.axes[k].size, self.lanes
        begin, end = self._bounds(k)
        if lanes == 1:
            return [(begin, end, 1, False)]
        if k == self.split_axis or isinstance(size, Extent):
            whole = not isinstance(size, Extent) and not size % (lanes * sides)
            if whole and not self.step % (lanes * sides):
                return [(begin, end, sides, False)]
            b, first, last = self.b, self.b.index(begin), self.b.index(end)
            rest = b.both(b.sub(last, first), b.const("i64", lanes * sides - 1))
            middle = b.sub(last, rest)
            return [(first, middle, sides, False), (middle, last, 1, True)]
        filled = size - size % (lanes * sides)
        found: list[tuple[Reg | int, Reg | int, int, bool]] = []
        if filled:
            found.append((0, filled, sides, False))
        vectors = size - size % lanes
        if vectors > filled and vectors == size:
            found.append((filled, size, 1, False))
        elif size > filled:
            found.append((filled, size, 1, True))
        return found

    def _in_vectors(self, sides: int, write: Any) -> None:
        """Run the vector axis outside of what `write` writes."""
        for begin, end, count, masked in self._segments(sides):
            loop = self.b.loop(begin, end, self.lanes * count)
            self._enter_vectors(loop.index, end, masked)
            self.sides = count
            write()
            self._leave_vectors()
            loop.end()

    def _enter_vectors(self, index: Reg, end: Reg | int, masked: bool) -> None:
        self.open.append((self.vector, index))
        self.scopes.append({})
        self.width = self.lanes
        self.mask = None
        if masked and self.lanes > 1:
            left = self.b.sub(self.b.index(end), index)
            self.mask = self.b.mask_below(left, self.lanes)

    def _leave_vectors(self) -> None:
        self.open.pop()
        self.scopes.pop()
        self.width, self.mask, self.sides, self.side = 1, None, 1, 0

    # phases

    def _phases(self, inner: list[int], vector: int | None) -> None:
        """Each phase's loops over the reduced axes, then what there is one of per kept element."""
        self._rows(-1)
        for phase, full, reduces in self._of_phases():
            self.phase = phase
            if full or reduces:
                self._reduce_loops(inner, vector, full, reduces)
            self._rows(phase)

    def _of_phases(self) -> list[tuple[int, list[Node], list[Node]]]:
        """Per phase the nodes of the whole domain that are stored, and the reductions."""
        group = self.group
        found = []
        for phase in range(max(group.phase.values(), default=0) + 1):
            mine = [n for n in group.nodes if group.phase[n] == phase and n not in self.rows]
            reduces = [n for n in mine if n.word == "reduce"]
            full = [n for n in mine if n.word != "reduce" and n in group.stored]
            found.append((phase, full, reduces))
        return found

    def _fits_registers(self) -> bool:
        """Whether rows are so short that all their vectors are kept in registers."""
        size = self.axes[self.vector].size
        if isinstance(size, Extent):
            return False
        sides = -(-size // self.lanes)
        return (
            self.lanes > 1
            and not self.group.split
            and sides <= self.registers // 2
            and sides * len(self.group.nodes) <= _MOST_WRITTEN
        )

    def _in_registers(self) -> None:
        """Write the phases of a short row: what one phase computed, the next ones have."""
        b, size = self.b, self.axes[self.vector].size
        sides = -(-size // self.lanes)
        self._enter_vectors(b.const("i64", 0), size, False)
        rest = size % self.lanes
        last = b.mask_below(rest, self.lanes) if rest else None
        self._rows(-1)
        for phase, full, reduces in self._of_phases():
            self.phase = phase
            parts: list[list[Reg]] = [[] for _ in reduces]
            for side in range(sides):
                self.side, self.mask = side, last if side == sides - 1 else None
                self._walk_chains()
                operands = [b.splat(self._operand(n, 0), self.lanes) for n in reduces]
                self._store_all(full)
                for part, n, value in zip(parts, reduces, operands):
                    if self.mask is not None:
                        nothing = b.const(n.kind, neutral(n.attrs[0], n.kind), self.lanes)
                        value = b.select(self.mask, value, nothing)
                    part.append(value)
            self.side, self.mask = 0, None
            for part, n in zip(parts, reduces):
                word = COMBINE[n.attrs[0]]
                self.scopes[-1][n, 0] = b.across(word, in_pairs(b, word, part))
            self._rows(phase)
        self._leave_vectors()

    def _rows(self, phase: int) -> None:
        """Compute what there is one of per kept element, as far as this phase makes it known."""
        group = self.group
        mine = [
            n for n in group.nodes
            if group.phase[n] == phase and (n.word == "reduce" or n in self.rows)
        ]  # fmt: skip
        whole = [n for n in mine if n.word != "reduce" or not self._store_part(n)]
        for side in range(self.sides if self.width > 1 else 1):
            self.side = side
            for n in whole:
                self._value(n)
            self._store_all(whole)
        self.side = 0

    def _store_part(self, n: Node) -> bool:
        """Store a chunk's part of a reduction; False where a chunk has the whole of it."""
        if self.split_axis < 0 or not self.axes[self.split_axis].reduced:
            return False
        part = self.parts.get(n)
        if part is None:
            part = self.parts[n] = Scratch(self.chunks * n.numel, n.kind)
        base = self.b.at(
            self.operands.pointer(part), n.kind,
            self.b.mul(Reg("%chunk", "i64"), self.b.const("i64", n.numel)),
        )  # fmt: skip
        a = self._target(n)
        for k, index in self.open:
            stride = a.strides[self.axes[k].last]
            if stride and k != self.vector:
                base = self.b.at(base, n.kind, self.b.mul(index, self.b.const("i64", stride)))
        for side in range(self.sides if self.width > 1 else 1):
            self.side = side
            value = self._value(n)
            if self._vector_stride(a):
                self.b.store(self.b.splat(value, self.width), base, self._vector_index(), self.mask)
            else:
                self.b.store(value, base)
        self.side = 0
        return True

    def _reduce_loops(
        self, inner: list[int], vector: int | None, full: list[Node], reduces: list[Node]
    ) -> None:
        """The loops of one phase, which store `full` and leave the reductions' values."""
        sides = self.sides if vector is None else self._sides_within()
        lanes = self.width if vector is None else self.lanes
        start = self._nothing(reduces, sides, lanes)
        values = self._inner(inner, vector, sides, full, reduces, start)
        for k, n in enumerate(reduces):
            mine = values[k * sides : (k + 1) * sides]
            word = COMBINE[n.attrs[0]]
            if vector is None:
                for side, value in enumerate(mine):
                    self._remember(n, side, value)
                continue
            self._remember(n, 0, self.b.across(word, in_pairs(self.b, word, mine)))

    def _sides_within(self) -> int:
        """How many vectors side by side a reduction along the vectors takes."""
        size = hint(self.axes[self.vector].size)
        small = len(self.group.nodes) <= 12
        return _SIDE_BY_SIDE if small and size >= 2 * _SIDE_BY_SIDE * self.lanes else 1

    def _remember(self, n: Node, side: int, value: Reg) -> None:
        self.scopes[-1][n, side if self._along_vectors(n) else 0] = value

    def _inner(
        self, inner: list[int], vector: int | None, sides: int, full: list[Node],
        reduces: list[Node], carried: list[Reg],
    ) -> list[Reg]:  # fmt: skip
        """The reduced loops, from the outermost in; what they carry at their end."""
        self._hoist()
        if not inner and vector is None:
            return self._body(full, reduces, carried, sides)
        loops = inner if vector is None else [*inner, vector]
        block, _ = self._block_of(loops, vector, sides, reduces)
        words = [COMBINE[n.attrs[0]] for n in reduces for _ in range(sides)]
        start = self._nothing(reduces, sides, carried[0].lanes if carried else 1)
        if inner:

            def rows(within: Range, carried: list[Reg]) -> list[Reg]:
                loop = self._open(inner[0], *carried, within=within)
                values = self._inner(inner[1:], vector, sides, full, reduces, loop.values)
                return self._close(loop, *values)

            return self._in_blocks(block, self._bounds(inner[0]), words, start, carried, rows)
        for begin, end, count, masked in self._segments(sides):
            size = 0 if masked else block * self.lanes * count
            write = partial(self._vectors, count, masked, sides, full, reduces)
            carried = self._in_blocks(size, (begin, end), words, start, carried, write)
        return carried

    def _vectors(
        self, count: int, masked: bool, sides: int, full: list[Node], reduces: list[Node],
        within: Range, carried: list[Reg],
    ) -> list[Reg]:  # fmt: skip
        """A range of the vector axis, `count` vectors at a time.

        Where these are fewer than `sides`, the first accumulators take them.
        """
        loop = self.b.loop(*within, self.lanes * count, *carried)
        self._enter_vectors(loop.index, within[1], masked)
        self.sides = count
        values = self._body(full, reduces, loop.values, sides)
        self._leave_vectors()
        return loop.end(*values)

    def _block_of(
        self, loops: list[int], vector: int | None, sides: int, reduces: list[Node]
    ) -> tuple[int, int]:
        """Of the outermost of the reduced loops the turns of a block, 0 where all are one chain.

        And how many additions follow one another then.
        """
        if not loops:
            return 0, 1
        k, *rest = loops
        turns = self.step if k == self.split_axis else hint(self.axes[k].size)
        if k == vector:
            turns = -(-turns // (self.lanes * sides))
        _, within = self._block_of(rest, vector, sides, reduces)
        sums = any(n.attrs[0] == "sum" and n.kind in FLOATS for n in reduces)
        if not sums or turns * within <= _LONGEST_CHAIN:
            return 0, turns * within
        block = max(max(isqrt(turns), _CHAIN) // within, 1)
        return block, -(-turns // block)

    def _in_blocks(
        self, block: int, within: Range, words: list[str], start: list[Reg], carried: list[Reg],
        write: Callable[[Range, list[Reg]], list[Reg]],
    ) -> list[Reg]:  # fmt: skip
        """Write a reduced loop, be it in blocks that begin with nothing and are added up then."""
        if not block:
            return write(within, carried)
        b = self.b
        walk = b.loop(*within, block, *carried)
        last = b.minimum(b.add(walk.index, b.index(block)), b.index(within[1]))
        values = write((walk.index, last), start)
        found = [getattr(b, w)(x, y) for w, x, y in zip(words, walk.values, values, strict=True)]
        return walk.end(*found)

    def _nothing(self, reduces: list[Node], sides: int, lanes: int) -> list[Reg]:
        """What accumulators begin with."""
        return [
            self.b.const(n.kind, neutral(n.attrs[0], n.kind), lanes)
            for n in reduces for _ in range(sides)
        ]  # fmt: skip

    def _body(
        self, full: list[Node], nodes: list[Node], carried: list[Reg] | None = None, sides: int = 1
    ) -> list[Reg]:
        """The innermost code: store what is stored, add to what is carried."""
        b = self.b
        if carried is None:  # no reductions: all nodes that are stored
            self._walk_chains()
            self._store_all(nodes)
            return []
        found = list(carried)
        for side in range(self.sides):
            self.side = side
            self._walk_chains()
            operands = [self._operand(n, 0) for n in nodes]
            self._store_all(full)
            for k, (n, value) in enumerate(zip(nodes, operands)):
                how = n.attrs[0]
                at = k * sides + side
                value = b.splat(value, found[at].lanes)
                if self.mask is not None:
                    rest = b.const(n.kind, neutral(how, n.kind), value.lanes)
                    value = b.select(self.mask, value, rest)
                found[at] = getattr(b, COMBINE[how])(found[at], value)
        self.side = 0
        return found

    def _walk_chains(self) -> None:
        """In a large group compute what this phase does in order: chains are too long to descend.

        Python's stack may be short where there is a program around.
        """
        group = self.group
        if len(group.nodes) > _DEEP:
            for n in group.nodes:
                if n.word == "map" and group.phase[n] == self.phase and not group.is_row(n):
                    self._value(n)


def loops(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """The kernels of a loop group; `in_memory` are the nodes that other groups have stored."""
    return Writer(group, target, in_memory).kernels()
