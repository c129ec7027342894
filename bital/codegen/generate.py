"""Generate: from a trace to LLVM IR text, and what a run needs beside its machine code.

Room: codegen. The kernels of a plan are called by one function per stretch that no opaque
instruction interrupts. It is given the list of the plan's arrays, whose addresses it reads from the
Python objects themselves, and a table of numbers (see module).
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from bital.base.extent import Extent
from bital.codegen import gemm
from bital.codegen.alike import Alike
from bital.codegen.divide import Functions
from bital.codegen.form import Form, Opaque
from bital.codegen.kernel import Kernel, is_word, scratch_of
from bital.codegen.loops import loops
from bital.codegen.module import Module, param_of
from bital.codegen.moves import concat, write
from bital.codegen.nest import Product
from bital.codegen.products import products
from bital.codegen.special import WORDS, special
from bital.codegen.sweep import sweep
from bital.codegen.target import Target, host
from bital.ir.task import Task
from bital.plan.access import is_whole, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.lower import Program
from bital.plan.memory import Layout
from bital.plan.node import DTYPES, ROOM, SIZE, Node


class Generated:
    """What a trace becomes: `text`, the `calls` of its kernels in order, and its `form`.

    `use` is given each part of the text that can be compiled by itself, as soon as it is there.
    """

    def __init__(self, task: Task, use: Callable[[str], object] = lambda part: None) -> None:
        self.program = program = Program(task, is_known, prefers_library)
        program.simplify()
        graph = program.graph
        self.bounds = task.bounds  # of the size that changes, if one does
        #: that size, and it in whole units of the arena, as run-time scalars
        self.size, self.room = graph.param(SIZE, "i64"), graph.param(ROOM, "i64")
        results = [
            n if is_whole(n) else graph.node("map", (n,), ("copy",), n.shape, n.kind)
            for n in program.results
        ]
        #: the shapes of arrays that are results under another shape than their nodes'
        self.shapes = {root_of(n): n.shape for n in results}
        fusion = Fusion(list(graph.table.values()), results, program.required)
        self.layout = Layout(fusion, task.donated, chained=True)
        in_memory = fusion.in_memory
        alike, over = Alike(in_memory), set(self.layout.over)
        self.functions = Functions(use)
        target, across = host(), set[Node]()  # of which cores write ranges of columns
        self.kernels: dict[int, list[Kernel]] = {}
        for g in self.layout.order:
            if g.kind != "opaque":
                write_now = functools.partial(kernels_of, g, target, in_memory, over, across)
                kernels = alike.kernels(g, g.nodes[0] in over, write_now)
                if any(k.across for k in kernels):
                    across.update(g.stored)
                self.kernels[g.number] = found = [k.of_size(self.size) for k in kernels]
                for kernel in found:
                    self.functions.name(kernel)
        self.layout.place(lambda g: scratch_of(self.kernels.get(g.number, ())))
        self.inputs = len(task.donated)
        self._assemble(results)

    def shape_of(self, root: Node) -> tuple[int, ...]:
        """The shape of a node's array."""
        return self.shapes.get(root, root.shape) if root in self.layout.arrays else root.shape

    # the table of arrays: inputs, arrays of results, the arena, what opaque instructions make

    def _assemble(self, results: list[Node]) -> None:
        layout = self.layout
        self.slots: dict[Node, int] = {}
        for node in self.program.inputs.values():
            self.slots[node] = node.attrs[0]
        for k, node in enumerate(layout.arrays):
            self.slots[node] = self.inputs + k
        self.arena_slot = self.inputs + len(layout.arrays)
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
        module = Module(self, self.functions)
        for k, segment in enumerate(segments):
            if isinstance(segment, list):
                module.segment(k, segment)
        self.text = module.end()
        self.calls = module.calls
        for call in self.calls:
            call.kernel.builder.forget()
        self.form = self._form(segments, results)

    # what a run needs

    def _form(self, segments: list, results: list[Node]) -> Form:
        layout, bounds = self.layout, self.bounds
        form = Form(
            self.inputs, [(_plain(self.shape_of(n)), DTYPES[n.kind].str) for n in layout.arrays],
            layout.arena_bytes, layout.arena_unit, self.length, self.first_param,
            [(p.attrs[0], "d" if p.kind == "f64" else "q") for p in self.params],
            [None if isinstance(s, list) else self._opaque(s) for s in segments],
            [self._array(root_of(n), n.shape) for n in results], [],
        )  # fmt: skip
        if bounds is None:
            return form
        return form._replace(bounds=[bounds.least, bounds.most, sorted(bounds.left_out)])

    def _opaque(self, group: Group) -> Opaque:
        whole, *picks = group.nodes
        return Opaque(
            self.program.numbers[whole], self.slots[whole], [*map(self._operand, whole.inputs)],
            [(pick.attrs[0], self.slots[pick]) for pick in picks],
        )  # fmt: skip

    def _operand(self, x: Node) -> list:
        """How an array that shows what a node shows is had from the list (see form)."""
        if x.word == "scalar":
            return ["scalar", x.attrs[0]]
        shape = _plain(x.shape)
        if x.word == "reshape":
            return ["reshape", self._operand(x.inputs[0]), shape]
        if x.word == "axes":
            return ["axes", self._operand(x.inputs[0]), x.attrs[0], shape]
        if x.word == "window":
            moved = param_of(x.inputs[1]).attrs[0] if len(x.inputs) > 1 else None
            return ["window", self._operand(x.inputs[0]), shape, *x.attrs, moved]
        return self._array(x, x.shape)

    def _array(self, root: Node, shape: tuple) -> list:
        """How a node's array is had from the list, under a shape."""
        array = ["array", self.slots[root]]
        return array if self.shape_of(root) == shape else ["reshape", array, _plain(shape)]


def _plain(shape: tuple) -> list:
    """Sizes as a form has them."""
    return [[n.a, n.b] if isinstance(n, Extent) else n for n in shape]


def is_known(word: str) -> bool:
    """Whether a scalar or special word can be compiled."""
    return is_word(word) or word in WORDS


def prefers_library(n: Node) -> bool:
    """Whether a product is so large that NumPy's library is faster than generated code."""
    *batch, m, cols = n.shape
    x, (turned, _) = n.inputs[0], n.attrs
    depth = x.shape[-2] if turned else x.shape[-1]
    return gemm.prefers_library(Product(tuple(batch), m, cols, depth, n.kind, (), ()))


def kernels_of(
    group: Group,
    target: Target,
    in_memory: set[Node],
    over: set[Node],
    across: set[Node] | None = None,
) -> list[Kernel]:
    """The kernels of a group that is not opaque.

    Of nodes `across` cores have written ranges of columns, of others of rows; None: one core alone.
    """
    if group.kind == "loop":
        return loops(group, target, in_memory)
    if group.kind == "product":
        return products(group, target, in_memory, across)
    if group.kind == "sweep":
        return sweep(group, target, in_memory)
    if group.kind == "concat":
        return concat(group, target, in_memory)
    if group.kind == "write":
        return write(group, target, in_memory, group.nodes[0] in over)
    return special(group, target, in_memory, kernels_of)
