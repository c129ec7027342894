"""Epilogue: the elementwise nodes that follow a product, written into its kernel.

Room: codegen. The kernel of the product (or of a convolution, or a pooling) hands over its results,
a vector of one row at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Set

from bital.base.extent import hint
from bital.codegen.kernel import Kernel, Operand, Operands, place
from bital.codegen.nest import Product
from bital.codegen.scalar import Builder, Reg
from bital.codegen.target import Target
from bital.codegen.values import Values
from bital.plan.access import Access, access, follow, of_operand, root_of
from bital.plan.fuse import Group
from bital.plan.node import Node

#: multiply-adds of a core in a nanosecond, about
_PER_NS = 50
#: of so many bytes most still lie in a core's own cache (of 2 MiB) when a kernel begins
_KEPT_BYTES = 1 << 20


class Epilogue(Values):
    """Called by the kernel of a group's first node with each of its values."""

    def __init__(self, group: Group, target: Target, in_memory: set[Node]) -> None:
        super().__init__(group, target, in_memory)
        self.first = group.nodes[0]
        self.ns = 0.0
        self.factors: list[Operand] = []
        self.numbers: dict = {}  # that are known from the entry on
        self.entered: Builder | None = None  # the kernel whose entry they were written to

    def product(self, across: Set[Node] = frozenset()) -> Product:
        """The shapes and strides of the product that begins the group.

        Of nodes `across` cores have written ranges of columns, of others of rows.
        """
        n = self.first
        x, y = n.inputs[:2]
        turn_a, turn_b = n.attrs
        batch = n.shape[:-2]
        rank = len(n.shape) + 1  # the domain of a product: batch, m, n, k
        lead = tuple(range(len(batch)))
        m, col, k = len(batch), len(batch) + 1, len(batch) + 2

        def strides(f: Node, places: tuple) -> tuple[int, ...]:
            gap = len(batch) - (len(f.shape) - 2)
            own = tuple(
                None if size == 1 else p for size, p in zip(f.shape, (*lead[gap:], *places))
            )
            a = access(f, own, rank)
            self.factors.append(place(a))
            return a.strides

        along = (k, m) if turn_a else (m, k), (col, k) if turn_b else (k, col)
        # factors of other terms lie alike
        a, b, *_ = [strides(f, along[side % 2]) for side, f in enumerate(n.inputs)]
        terms = len(n.inputs) // 2
        K = x.shape[-2] if turn_a else x.shape[-1]
        per_ns = _PER_NS if n.kind == "f32" else _PER_NS / 2
        self.ns = hint(n.numel) * hint(K) * terms / per_ns
        self.operands = Operands(self.b, tuple(self.factors))
        return Product(
            tuple(batch), n.shape[-2], n.shape[-1], K, n.kind,
            (*a[: len(batch)], a[m], a[k]), (*b[: len(batch)], b[k], b[col]),
            (root_of(x) in across, root_of(y) in across), self._results(across), terms,
        )  # fmt: skip

    def _results(self, across: Set[Node]) -> tuple[int, int]:
        """How many arrays of the product's shape are read after it, written by rows and columns."""
        size = hint(self.first.numel)
        read = {root_of(x) for n in self.group.nodes[1:] for x in n.inputs}
        arrays = [
            n for n in read
            if hint(n.numel) == size and (n.word == "input" or n in self.in_memory)
        ]  # fmt: skip
        columns = sum(n in across for n in arrays)
        return len(arrays) - columns, columns

    def operands_of_first(self) -> None:
        """Name the operands of the first node, whose elements lie in order."""
        self.operands = Operands(self.b, tuple([root_of(x) for x in self.first.inputs]))

    def __call__(self, b: Builder, value: Reg, indices: tuple[Reg, ...], mask: Reg | None) -> None:
        """Take one value, a scalar or a vector along the last axis, and do what follows."""
        self.b = self.operands.b = b
        if b is not self.entered:
            self.numbers, self.entered = self._numbers(), b
        self.mask, self.width, self.lanes = mask, value.lanes, value.lanes
        self.open = list(enumerate(indices))
        self.scopes = [self.numbers, *({} for _ in indices)]
        self.scopes[-1][self.first, 0] = value
        self._store_all(self.group.nodes)

    def _numbers(self) -> dict:
        """Write the numbers that are the same for all elements at the kernel's entry.

        Stores might change them as far as LLVM knows, so it would load and convert a learning rate
        for every vector.
        """
        b, group = self.b, self.group
        found: dict = {}
        self.open, self.mask, self.width = [], None, 1
        for n in group.nodes:
            for x in n.inputs:
                source, _ = follow(x, group.operand_places(n, x))
                if source in group.places or source in self.in_memory or not source.uniform:
                    continue
                self.scopes = [dict(found)]
                lines, b.lines, label, known = b.lines, [], b.label, b.known
                b.known = {}
                self._value(source)
                if b.label == label:  # in one block
                    b.entry += b.lines
                    found = self.scopes[0]
                b.lines, b.label, b.known = lines, label, known
        return found

    def fetch(self, b: Builder, indices: tuple[Reg, ...]) -> None:
        """Ask for what will be read and written with the element at some indices."""
        self.b = self.operands.b = b
        self.open = list(enumerate(indices))
        self.scopes = [{} for _ in range(len(indices) + 1)]
        for a, write in self.beside.items():
            b.prefetch(self._pointer(a, len(indices)), a.root.kind, indices[-1], write)

    @functools.cached_property
    def beside(self) -> dict[Access, bool]:
        """The arrays as large as the result that follow it, and which of them are written.

        None, if a core's own cache keeps all that the kernel reads and writes.
        """
        group, size = self.group, hint(self.first.numel)
        found: dict[Access, bool] = {}
        for n in group.nodes[1:]:
            for x in n.inputs if n.word == "map" else ():
                a = access(x, of_operand(x, group.places[n]), self.rank)
                if hint(x.numel) == size and a.root.word != "iota" and a.root not in group.places:
                    found[a] = False
        found.update((self._target(n), True) for n in group.stored if hint(n.numel) == size)
        arrays = {*(a.root for a in found), *map(root_of, self.first.inputs)}
        if sum(hint(root.nbytes) for root in arrays) < _KEPT_BYTES:
            return {}
        return {a: write for a, write in found.items() if a.strides[-1] == 1}

    def kernel(self, builder: Builder, chunks: int) -> Kernel:
        """The finished kernel with its operands."""
        return Kernel(builder, chunks, self.operands.order, self.ns)
