"""Replay: a backward pass that was seen before is recorded in one go.

Room: autograd. The gradient rules of a graph record the same instructions whenever it is built
alike: of the same operators with the same scalars, from tensors that lie alike and stand at the
same places of the trace. `find` writes all of that down as a key, at a fraction of what walking
the graph costs. The second pass with a key is learnt, as the instructions that the engine recorded
and what became of the leaves; from the third on they are replayed. Whatever could make a pass
differ otherwise (hooks, user-written Functions, a graph of the gradient) is left to the engine.

Where the trace walks along the tree of known programs, most of a key follows from where it stands:
a passage checks the rest, so that no key is written down (see autograd.passage).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from bital.autograd.passage import written
from bital.base.dtype import default
from bital.base.stride import extent
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.prefix import UNKNOWN
from bital.ir.trace import Trace, Value, forget_programs, local, user_line
from bital.ir.trace import hooks as traces
from bital.ops.create import is_constant
from bital.ops.sparse import SparseTensor
from bital.tensor.node import AccumulateGrad, Node, OpNode, Output, sign_tensor
from bital.tensor.node import hooks as nodes
from bital.tensor.storage import read_window
from bital.tensor.tensor import Tensor, wrap

#: graphs of more nodes are walked as ever
_MAX_NODES = 20_000
#: a table that outgrows this many parts of keys, or keys met, starts afresh
_MAX_SIZE, _MAX_MET = 500_000, 20_000
#: in how many ways a pass from one place may differ: which leaves have gradients, where they lie
MAX_PASSAGES = 4
#: after so many passes that were none of the known ones, only some are looked up
_PATIENCE = 64


class Recipe:
    """What a pass records: all numbers are those of the trace that it is met in."""

    __slots__ = ("code", "params", "cost", "constants", "binds", "results", "leaves", "spent",
                 "lines")  # fmt: skip

    def __init__(self, form: Form, trace: Trace) -> None:
        self.code = trace.code[form.base :]
        self.params = trace.params[form.scalars :]
        self.cost = form.left - trace.left
        # constants that it uses, and their numbers as inputs before it, or None
        self.constants: list[tuple[Value, int | None]] = []
        # per new input its place among the fresh values, a window on one, or a constant
        self.binds: list[Any] = []
        # per result that a leaf gets its number and meta, in order
        self.results: list[tuple] = []
        # per leaf its place in the graph and the number of its gradient
        self.leaves: list[tuple[int, int]] = []
        # what the pass has used up
        self.spent = [
            k for k, node in enumerate(form.order)
            if isinstance(node, OpNode) and node.vjp.once and node.saved is None
        ]  # fmt: skip
        self.lines = [form.base + k for k, (spec, *_) in enumerate(self.code) if _fallible(spec)]


class Window(NamedTuple):
    """What the pass sees of the fresh value of that place, as an input of its own."""

    place: int
    meta: Meta
    offset: int
    strides: tuple[int, ...]

    @staticmethod
    def found(value: Value, fresh: Sequence[Value]) -> Window | None:
        """The window that an input is on one of the fresh values, if it is one on one alone."""
        buf, meta = value.buf, value.meta
        origins = [k for k, v in enumerate(fresh) if np.may_share_memory(v.buf, buf)]
        if len(origins) != 1 or meta.device.lanes:
            return None
        origin = fresh[origins[0]].buf
        if origin.dtype != buf.dtype or not origin.flags.c_contiguous:
            return None
        first, begin = (a.__array_interface__["data"][0] for a in (origin, buf))
        size = buf.itemsize
        steps, offset = tuple([s // size for s in buf.strides]), (begin - first) // size
        low, high = extent(buf.shape, steps)
        if offset + low < 0 or offset + high >= origin.size:  # the origin is a window on more
            return None
        return Window(origins[0], meta, offset, steps)

    def seen(self, origin: Value, trace: Trace) -> Value:
        """The same window on the value that is there now."""
        return read_window(trace, origin, self.meta, self.offset, self.strides)


def _fallible(spec: Any) -> bool:
    return spec.__class__ is Spec and spec.op.fallible


class Form:
    """A graph about to be walked: its key, its nodes, and where the trace stands."""

    __slots__ = ("key", "named", "order", "fresh", "epoch", "base", "scalars", "inputs", "left",
                 "looks")  # fmt: skip

    def __init__(self, key: tuple, named: list, order: list, fresh: dict, trace: Trace) -> None:
        self.key, self.named, self.order, self.fresh = key, named, order, fresh
        self.epoch, self.base, self.scalars = trace.epoch, trace.length, len(trace.params)
        self.inputs, self.left = len(trace.inputs), trace.left
        self.looks = traces.looks


class Table:
    """Recipes by key; False for a key whose passes cannot be replayed."""

    def __init__(self) -> None:
        self.recipes: dict[tuple, Recipe | Literal[False]] = {}
        self.met: set[int] = set()  # hashes of the keys that were met; few of them come back
        self.size = 0
        self.replayed = 0
        self.in_vain = 0  # keys looked up since the last one that was replayed

    def met_before(self, key: tuple) -> bool:
        """Whether the key was met before (or, harmlessly, one with the same hash)."""
        named = hash(key)
        if named in self.met:
            return True
        if len(self.met) >= _MAX_MET:
            self.met.clear()
        self.met.add(named)
        return False

    def add(self, key: tuple, recipe: Recipe | Literal[False]) -> None:
        """Keep what was learnt of a key."""
        self.size += len(key)
        if self.size > _MAX_SIZE:
            self.clear()
        self.recipes[key] = recipe

    def clear(self) -> None:
        """Forget everything."""
        self.recipes.clear()
        self.met.clear()
        self.size = 0
        forget_programs()  # which hold passages


table = Table()
default.forget.append(table.clear)


def find(root: Any, g: Tensor, keep_graph: bool, trace: Trace) -> Form | bool:
    """True where the pass from `root` was replayed; else its Form, to be learnt after the walk.

    False where it is not one to be replayed.
    """
    if root.__class__ is Output or nodes.active or traces.keep_lines:
        return False
    if g._view is not None or g._storage.value is not g._meta.ones:
        return False
    table.in_vain += 1
    if table.in_vain > _PATIENCE and table.in_vain % 8:
        return False
    fresh: dict[Value, int] = {}
    order: list[Node] = [root]
    key: list[Any] = []
    named: list[int] = []
    if not _sign(order, key, named, trace, fresh):
        return False
    key += (trace.length, len(trace.inputs), len(trace.params), keep_graph)
    whole = (*key, *named)
    recipe = table.recipes.get(whole)
    if recipe is False:
        return False
    if recipe is not None:
        _keep_passage((root.prefix, g._meta, keep_graph), recipe, order, fresh, trace)
        if not _replay(recipe, order, list(fresh), trace):
            return Form(whole, named, order, fresh, trace)
        table.in_vain = 0
        table.replayed += 1
        return True
    return Form(whole, named, order, fresh, trace)


def _keep_passage(place: tuple, recipe: Recipe, order: list, fresh: dict, trace: Trace) -> None:
    """Keep how the pass that is about to be replayed can be found without its key."""
    prefix = trace.prefix
    if prefix is UNKNOWN or not trace.learning:
        return
    if prefix.passages is None:
        prefix.passages = {}
    known = prefix.passages.setdefault(place, [])
    if len(known) < MAX_PASSAGES:
        known.append(written(recipe, order, fresh, trace))


def _sign(order: list[Node], key: list, named: list, trace: Trace, fresh: dict) -> bool:
    """Write the graph that begins at order[0] down in `key`, and all its nodes in `order`. Hot."""
    places: dict[Node, int] = {order[0]: 0}
    first = order[0].number
    for node in order:
        extra = node.extra
        if extra is not None and not _plain(extra):
            return False
        if node.__class__ is AccumulateGrad:
            if not _sign_leaf(node, key, named, trace, fresh):
                return False
            continue
        if not node.sign(key, named, trace, fresh):
            return False
        key.append(first - node.number)  # the engine goes by the order of numbers
        for edge in node.edges:
            if edge.__class__ is Output:
                key.append(edge.index)
                edge = edge.node
            elif edge is None:
                key.append(None)
                continue
            place = places.get(edge)
            if place is None:
                place = places[edge] = len(order)
                if place > _MAX_NODES:
                    return False
                order.append(edge)
            key.append(place)
    return True


def _plain(extra: Any) -> bool:
    """Whether a node's Extra has nothing but the number of its results."""
    return not (
        extra.hooks
        or extra.pre_hooks
        or extra.tensor_hooks
        or extra.retained
        or extra.line
        or extra.forward_only
    )


def _sign_leaf(leaf: Any, key: list, named: list, trace: Trace, fresh: dict) -> bool:
    """Write down how a leaf will take its gradient: as a new one, instead of zeros, or added."""
    t = leaf._variable()
    if t is None or leaf.tensor_hooks or leaf.post_hooks or t._view is not None:
        return False
    if t._edge is not leaf:
        return False
    key.append(t._meta)
    old = t._grad
    if old is None:
        key.append(None)
        return True
    if old.__class__ is SparseTensor:
        return False
    value = old._storage.value
    if old._view is not None or old._meta is not t._meta or value.shared:
        return False
    if value is t._meta.zeros:
        key.append("zeros")
        return True
    key.append("added")
    return sign_tensor(old, key, named, trace, fresh)


def _replay(recipe: Recipe, order: list, fresh: list, trace: Trace) -> bool:
    """Record the recipe's instructions and give the leaves their gradients. Hot."""
    left = trace.left - recipe.cost
    if left < 0:
        return False
    inputs = trace.inputs
    for value, number in recipe.constants:
        if inputs.get(value) != number:
            return False
    for which in recipe.binds:
        if which.__class__ is int:
            which = fresh[which]
        elif which.__class__ is Window:
            which = which.seen(fresh[which.place], trace)
        inputs[which] = ~len(inputs)
    for instruction in recipe.code:
        trace.follow(instruction)
    trace.params += recipe.params
    for number in recipe.lines:
        trace.lines[number] = user_line()
    made = {}
    for number, meta in recipe.results:
        made[number] = trace.pending(meta, number)
    for place, number in recipe.leaves:
        t = order[place]._variable()
        old = t._grad
        if old is None:
            t._grad = wrap(made[number], t._meta)
        else:
            storage = old._storage
            storage.value = made[number]
            storage.version += 1
    for place in recipe.spent:
        order[place].saved = None
    return True


def learn(form: Form) -> None:
    """After the engine has walked a graph: remember what it recorded, the second time."""
    if form.key in table.recipes or not table.met_before(form.key):
        return
    trace = local.trace
    # a rule that looked at numbers, or a cut in the middle, may do otherwise another time
    same = trace.epoch == form.epoch and traces.looks == form.looks
    recipe = recipe_of(form, trace) if same else None
    leaves = {k: node for k, node in enumerate(form.order) if isinstance(node, AccumulateGrad)}
    table.add(form.key, recipe is not None and give(recipe, leaves, trace) and recipe)


def recipe_of(form: Form, trace: Trace) -> Recipe | None:
    """What was recorded since `form`; None where it depends on what the key does not tell."""
    recipe = Recipe(form, trace)
    inputs = list(trace.inputs)
    known, new = inputs[: form.inputs], inputs[form.inputs :]
    return recipe if _bind(recipe, form, new) and _tell(recipe, form, known) else None


def _bind(recipe: Recipe, form: Form, new: list[Value]) -> bool:
    """Find where the inputs that the pass began to use come from."""
    places = {value: k for k, value in enumerate(form.fresh)}
    for value in new:
        which: Any = places.get(value, value)
        if which is value and is_constant(value):
            recipe.constants.append((value, None))
        elif which is value:
            which = Window.found(value, list(places))
            if which is None:
                return False
        recipe.binds.append(which)
    return True


def _tell(recipe: Recipe, form: Form, known: list[Value]) -> bool:
    """Whether the key names all that the pass uses of what was recorded before it."""
    named = set(form.named)
    for _, *operands in recipe.code:
        for n in operands:
            if n in named or (n >= form.base if n >= 0 else ~n >= form.inputs):
                continue
            if n >= 0 or not is_constant(known[~n]):
                return False
            recipe.constants.append((known[~n], n))
    return True


def give(recipe: Recipe, leaves: dict[int, AccumulateGrad], trace: Trace) -> bool:
    """Find which instructions made the gradients of the leaves, given by their places."""
    results = {}
    for place, node in leaves.items():
        leaf = node.variable
        grad = None if leaf is None else leaf._grad
        if grad is None or grad._view is not None:
            return False
        value = grad._storage.value
        number = trace.known(value)
        if number is None or number < trace.length - len(recipe.code):
            return False
        results[number] = value.meta
        recipe.leaves.append((place, number))
    recipe.results = sorted(results.items())
    return True
