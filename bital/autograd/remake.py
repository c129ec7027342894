"""Remake: results of a pass, with the histories that they have, written out as Python.

Room: autograd. A pass that is replayed gives its caller tensors like those that a walk once gave:
windows on the results of the instructions that it records, and, where a graph of the gradient was
wanted, nodes that lead to those of the graph it went through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bital.autograd.passage import Writer
from bital.ir.prefix import UNKNOWN
from bital.ir.trace import Value
from bital.ops.create import is_constant
from bital.ops.window import ManyNode
from bital.tensor.node import Node, OpNode, Output, next_number, output_of, rule_form, told_apart
from bital.tensor.storage import Storage, View, view_at
from bital.tensor.tensor import Tensor, ViewNode, window


class Untold(Exception):
    """Something that a walk has made is not of a kind that can be written down."""


def node_of(edge: Any) -> Any:
    """The node that an edge leads to; None for none."""
    return edge.node if edge.__class__ is Output else edge


class Maker:
    """Writes what makes tensors anew; `known` says where older things are found, by identity.

    Nodes that are not known must have numbers from `first` on, and values be constants or results
    of instructions from `base` on.
    """

    def __init__(self, writer: Writer, known: dict[int, str], base: int, first: int) -> None:
        self.writer, self.base, self.first = writer, base, first
        self.found = dict(known)
        self.lines: list[str] = []
        self.values: dict[int, Any] = {}  # number -> meta of those that are needed
        self.alive: list[Any] = []  # so that identities stay what they are
        writer.names |= {
            "next_number": next_number, "output_of": output_of, "view_at": view_at,
            "window": window,
        }  # fmt: skip

    def make(self, tensors: Sequence[Tensor | None]) -> list[str]:
        """Write what makes the tensors, and give their names."""
        for node in self.new_nodes([t for t in tensors if t is not None]):
            self.node(node)
        return ["None" if t is None else self.tensor(t) for t in tensors]

    def add(self, thing: Any, kind: str, text: str) -> str:
        """Write down that the thing is made so; its name."""
        name = f"{kind}_{len(self.alive)}"
        self.lines.append(f"{name} = {text}")
        self.alive.append(thing)
        self.found[id(thing)] = name
        return name

    def new_nodes(self, tensors: Sequence[Tensor]) -> list[Node]:
        """The nodes of the tensors' histories that the pass has made, the oldest first."""
        found: set[Node] = set()
        stack = [t for t in tensors if id(t) not in self.found]
        while stack:
            t = stack.pop()
            if t._view is not None and t._view.base is not None:
                stack += [b for b in [t._view.base] if id(b) not in self.found]
            edges = [t._edge]
            while edges:
                node = node_of(edges.pop())
                if node is None or node in found or id(node) in self.found:
                    continue
                if node.number < self.first:
                    raise Untold
                found.add(node)
                edges += node.edges
                if isinstance(node, OpNode):
                    kept = [each for each in node.saved[::2] if isinstance(each, Tensor)]
                    stack += [each for each in kept if id(each) not in self.found]
        return sorted(found, key=lambda node: node.number)

    def node(self, node: Node) -> None:
        """Write what makes a node whose edges lead to known ones."""
        if node.extra is not None:
            raise Untold
        name, edges = self.writer.name, ", ".join([*map(self.edge, node.edges), ""])
        cls, metas = name(node.__class__), name(node.metas)
        if isinstance(node, (ViewNode, ManyNode)):
            if rule_form(node.rule) is None:
                raise Untold
            more = f", {node.results}" if isinstance(node, ManyNode) else ""
            self.add(node, "m", f"{cls}(({edges}), {metas}, {name(node.rule)}{more})")
            return
        if not isinstance(node, OpNode) or node.saved is None or told_apart(node.params) is None:
            raise Untold
        saved = ", ".join(
            [self.saved(*node.saved[k : k + 2]) for k in range(0, len(node.saved), 2)]
        )
        m = self.add(node, "m", f"{cls}()")
        epoch = -1 if node.prefix is UNKNOWN else "epoch"
        self.lines += [
            f"{m}.edges, {m}.metas, {m}.extra = ({edges}), {metas}, None",
            f"{m}.spec, {m}.params = {name(node.spec)}, {name(node.params)}",
            f"{m}.number, {m}.prefix, {m}.epoch = next_number(), {name(node.prefix)}, {epoch}",
            f"{m}.saved = [{saved}]",
        ]

    def edge(self, edge: Any) -> str:
        """Where an edge leads: a node, or a result of one."""
        if edge is None:
            return "None"
        node = self.found.get(id(node_of(edge)))
        if node is None:
            raise Untold
        return f"output_of({node}, {edge.index})" if edge.__class__ is Output else node

    def saved(self, kept: Any, version: int | None) -> str:
        """A pair of a node's `saved`."""
        if kept is None and version is None:
            return "None, None"
        if isinstance(kept, Storage):
            found = cell = self.cell(kept)
        elif isinstance(kept, Tensor):
            found = self.tensor(kept)
            cell, kept = f"{found}._storage", kept._storage
        else:
            raise Untold
        if version != kept.version:
            raise Untold
        return f"{found}, {cell}.version"

    def value(self, value: Value) -> str | None:
        """A value that the pass has recorded, a constant, or a known one; None for any other."""
        if value.trace is self.writer.trace and value.number >= self.base:
            self.values[value.number] = value.meta
            return f"r{value.number}"
        return self.writer.name(value) if is_constant(value) else self.found.get(id(value))

    def cell(self, cell: Storage) -> str:
        """A cell, known or of a value that the pass has recorded."""
        found = self.found.get(id(cell))
        if found is None:
            value = self.value(cell.value)
            if cell.__class__ is not Storage or cell.version or value is None:
                raise Untold
            meta = self.writer.name(cell.value.meta)
            found = self.add(cell, "s", f"wrap({value}, {meta})._storage")
        return found

    def tensor(self, t: Tensor) -> str:
        """A tensor, known or a window on such a cell."""
        found = self.found.get(id(t))
        if found is not None:
            return found
        if t.__class__ is not Tensor or t.__dict__ or t._grad is not None:
            raise Untold
        cell, view = self.cell(t._storage), "None"
        if t._view is not None:
            view = self.view(t._view, t._storage, cell)
        found = self.add(t, "t", f"window({cell}, {self.writer.name(t._meta)}, {view})")
        if t._edge is not None:
            self.lines.append(f"{found}._edge = {self.edge(t._edge)}")
        return found

    def view(self, view: View, storage: Storage, cell: str) -> str:
        """A window, with what is known to be seen through it."""
        base, version = "None", "0"
        if view.base is not None:
            if view.version != storage.version:
                raise Untold
            base, version = self.tensor(view.base), f"{cell}.version"
        strides = self.writer.name(view.strides)
        made = f"view_at({view.offset}, {strides}, {base}, {version}, {view.made!r})"
        found = self.add(view, "w", made)
        self.seen(view, storage, found, cell)
        return found

    def seen(self, view: View, storage: Storage, found: str, cell: str) -> None:
        """Write down what the pass has read through a window."""
        if view.key is storage.value and view.window is not None:
            same = view.window is view.key
            seen = f"{cell}.value" if same else self.value(view.window)
            if seen is not None:
                self.lines.append(f"{found}.key, {found}.window = {cell}.value, {seen}")
