"""Towards: passes towards given inputs, or with a graph of the gradient, that come back.

Room: autograd. What `torch.autograd.grad` and the transforms of `torch.func` ask for is recognised
where the trace walks along the tree of known programs. The second time that a pass begins at a
place the conditions for doing it again are written down, before the graph is walked, and what the
walk has recorded and made after it; from then on a passage does both (see autograd.passage).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bital.autograd.passage import MAX_NODES, Writer, never
from bital.autograd.remake import Maker, Untold, node_of
from bital.autograd.replay import MAX_PASSAGES, Form, Recipe, give, recipe_of, table
from bital.ir.prefix import UNKNOWN
from bital.ir.trace import Trace
from bital.ir.trace import hooks as traces
from bital.tensor.node import NOWHERE, AccumulateGrad, Node, Output, next_number
from bital.tensor.node import hooks as nodes
from bital.tensor.storage import Storage, View
from bital.tensor.tensor import Tensor, edge_of


class Pass(NamedTuple):
    """What a backward pass is asked for; `targets` are edges, or None for all leaves."""

    roots: Sequence[Any]
    seeds: Sequence[Tensor]
    targets: Sequence[Any] | None
    keep: bool
    create: bool
    accumulate: bool

    def place(self, trace: Trace) -> tuple:
        """What tells it from other passes that begin where it does."""
        count = -1 if self.targets is None else len(self.targets)
        first, levels = self.roots[0].prefix, [level.id for level in trace.levels]
        return first, len(self.roots), count, self.keep, self.create, self.accumulate, *levels


def known(asked: Pass, trace: Trace) -> list | None:
    """The results of the pass if it is one of those known where the trace stands. Hot."""
    passages = trace.prefix.passages
    if passages is None or nodes.active or traces.keep_lines or trace.inference:
        return None
    for passage in passages.get(asked.place(trace), ()):
        found = passage(asked.roots, asked.seeds, asked.targets, trace)
        if found is not False:
            table.replayed += 1
            return found
    return None


def attempt(asked: Pass, needed: set[Node] | None, trace: Trace) -> Attempt | None:
    """What is to be learnt from the walk that is about to begin through the nodes `needed`."""
    prefix = trace.prefix
    if prefix is UNKNOWN or not trace.learning:
        return None
    if nodes.active or traces.keep_lines or trace.inference:
        return None
    if prefix.passages is None:
        prefix.passages = {}
    place = asked.place(trace)
    passages = prefix.passages.get(place)
    if passages is None:  # the first time that a pass begins here
        prefix.passages[place] = []
        return None
    if len(passages) >= MAX_PASSAGES:
        return None
    passages.append(never)  # where nothing comes of it
    made = Attempt(asked, needed, trace, passages)
    return made if made.begin() else None


class Attempt(Writer):
    """A passage that is being written, of the arguments `roots`, `seeds`, `targets` and `trace`."""

    def __init__(self, asked: Pass, needed: Any, trace: Trace, passages: list) -> None:
        super().__init__(trace, {}, "roots, seeds, targets, trace")
        self.asked, self.needed, self.passages = asked, needed, passages
        self.running: list[int] = []  # the places of nodes that run
        self.known: dict[int, str] = {}  # where things are found, by identity
        self.alive: list[Any] = []  # so that identities stay what they are
        self.unread: list[tuple[View, Storage]] = []  # windows not looked through so far
        self.closed = False  # whether there is more of the graph than was looked at
        self.names |= {"edge_of": edge_of, "node_of": node_of}

    def begin(self) -> bool:
        """Write the conditions; whether they could be told, and are met now."""
        asked = self.asked
        for k, edge in enumerate(asked.roots):
            self.reach(f"roots[{k}]", edge)
        for k, seed in enumerate(asked.seeds):
            self.lines += [f"t = seeds[{k}]", "cell = t._storage"]
            self.require(f"t._meta is {self.name(seed._meta)}")
            if not self.elements(seed):
                return False
            self.keep(seed, f"seeds[{k}]")
        for k, node in enumerate(self.order):  # which grows
            if k > MAX_NODES or not self.part(k, node):
                return False
        if (asked.create and not self.histories()) or not self.targets():
            return False
        self.ages(self.running)
        self.form = Form((), self.named, self.order, self.fresh, self.trace)
        self.first = next_number()
        self.lines.append("return True")
        met = self.function()(asked.roots, asked.seeds, asked.targets, self.trace)
        self.lines.pop()
        return met

    def keep(self, thing: Any, found: str) -> None:
        """Note where a node, a tensor or a cell is found, and what belongs to it."""
        parts = [(thing, found)]
        if isinstance(thing, Tensor):
            cell = thing._storage
            parts += [(cell, f"{found}._storage"), (cell.value, f"{found}._storage.value")]
            if thing._view is not None and thing._view.base is not None:
                self.require(f"{found}._view.base is not None")
                parts.append((thing._view.base, f"{found}._view.base"))
        for part, at in parts:
            self.alive.append(part)
            self.known.setdefault(id(part), at)

    def elements(self, t: Tensor) -> bool:
        """Require the same of a window that nobody has looked through so far."""
        view, cell = t._view, t._storage
        if view is None or view.key is cell.value:
            return super().elements(t)
        self.lines.append("w = t._view")
        self.require(
            "w is not None", "w.key is not cell.value", f"w.offset == {view.offset}",
            f"w.strides == {self.name(view.strides)}",
        )  # fmt: skip
        self.require_value("cell.value", cell.value)
        u = f"u{len(self.unread)}"
        self.lines.append(f"{u}, {u}_cell = w, cell")
        self.unread.append((view, cell))
        return True

    def part(self, k: int, node: Any) -> bool:
        """Require that node k of the graph is as it was."""
        n, asked, needed = f"n{k}", self.asked, self.needed
        wanted = needed is None or node in needed
        self.keep(node, n)
        if node.__class__ is AccumulateGrad:
            if wanted and asked.accumulate:
                v = node.variable
                return v is not None and not (asked.create and v._grad) and self.leaf(k, node)
            self.require(f"{n}.__class__ is AccumulateGrad", f"not {n}.tensor_hooks")
            return True
        if needed is None or any(e is not None and node_of(e) in needed for e in node.edges):
            self.running.append(k)
            return self.entry(n, node) if isinstance(node, AccumulateGrad) else self.node(k, node)
        self.require(f"{n}.__class__ is {self.name(node.__class__)}")
        if wanted:
            self.require(f"{n}.extra is None")
        if wanted and isinstance(node, AccumulateGrad):  # what is outside of a function
            self.closed = True
            return True
        self.require(f"len({n}.edges) == {len(node.edges)}")
        for at, edge in enumerate(node.edges):
            if edge is None:
                self.require(f"{n}.edges[{at}] is None")
            else:
                self.reach(f"{n}.edges[{at}]", edge)
        return True

    def entry(self, n: str, node: AccumulateGrad) -> bool:
        """Require that a node passes a gradient on to what is outside of a function."""
        self.require(
            f"{n}.__class__ is {self.name(node.__class__)}", f"{n}.extra is None",
            f"{n}.metas == {self.name(node.metas)}",
        )  # fmt: skip
        return self.edges(n, node)

    def histories(self) -> bool:
        """Require of tensors that rules meet that they have the history that they had."""
        for t in [each for each in self.alive if isinstance(each, Tensor)]:
            found, view = self.known[id(t)], t._view
            if view is None or view.base is None:
                edge, found = t._edge, f"{found}._edge"
            elif view.version != t._storage.version:
                return False
            else:
                edge, found = edge_of(t), f"edge_of({found})"
            if edge is None:
                self.require(f"{found} is None")
            elif node_of(edge) in self.places:
                self.reach(found, edge)
            elif edge.__class__ is Output or edge is NOWHERE:
                return False
            else:
                self.lines.append(f"x{len(self.lines)} = {found}")
                self.known.setdefault(id(edge), f"x{len(self.lines) - 1}")
                self.require(f"{found}.__class__ is not Output", f"{found} is not None")
        return True

    def targets(self) -> bool:
        """Require that gradients are asked for at the same places."""
        every = ", ".join([f"n{k}" for k in range(len(self.order))])
        for k, edge in enumerate(self.asked.targets or ()):
            if node_of(edge) in self.places:
                self.reach(f"targets[{k}]", edge)
            elif self.closed or edge is NOWHERE:
                return False
            else:
                self.require(f"node_of(targets[{k}]) not in ({every},)")
        return True

    def learn(self, captured: list[Tensor | None], trace: Trace) -> None:
        """After the walk: write down what it has recorded and given, where that can be told."""
        form = self.form
        if trace.epoch != form.epoch or traces.looks != form.looks or trace.prefix is UNKNOWN:
            return
        recipe = recipe_of(form, trace)
        if recipe is None:
            return
        try:
            result = self.results(recipe, captured, trace)
        except Untold:
            return
        self.end(recipe, result)
        self.passages[self.passages.index(never)] = self.function()

    def results(self, recipe: Recipe, captured: list[Tensor | None], trace: Trace) -> str:
        """Write what is recorded and what is made of it; the text of what is returned."""
        maker = Maker(self, self.known, self.form.base, self.first)
        if not self.asked.accumulate:
            text = f"[{', '.join(maker.make(captured))}]"
        elif self.asked.create:
            leaves = self.leaves()
            names = maker.make([node.variable._grad for node in leaves.values()])
            maker.lines += [f"t{k}._grad = {name}" for k, name in zip(leaves, names)]
            text = "[]"
        elif give(recipe, self.leaves(), trace):
            text = "[]"
        else:
            raise Untold
        for k, (view, cell) in enumerate(self.unread):
            maker.seen(view, cell, f"u{k}", f"u{k}_cell")
        recipe.results = sorted({**dict(recipe.results), **maker.values}.items())
        self.record(recipe, trace.prefix)
        self.lines += maker.lines
        self.give(recipe)
        return text

    def leaves(self) -> dict[int, Any]:
        """The leaves that take a gradient, by their places."""
        needed = self.needed
        return {
            k: node for k, node in enumerate(self.order)
            if node.__class__ is AccumulateGrad and (needed is None or node in needed)
        }  # fmt: skip
