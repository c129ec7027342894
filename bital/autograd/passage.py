"""Passage: the replay of a backward pass from a known place, written out as Python.

Room: autograd. Where a trace stands in the tree of known programs decides nearly all of what a pass
records. Left to check is that the graph is the one that was built there before: that its nodes were
made by the same instructions of this trace, that nothing has written to what they keep, and that
the leaves are as they were. Each graph has a function of its own, since Python is fast only where
a line meets one class of objects always.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from bital.ir.meta import Meta
from bital.ir.prefix import UNKNOWN, Prefix
from bital.ir.trace import Trace, Value, user_line
from bital.ops.sparse import SparseTensor
from bital.ops.window import ManyNode
from bital.tensor.node import FRESH, AccumulateGrad, OpNode, Output, rule_form, told_apart
from bital.tensor.storage import Storage
from bital.tensor.tensor import Tensor, ViewNode, wrap

if TYPE_CHECKING:
    from bital.autograd.replay import Recipe

#: graphs of more nodes have no passage: to write it out would take too long
_MAX_NODES = 1000


class _Writer:
    """The source of a passage and what its names stand for."""

    def __init__(self, trace: Trace, fresh: dict[Value, int]) -> None:
        self.trace, self.fresh = trace, fresh
        self.found: list[str] = []  # the names of fresh values
        self.lines = ["def take(n0, trace):", "inputs, epoch = trace.inputs, trace.epoch"]
        self.names: dict[str, Any] = {
            "__name__": __name__, "__package__": __package__, "AccumulateGrad": AccumulateGrad,
            "Output": Output, "SparseTensor": SparseTensor, "told_apart": told_apart,
            "user_line": user_line, "wrap": wrap,
        }  # fmt: skip

    def name(self, thing: Any) -> str:
        """A name for a thing."""
        name = f"c{id(thing)}"
        self.names[name] = thing
        return name

    def require(self, *conditions: str) -> None:
        """Give up, with nothing done yet, unless all hold."""
        self.lines.append(f"if not ({' and '.join(conditions)}): return False")

    def require_value(self, found: str, value: Value) -> bool:
        """Require that what is found is the value of that number in the trace."""
        self.lines.append(f"v = {found}")
        number = self.trace.known(value)
        if number is None:
            at = self.fresh.get(value)
            if at is None:
                return False
            place = f"f{FRESH - at}"
            if place in self.found:
                self.require(f"v is {place}")
            else:
                self.require(
                    "v.trace is None", "v.buf is not None", "not v.shared", "v not in inputs"
                )
                self.lines.append(f"{place} = v")
                self.found.append(place)
        elif number >= 0:
            self.require("v.trace is trace", f"v.number == {number}")
        else:
            self.require(f"inputs.get(v) == {number}")
        return True

    def node(self, k: int, node: Any, places: dict[Any, int], met: set[int]) -> bool:
        """Require that node k is as it was, and name the nodes that it leads to."""
        n = f"n{k}"
        if isinstance(node, (ViewNode, ManyNode)):
            self.require(f"{n}.__class__ is {self.name(node.__class__)}", f"{n}.extra is None")
            self.require(f"{n}.metas == {self.name(node.metas)}")
            if isinstance(node, ManyNode):
                self.require(f"{n}.results == {node.results}")
            return self.rule(f"{n}.rule", node.rule) and self.edges(n, node, places, met)
        if not isinstance(node, OpNode) or node.prefix is UNKNOWN or node.saved is None:
            return False
        if node.epoch != self.trace.epoch:
            return False
        self.require(
            f"{n}.__class__ is {self.name(node.__class__)}",
            f"{n}.prefix is {self.name(node.prefix)}", f"{n}.epoch == epoch", f"{n}.extra is None",
        )  # fmt: skip
        if node.params:
            same = [f"{n}.params[{k}] is {self.name(p)}" for k, p in enumerate(node.params)]
            form = self.name(told_apart(node.params))
            self.require(f"({' and '.join(same)} or told_apart({n}.params) == {form})")
        if node.vjp.once:
            self.lines.append(f"saved = {n}.saved")
            self.require("saved is not None")
        for at in range(0, len(node.saved), 2):
            t, version = node.saved[at], node.saved[at + 1]
            if isinstance(t, Storage):  # of a result
                self.lines.append(f"cell = saved[{at}]")
                self.require(f"cell.__class__ is {self.name(t.__class__)}")
                self.require(f"cell.version == saved[{at + 1}]")
                if not self.require_value("cell.value", t.value):
                    return False
            elif version is None:
                return False
            else:
                self.lines += [f"t = saved[{at}]", "cell = t._storage"]
                self.require(f"cell.version == saved[{at + 1}]")
                if not self.elements(t):
                    return False
        return self.edges(n, node, places, met)

    def elements(self, t: Tensor) -> bool:
        """Require that the tensor `t`, its cell being `cell`, has the elements that it had."""
        view, value = t._view, t._storage.value
        if view is None:
            self.require("t._view is None")
            return self.require_value("cell.value", value)
        if view.key is not value or view.window is None:
            return False
        self.lines.append("w = t._view")
        self.require(
            "w is not None", "w.key is cell.value", f"w.strides == {self.name(view.strides)}"
        )
        base = self.trace.known(value)
        if base is not None and base >= 0:  # pending: a rule may read another window of it
            self.require(f"w.offset == {view.offset}")
            if not self.require_value("cell.value", value):
                return False
        return self.require_value("w.window", view.window)

    def rule(self, found: str, rule: Any) -> bool:
        """Require that what is found is a gradient rule that does the same (see `rule_form`)."""
        if rule_form(rule) is None:
            return False
        depth = len(self.lines)
        f, c = f"f_{depth}", f"c_{depth}"
        self.lines += [f"{f} = {found}", f"{c} = {f}.__closure__"]
        self.require(f"{f}.__code__ is {self.name(rule.__code__)}")
        for k, cell in enumerate(rule.__closure__ or ()):
            held, content = cell.cell_contents, f"{c}[{k}].cell_contents"
            if isinstance(held, FunctionType):
                if not self.rule(content, held):
                    return False
            elif isinstance(held, Meta) or held is None:
                self.require(f"{content} is {self.name(held)}")
            else:
                self.require(
                    f"{content}.__class__ is {self.name(held.__class__)}",
                    f"{content} == {self.name(held)}",
                )
        return True

    def edges(self, n: str, node: Any, places: dict[Any, int], met: set[int]) -> bool:
        """Require that the edges lead to the nodes they led to, and name those."""
        for at, edge in enumerate(node.edges):
            if edge is None:  # as the node's class says, or as it is asked for views
                if not isinstance(node, OpNode):
                    self.require(f"{n}.edges[{at}] is None")
                continue
            target = f"{n}.edges[{at}]"
            if edge.__class__ is Output:
                self.lines.append(f"o = {target}")
                self.require("o.__class__ is Output", f"o.index == {edge.index}")
                target, edge = "o.node", edge.node
            place = places[edge]
            if place in met:
                self.require(f"{target} is n{place}")
            else:
                met.add(place)
                self.lines.append(f"n{place} = {target}")
        return True

    def ages(self, order: list) -> None:
        """Require that nodes not made by instructions were made when they were."""
        inner = [k for k, node in enumerate(order) if node.__class__ is not AccumulateGrad]
        by_age = sorted(inner, key=lambda k: order[k].number)
        for older, younger in zip(by_age, by_age[1:]):
            if not (isinstance(order[older], OpNode) and isinstance(order[younger], OpNode)):
                self.require(f"n{older}.number < n{younger}.number")

    def leaf(self, k: int, leaf: AccumulateGrad) -> bool:
        """Require that leaf k is to take its gradient as it did."""
        t, n, v = f"t{k}", f"n{k}", leaf.variable
        meta = self.name(v._meta)
        self.require(f"{n}.__class__ is AccumulateGrad")
        self.lines.append(f"{t} = {n}._variable()")
        self.require(
            f"{t} is not None", f"not {n}.tensor_hooks", f"not {n}.post_hooks",
            f"{t}._view is None", f"{t}._edge is {n}", f"{t}._meta is {meta}",
        )  # fmt: skip
        self.lines.append(f"g{k} = {t}._grad")
        old = v._grad
        if old is None:
            self.require(f"g{k} is None")
            return True
        self.require(
            f"g{k} is not None", f"g{k}.__class__ is not SparseTensor", f"g{k}._view is None",
            f"g{k}._meta is {meta}",
        )  # fmt: skip
        self.lines.append(f"s{k} = g{k}._storage")
        if old._storage.value is v._meta.zeros:
            self.require(f"s{k}.value is {meta}.zeros")
            return True
        return self.require_value(f"s{k}.value", old._storage.value)

    def record(self, recipe: Recipe, end: Prefix) -> None:
        """Record what the recipe says, and give the leaves their gradients."""
        for value, number in recipe.constants:
            self.require(f"inputs.get({self.name(value)}) == {number}")
        if len(self.found) > 1:  # different ones
            self.require(f"len({{{', '.join(self.found)}}}) == {len(self.found)}")
        self.require(f"trace.room >= {end.spent}")
        number = len(self.trace.inputs)
        for k, which in enumerate(recipe.binds):
            found = f"f{which}" if which.__class__ is int else self.name(which)
            self.lines.append(f"inputs[{found}] = {~(number + k)}")
        self.lines.append(f"trace.prefix = {self.name(end)}")
        if recipe.params:
            self.lines.append(f"trace.params += {self.name(recipe.params)}")
        self.lines += [f"trace.lines[{number}] = user_line()" for number in recipe.lines]
        for number, meta in recipe.results:
            self.lines.append(f"r{number} = trace.pending({self.name(meta)}, {number})")
        self.lines += [f"n{k}.saved = None" for k in recipe.spent]

    def give(self, recipe: Recipe, order: list) -> None:
        """Give the leaves their gradients."""
        for k, number in recipe.leaves:
            if order[k].variable._grad is None:
                self.lines.append(f"t{k}._grad = wrap(r{number}, t{k}._meta)")
            else:
                self.lines += [f"s{k}.value = r{number}", f"s{k}.version += 1"]
        self.lines.append("return True")


def _never(root: Any, trace: Trace) -> bool:
    """The passage where some node's part in the key does not follow from the trace."""
    return False


def written(
    recipe: Recipe, order: list, fresh: dict[Value, int], trace: Trace
) -> Callable[[Any, Trace], bool]:
    """The passage for a graph about to be replayed: (root, trace) -> whether it was replayed."""
    if len(order) > _MAX_NODES:
        return _never
    end = trace.prefix
    for instruction in recipe.code:
        end = end.then(instruction, trace.learning)
    if end is UNKNOWN:
        return _never
    writer = _Writer(trace, fresh)
    places: dict[Any, int] = {node: k for k, node in enumerate(order)}
    met = {0}
    for k, node in enumerate(order):
        leaf = node.__class__ is AccumulateGrad
        if not (writer.leaf(k, node) if leaf else writer.node(k, node, places, met)):
            return _never
    writer.ages(order)
    writer.record(recipe, end)
    writer.give(recipe, order)
    exec(compile("\n    ".join(writer.lines), "<bital passage>", "exec"), writer.names)
    return writer.names["take"]
