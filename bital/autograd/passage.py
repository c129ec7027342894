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
from bital.ir.trace import Trace, Value, new_value, user_line
from bital.ops.create import is_constant
from bital.ops.sparse import SparseTensor
from bital.ops.window import ManyNode
from bital.tensor.node import (
    FRESH,
    AccumulateGrad,
    OpNode,
    Output,
    SavedOutput,
    rule_form,
    told_apart,
)
from bital.tensor.storage import Storage
from bital.tensor.tensor import Tensor, ViewNode, wrap

if TYPE_CHECKING:
    from bital.autograd.replay import Recipe

#: graphs of more nodes have no passage: to write it out would take too long
MAX_NODES = 1000


class Writer:
    """The source of a passage, a function of `arguments`, and what its names stand for.

    The nodes of `order` are n0, n1, ... in it.
    """

    def __init__(self, trace: Trace, fresh: dict[Value, int], arguments: str) -> None:
        self.trace, self.fresh = trace, fresh
        self.named: list[int] = []  # the numbers of the values that conditions are about
        self.order: list[Any] = []
        self.places: dict[Any, int] = {}  # of the nodes in `order`
        self.inputs = len(trace.inputs)
        self.found: list[str] = []  # the names of fresh values
        self.bare: set[int] = set()  # the places of leaves that have no gradient yet
        self.lines = [f"def take({arguments}):", "inputs, epoch = trace.inputs, trace.epoch"]
        self.names: dict[str, Any] = {
            "__name__": __name__, "__package__": __package__, "AccumulateGrad": AccumulateGrad,
            "Output": Output, "SavedOutput": SavedOutput, "SparseTensor": SparseTensor,
            "told_apart": told_apart,
            "new_value": new_value, "user_line": user_line, "wrap": wrap,
        }  # fmt: skip

    def function(self) -> Callable:
        """What has been written, compiled."""
        exec(compile("\n    ".join(self.lines), "<bital passage>", "exec"), self.names)
        return self.names["take"]

    def name(self, thing: Any) -> str:
        """A name for a thing."""
        name = f"c{id(thing)}"
        self.names[name] = thing
        return name

    def require(self, *conditions: str) -> None:
        """Give up, with nothing done yet, unless all hold."""
        self.lines.append(f"if not ({' and '.join(conditions)}): return False")

    def require_value(self, found: str, value: Value) -> None:
        """Require that what is found is the value of that number in the trace."""
        self.lines.append(f"v = {found}")
        number = self.trace.known(value)
        if number is None:
            number = self.fresh.setdefault(value, FRESH - len(self.fresh))
            place = f"f{FRESH - number}"
            if place in self.found:
                self.require(f"v is {place}")
            else:
                self.require(
                    "v.trace is None", "v.buf is not None", "not v.shared", "v not in inputs"
                )
                self.lines.append(f"{place} = v")
                self.found.append(place)
                if is_constant(value):  # of which rules may make more
                    self.require(f"v is {self.name(value)}")
        elif number >= 0:
            self.require("v.trace is trace", f"v.number == {number}")
        else:
            self.require(f"inputs.get(v) == {number}")
        self.named.append(number)

    def node(self, k: int, node: Any) -> bool:
        """Require that node k, which is to run, is as it was, and name the nodes it leads to."""
        n = f"n{k}"
        self.require(f"{n}.__class__ is {self.name(node.__class__)}", f"{n}.extra is None")
        if isinstance(node, (ViewNode, ManyNode)):
            self.require(f"{n}.metas == {self.name(node.metas)}")
            if isinstance(node, ManyNode):
                self.require(f"{n}.results == {node.results}")
            return self.rule(f"{n}.rule", node.rule) and self.edges(n, node)
        if not isinstance(node, OpNode) or node.saved is None:
            return False
        if self.recorded(node):
            self.require(f"{n}.prefix is {self.name(node.prefix)}", f"{n}.epoch == epoch")
        else:
            self.require(f"{n}.spec is {self.name(node.spec)}")
        if node.params:
            same = [f"{n}.params[{k}] is {self.name(p)}" for k, p in enumerate(node.params)]
            form = self.name(told_apart(node.params))
            self.require(f"({' and '.join(same)} or told_apart({n}.params) == {form})")
        if node.vjp.once:
            self.lines.append(f"saved = {n}.saved")
            self.require("saved is not None")
        for at in range(0, len(node.saved), 2):
            if not self.saved(f"{n}.saved[{at}]", at, node):
                return False
        return self.edges(n, node)

    def saved(self, found: str, at: int, node: OpNode) -> bool:
        """Require that what a node keeps, now in `saved`, is what it kept, and was not written."""
        t, version = node.saved[at : at + 2]
        recorded = self.recorded(node)
        if isinstance(t, Storage):  # of a result
            self.lines.append(f"cell = saved[{at}]")
            self.require(f"cell.__class__ is {self.name(t.__class__)}")
            self.require(f"cell.version == saved[{at + 1}]")
            self.require_value("cell.value", t.value)
            self.keep(t, found)
            return True
        self.lines.append(f"t = saved[{at}]")
        if isinstance(t, SavedOutput):
            self.require("t.__class__ is SavedOutput", f"t._meta is {self.name(t._meta)}")
            self.lines.append("cell = t._storage")
            self.require("cell.version == t.version")
        elif version is None:
            return False
        else:
            if not recorded:  # which is never said of a node whose tensors hooks have packed
                self.require(f"saved[{at + 1}] is not None")
            self.lines.append("cell = t._storage")
            self.require(f"cell.version == saved[{at + 1}]")
        if not self.elements(t):
            return False
        if isinstance(t, SavedOutput):
            self.keep(t._storage, f"{found}._storage")
        else:
            self.keep(t, found)
        return True

    def recorded(self, node: Any) -> bool:
        """Whether it follows from the place in the trace which instruction made the node."""
        return node.prefix is not UNKNOWN and node.epoch == self.trace.epoch

    def keep(self, thing: Any, found: str) -> None:
        """Note where a tensor or cell is found."""

    def elements(self, t: Tensor) -> bool:
        """Require that the tensor `t`, its cell being `cell`, has the elements that it had."""
        view, value = t._view, t._storage.value
        if view is None:
            self.require("t._view is None")
            self.require_value("cell.value", value)
            return True
        if view.key is not value or view.window is None:
            return False
        self.lines.append("w = t._view")
        self.require(
            "w is not None", "w.key is cell.value", f"w.strides == {self.name(view.strides)}"
        )
        base = self.trace.known(value)
        if base is not None and base >= 0:  # pending: a rule may read another window of it
            self.require(f"w.offset == {view.offset}")
            self.require_value("cell.value", value)
        self.require_value("w.window", view.window)
        return True

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

    def edges(self, n: str, node: Any) -> bool:
        """Require that the edges lead to the nodes they led to, and name those."""
        for at, edge in enumerate(node.edges):
            if edge is not None:
                self.reach(f"{n}.edges[{at}]", edge)
            elif not isinstance(node, OpNode):  # whose classes say where there is none
                self.require(f"{n}.edges[{at}] is None")
        return True

    def reach(self, found: str, edge: Any) -> None:
        """Require that an edge leads to the node that it led to, and name that."""
        if edge.__class__ is Output:
            self.lines.append(f"o = {found}")
            self.require("o.__class__ is Output", f"o.index == {edge.index}")
            found, edge = "o.node", edge.node
        place = self.places.get(edge)
        if place is None:
            place = self.places[edge] = len(self.order)
            self.order.append(edge)
            self.lines.append(f"n{place} = {found}")
        else:
            self.require(f"{found} is n{place}")

    def ages(self, running: list[int]) -> None:
        """Require that nodes not known by their instructions were made in the same order."""
        order = self.order
        by_age = sorted(running, key=lambda k: order[k].number)
        for older, younger in zip(by_age, by_age[1:]):
            if not (self.recorded(order[older]) and self.recorded(order[younger])):
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
            self.bare.add(k)
            return True
        self.require(
            f"g{k} is not None", f"g{k}.__class__ is not SparseTensor", f"g{k}._view is None",
            f"g{k}._meta is {meta}",
        )  # fmt: skip
        self.lines.append(f"s{k} = g{k}._storage")
        if old._storage.value is v._meta.zeros:
            self.require(f"s{k}.value is {meta}.zeros")
        else:
            self.require_value(f"s{k}.value", old._storage.value)
        return True

    def record(self, recipe: Recipe, end: Prefix) -> None:
        """Record what the recipe says, and give the leaves their gradients."""
        for value, number in recipe.constants:
            self.require(f"inputs.get({self.name(value)}) == {number}")
        if len(self.found) > 1:  # different ones
            self.require(f"len({{{', '.join(self.found)}}}) == {len(self.found)}")
        self.require(f"trace.room >= {end.spent}")
        for k, which in enumerate(recipe.binds):
            found = f"f{which}" if which.__class__ is int else self.name(which)
            if which.__class__ is not int and not isinstance(which, Value):
                found = f"{found}.seen(f{which.place}, trace)"
            self.lines.append(f"inputs[{found}] = {~(self.inputs + k)}")
        self.lines.append(f"trace.prefix = {self.name(end)}")
        if recipe.params:
            self.lines.append(f"trace.params += {self.name(recipe.params)}")
        self.lines += [f"trace.lines[{number}] = user_line()" for number in recipe.lines]
        if recipe.results:
            self.lines.append("spare = trace.spare")
        for number, meta in recipe.results:  # `trace.pending`, without a call
            self.lines += [
                f"r{number} = spare.pop() if spare else new_value(trace)",
                f"r{number}.meta, r{number}.number = {self.name(meta)}, {number}",
                f"trace.values.append(r{number})",
            ]

    def give(self, recipe: Recipe) -> None:
        """Give the leaves their gradients."""
        for k, number in recipe.leaves:
            if k in self.bare:
                self.lines.append(f"t{k}._grad = wrap(r{number}, t{k}._meta)")
            else:
                self.lines += [f"s{k}.value = r{number}", f"s{k}.version += 1"]

    def end(self, recipe: Recipe, result: str) -> None:
        """Forget what the pass has used up, and return."""
        self.lines += [f"n{k}.saved = None" for k in recipe.spent]
        self.lines.append(f"return {result}")


def never(*_: Any) -> bool:
    """The passage where some node's part in the key does not follow from the trace."""
    return False


def written(
    recipe: Recipe, order: list, fresh: dict[Value, int], trace: Trace
) -> Callable[[Any, Trace], bool]:
    """The passage for a graph about to be replayed: (root, trace) -> whether it was replayed."""
    if len(order) > MAX_NODES:
        return never
    end = trace.prefix
    for instruction in recipe.code:
        end = end.then(instruction, trace.learning)
    if end is UNKNOWN:
        return never
    writer = Writer(trace, fresh, "n0, trace")
    writer.order.append(order[0])
    writer.places[order[0]] = 0
    running = []
    for k, node in enumerate(writer.order):  # which grows
        leaf = node.__class__ is AccumulateGrad
        if not (writer.leaf(k, node) if leaf else writer.node(k, node)):
            return never
        if not leaf:
            running.append(k)
    writer.ages(running)
    writer.record(recipe, end)
    writer.give(recipe)
    writer.end(recipe, "True")
    return writer.function()
