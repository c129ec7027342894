"""Native: a whole plan as machine code, and the Python function that runs it.

Room: codegen. The kernels of a plan are called by one function per stretch that no opaque
instruction interrupts. It is given the list of the plan's arrays, whose addresses it reads from the
Python objects themselves, and a table of numbers (see module).
"""

from __future__ import annotations

import functools
import zlib
from time import perf_counter
from typing import Any

from bital.base.extent import Bounds
from bital.codegen import gemm, jit
from bital.codegen.alike import Alike
from bital.codegen.epilogue import Epilogue
from bital.codegen.kernel import Kernel, Scratch, is_word
from bital.codegen.loops import loops
from bital.codegen.module import Module
from bital.codegen.moves import concat, write
from bital.codegen.runner import runner
from bital.codegen.special import WORDS, special
from bital.codegen.sweep import sweep
from bital.codegen.target import Target, host
from bital.plan.access import is_whole, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.graph import ROOM, SIZE, Node
from bital.plan.lower import Program
from bital.plan.memory import Layout


class Native:
    """A compiled plan: `run(arrays, params)` as Plan's."""

    def __init__(
        self, code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...],
        layouts: list[tuple], absent: frozenset[int], bounds: Bounds | None = None,
    ) -> None:  # fmt: skip
        begin = perf_counter()
        target = host()
        program = Program(code, held, layouts, absent, is_known, prefers_library, bounds)
        self.program = program
        graph = program.graph
        self.bounds = bounds  # of the size that changes, if one does
        #: that size, and it in whole units of the arena, as run-time scalars
        self.size, self.room = graph.param(SIZE, "i64"), graph.param(ROOM, "i64")
        results = [
            n if is_whole(n) else graph.node("map", (n,), ("copy",), n.shape, n.kind)
            for n in program.results
        ]
        #: the shapes of arrays that are results under another shape than their nodes'
        self.shapes = {root_of(n): n.shape for n in results}
        fusion = Fusion(list(graph.table.values()), results, program.required)
        self.layout = Layout(fusion, donated)
        in_memory = {n for g in fusion.groups for n in g.stored}
        alike, over = Alike(in_memory), set(self.layout.over)
        self.kernels: dict[int, list[Kernel]] = {}
        for g in self.layout.order:
            if g.kind != "opaque":
                write_now = functools.partial(kernels_of, g, target, in_memory, over)
                kernels = alike.kernels(g, g.nodes[0] in over, write_now)
                self.kernels[g.number] = [k.of_size(self.size) for k in kernels]
        self.layout.place(lambda g: [
            o for k in self.kernels.get(g.number, ()) for o in k.operands if isinstance(o, Scratch)
        ])  # fmt: skip
        self.inputs = len(donated)
        self._assemble(results)
        #: that it took to make
        self.seconds = perf_counter() - begin

    def shape_of(self, root: Node) -> tuple[int, ...]:
        """The shape of a node's array."""
        return self.shapes.get(root, root.shape) if root in self.layout.arrays else root.shape

    @property
    def nbytes(self) -> int:
        """What it works in, beside inputs and results."""
        unit = self.layout.arena_unit
        return self.layout.arena_bytes + unit * (self.bounds.hint if self.bounds and unit else 0)

    @property
    def text(self) -> str:
        """The LLVM IR, of which a plan keeps as little as can be: there may be hundreds."""
        return zlib.decompress(self._packed).decode()

    def cycles(self) -> list[int]:
        """Per call of a kernel the processor's cycles so far, all threads' runs together."""
        return [
            int(call.share * sum(table[1 + call.region] for table in self.tables))
            for call in self.calls
        ]

    # the table of arrays: inputs, arrays of results, the arena, what opaque instructions make

    def _assemble(self, results: list[Node]) -> None:
        layout = self.layout
        self.slots: dict[Node, int] = {}
        for node in self.program.inputs.values():
            self.slots[node] = node.attrs[0]
        fresh = list(layout.arrays)
        for k, node in enumerate(fresh):
            self.slots[node] = self.inputs + k
        self.arena_slot = self.inputs + len(fresh)
        for node, k in layout.over.items():
            self.slots[node] = k
        self.params: dict[Node, int] = {}
        self.length = self.arena_slot + 1
        segments: list[list[list[Group]] | Group] = []
        for batch in layout.batches:
            if batch[0].kind == "opaque":
                segments.append(batch[0])
                for n in batch[0].nodes:
                    self.slots[n] = self.length
                    self.length += 1
            elif segments and isinstance(segments[-1], list):
                segments[-1].append(batch)
            else:
                segments.append([batch])
        self.first_param = 1 + sum(len(kernels) for kernels in self.kernels.values())
        self.tables: list[Any] = []
        module = Module(self)
        for k, segment in enumerate(segments):
            if isinstance(segment, list):
                module.segment(k, segment)
        text = module.whole()
        self.calls = module.calls
        self.library = jit.build(text)
        self._packed = zlib.compress(text.encode(), 1)
        for call in self.calls:
            call.kernel.builder.forget()
        #: native runs so far, and their nanoseconds
        self.clock = [0, 0]
        self.empty = not results
        self.run = runner(self, segments, results, fresh)


def is_known(word: str) -> bool:
    """Whether a scalar or special word can be compiled."""
    return is_word(word) or word in WORDS


def prefers_library(n: Node) -> bool:
    """Whether a product is so large that NumPy's library is faster than generated code."""
    *batch, m, cols = n.shape
    x, (turned, _) = n.inputs[0], n.attrs
    depth = x.shape[-2] if turned else x.shape[-1]
    return gemm.prefers_library(gemm.Product(tuple(batch), m, cols, depth, n.kind, (), ()))


def kernels_of(group: Group, target: Target, in_memory: set[Node], over: set[Node]) -> list[Kernel]:
    """The kernels of a group that is not opaque."""
    if group.kind == "loop":
        return loops(group, target, in_memory)
    if group.kind == "product":
        epilogue = Epilogue(group, target, in_memory)
        builder, chunks = gemm.product(epilogue.product(), target, epilogue)
        return [epilogue.kernel(builder, chunks)] if chunks else []
    if group.kind == "sweep":
        return sweep(group, target, in_memory)
    if group.kind == "concat":
        return concat(group, target, in_memory)
    if group.kind == "write":
        return write(group, target, in_memory, group.nodes[0] in over)
    return special(group, target, in_memory, kernels_of)
