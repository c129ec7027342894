"""Steps: a recurrence as one kernel, whose chunks are rows that go through all steps by themselves.

Room: codegen. The groups of a step become functions that are called step after step. What they
work on moves along the sequences; what dies within a step lies in memory of the chunk's own. So no
thread waits for another between steps, and what all steps read stays in the nearest caches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from bital.codegen.kernel import At, Kernel, Operand, Operands, Scratch, place, scratch_of
from bital.codegen.scalar import Builder, Reg
from bital.codegen.target import Target
from bital.plan.access import access, identity, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.memory import Layout
from bital.plan.node import Node
from bital.plan.steps import Cell

#: the kernels of a group
Write = Callable[[Group, Target, set[Node], set[Node]], list[Kernel]]

#: rows of a chunk, about: products of fewer read the weights too often
_ROWS = 16
#: where what all steps read is more than these bytes, it comes from farther away for every chunk
_NEAR_BYTES, _MANY_ROWS = 1 << 20, 32
_ALIGN = 64


def steps(group: Group, target: Target, write: Write) -> list[Kernel]:
    """The kernels of a group of steps: one for each number of rows that chunks have."""
    node = group.nodes[0]
    cell: Cell = node.attrs[1]
    n = cell.rows
    fixed = sum(x.nbytes for x in node.inputs[cell.sequences + cell.states :])
    chunks = max(n // (_ROWS if fixed <= _NEAR_BYTES else _MANY_ROWS), 1)
    rows, larger = n // chunks, n % chunks
    found, first = [], 0
    for count, size in ((larger, rows + 1), (chunks - larger, rows)):
        if count:
            found.append(_Walk(group, target, write, first, size).kernel(count))
        first += count * size
    return found


class _Walk:
    """Writes the kernel of chunks of `rows` rows, which begin with row number `first`."""

    def __init__(self, group: Group, target: Target, write: Write, first: int, rows: int) -> None:
        self.node = group.nodes[0]
        self.cell: Cell = self.node.attrs[1]
        self.first, self.rows = first, rows
        self.b = Builder(target.masks, target.fused)
        self.operands = Operands(self.b)
        #: results and last states that are wanted, by number
        self.picks = {n.attrs[0]: n for n in group.stored}
        self.seen = [access(x, identity(x), len(x.shape)) for x in self.node.inputs]
        moving = self.cell.sequences
        strides = [a.strides[1 if k < moving else 0 :] for k, a in enumerate(self.seen)]
        self.step = self.cell.step(rows, strides)
        self.parts = {
            root_of(n): (k, m)
            for k, parts in enumerate(self.step.results) if k in self.picks
            for m, n in enumerate(parts)
        }  # fmt: skip
        self._write_groups(write, target)

    def _write_groups(self, write: Write, target: Target) -> None:
        """The kernels of a step's groups, and where in a chunk's memory lies what dies in it."""
        step = self.step
        wanted = [n for k, parts in enumerate(step.results) if k in self.picks for n in parts]
        fusion = Fusion(list(step.graph.table.values()), [*wanted, *step.states], [])
        layout = Layout(fusion, (False,) * len(step.inputs))
        kernels = {g.number: write(g, target, fusion.in_memory, set()) for g in layout.order}
        self.kernels = [k for g in layout.order for k in kernels[g.number]]
        layout.place(lambda g: scratch_of(kernels[g.number]))
        self.offsets, size = layout.offsets, layout.arena_bytes
        #: where states lie that are no results, in turns: two places of so many bytes
        self.turns: dict[Node, tuple[int, int]] = {}
        for n in step.states:
            if root_of(n) not in self.parts:
                self.turns[root_of(n)] = size, -(-n.nbytes // _ALIGN) * _ALIGN
                size += 2 * self.turns[root_of(n)][1]
        self.bytes = -(-size // _ALIGN) * _ALIGN

    def kernel(self, chunks: int) -> Kernel:
        """The kernel, of so many chunks."""
        b, cell = self.b, self.cell
        count = cell.steps
        chunk = Reg("%chunk", "i64")
        self.row = b.affine(self.first, (chunk, self.rows))
        own = self.operands.pointer(Scratch(chunks * max(self.bytes, _ALIGN), "u8"))
        self.own = b.at(own, "u8", b.mul(chunk, b.index(self.bytes)))
        begins = [self._begin(k) for k in range(len(self.seen))]
        self.outs = {k: self.operands.pointer(n) for k, n in self.picks.items()}
        states = slice(cell.sequences, cell.sequences + cell.states)
        tables = [b.alloca("ptr", len(k.operands)) for k in self.kernels]
        walk = b.loop(0, count, 1, *begins[states])
        step = b.sub(b.index(count - 1), walk.index) if cell.reverse else walk.index
        memory = dict(zip(map(root_of, self.step.inputs), begins))
        for k in range(cell.sequences):
            a = self.seen[k]
            moved = b.mul(step, b.index(a.strides[0]))
            memory[self.step.inputs[k]] = b.at(begins[k], a.root.kind, moved)
        memory.update(zip(self.step.inputs[states], walk.values))
        for root, (k, m) in self.parts.items():
            memory[root] = self._result(root, k, m, step)
        last = b.eq(walk.index, b.index(count - 1))
        for j, n in enumerate(self.step.states):
            if root_of(n) in self.turns:
                memory[root_of(n)] = self._state(n, j, walk.index, last)
        for kernel, table in zip(self.kernels, tables):
            self._call(kernel, table, memory)
        walk.end(*[memory[root_of(n)] for n in self.step.states])
        ns = count * chunks * sum(k.ns for k in self.kernels)
        return Kernel(b, chunks, self.operands.order, ns)

    def _begin(self, k: int) -> Reg:
        """Where the chunk's rows of an operand begin, in the first step in memory."""
        b, a = self.b, self.seen[k]
        pointer = self.operands.pointer(place(a))
        if k >= self.cell.sequences + self.cell.states:
            return pointer
        stride = a.strides[1 if k < self.cell.sequences else 0]
        return b.at(pointer, a.root.kind, b.mul(self.row, b.index(stride)))

    def _result(self, n: Node, k: int, part: int, step: Reg) -> Reg:
        """Where a part of a step of a result goes."""
        b = self.b
        whole = self.picks[k]
        size, rows = n.numel // self.rows, self.cell.rows
        every = whole.numel // self.cell.steps
        place = b.affine(part * rows * size, (step, every), (self.row, size))
        return b.at(self.outs[k], n.kind, place)

    def _state(self, n: Node, j: int, turn: Reg, last: Reg) -> Reg:
        """Where a step leaves a state that is no result."""
        b = self.b
        start, size = self.turns[root_of(n)]
        odd = b.both(turn, b.index(1))
        found = b.at(self.own, "u8", b.affine(start, (odd, size)))
        k = len(self.step.results) + j
        if k not in self.picks:
            return found
        end = b.at(self.outs[k], n.kind, b.mul(self.row, b.index(n.numel // self.rows)))
        return b.line_value("select i1 {}, ptr {}, ptr {}", "ptr", 1, last, end, found)

    def _call(self, kernel: Kernel, table: Reg, memory: dict[Node, Reg]) -> None:
        """Run a kernel of the step, all chunks of it."""
        b = self.b
        for k, operand in enumerate(kernel.operands):
            b.store(self._pointer(operand, memory), table, k)
        name = f"step_{hashlib.sha1(kernel.builder.text('').encode()).hexdigest()[:16]}"
        b.declared |= kernel.builder.declared
        b.declared.add(kernel.builder.text(name))
        turn = b.loop(0, kernel.chunks)
        b.line(f"call void @{name}(ptr {b.use(table)}, i64 {b.use(turn.index)})")
        turn.end()

    def _pointer(self, operand: Operand, memory: dict[Node, Reg]) -> Reg:
        b = self.b
        if isinstance(operand, At):
            return b.at(self._pointer(operand.root, memory), operand.root.kind, operand.offset)
        if isinstance(operand, Node) and operand in memory:
            return memory[operand]
        return b.at(self.own, "u8", self.offsets[operand])
