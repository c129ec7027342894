"""Lowering: the graph of a trace, instruction by instruction.

Room: plan. An instruction is what its implementation does when it is called with symbolic arrays.
Where that fails, for whatever reason, it is an opaque node, and the reason is kept for people.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bital.base.device import together
from bital.base.dtype import dtype
from bital.base.extent import Extent
from bital.ir.batch import AS_IT_IS, Batch
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.task import Task
from bital.ir.trace import PARAM, Pick
from bital.plan.graph import Graph
from bital.plan.node import KINDS, SIZE, Ints, Node, Untraceable
from bital.plan.sums import join, turn
from bital.plan.symbolic import Array, Namespace

#: categories of dtype from which a run-time scalar is an integer
_INTEGERS = frozenset("iub")


class Program:
    """The graph of a task: `results` are what is held; `numbers` tells a node's instruction.

    `required` are bools that must all be true before anything that cannot be undone is done: where
    one is false NumPy must run the trace, and will raise the error of an instruction. Instructions
    of words that are not `known`, and products for which one `prefers_library`, are left to NumPy.
    Where a size changes none may be.
    """

    def __init__(
        self, task: Task, known: Callable[[str], bool] | None = None,
        prefers_library: Callable[[Node], bool] | None = None,
    ) -> None:  # fmt: skip
        self.graph = Graph(known)
        self.xp = Namespace(self.graph)
        self.required = self.xp.required
        self.layouts, self.absent = task.layouts, task.absent
        self.prefers_library = prefers_library
        self.code = code = task.code
        self.inputs: dict[int, Node] = {}
        self.opaque: list[tuple[int, str]] = []  # instructions left to NumPy, and why
        self.values: list[Any] = []
        #: node -> number of the instruction that first made it
        self.numbers: dict[Node, int] = {}
        bounds = task.bounds
        if bounds is not None:
            bounds.number = self._number
        for number, (spec, *refs) in enumerate(code):
            self.values.append(self._instruction(number, spec, refs))
            self.numbers.update(dict.fromkeys(self.graph.made, number))
            self.graph.made.clear()
        self.results: list[Node] = [self.values[n] for n in task.held]
        if bounds is not None:
            bounds.number = None
            if self.opaque:  # or it only seems to be what is left to NumPy
                raise Untraceable(f"of changing size: {self.opaque[0][1]}")

    def simplify(self) -> None:
        """Rewrite the graph by what only the whole of it shows."""
        for rewrite in (turn, join):
            now = rewrite(self.graph, [*self.results, *self.required])
            for old, new in now.items():
                if old in self.numbers:
                    self.numbers.setdefault(new, self.numbers[old])
            self.graph.made.clear()
            self.results = [now.get(n, n) for n in self.results]
            self.required[:] = [now.get(n, n) for n in self.required]

    def _number(self, size: Extent) -> Array:
        """A size that changes as a number, of the run-time scalar SIZE."""
        n = Array(self.xp, self.graph.param(SIZE, "i64"))
        return self.xp.add(self.xp.multiply(n, size.a), size.b)

    def _instruction(self, number: int, spec: Spec | Pick, refs: list[int]) -> Any:
        if isinstance(spec, Pick):
            whole = self.values[refs[0]]
            if isinstance(whole, tuple):
                return whole[spec.k]
            meta = self.code[refs[0]][0].out[spec.k]
            return self.graph.node("pick", (whole,), (spec.k,), shape_of(meta), kind_of(meta))
        known = len(self.required)
        try:
            return self._traced(spec, refs)
        except Exception as error:  # whatever an implementation does that arrays here cannot
            del self.required[known:]
            self.opaque.append((number, f"{type(error).__name__}: {error}"))
            return self._opaque(spec, refs)

    def _traced(self, spec: Spec, refs: list[int]) -> Any:
        op = spec.op
        if op.fallible and op.native is None:
            raise Untraceable("it may fail for the data it meets")
        if any(m.np not in KINDS for m in spec.metas):
            raise Untraceable("a dtype without a kind")
        seen = spec.metas if spec.compute is None else (spec.compute,)
        whole = all(d.np.kind in _INTEGERS for d in seen)
        args = [self._operand(r, spec, k, whole) for k, r in enumerate(refs)]
        results = function_of(spec, self.xp)(*args)
        if self.prefers_library is not None:
            if any(n.word == "product" and self.prefers_library(n) for n in self.graph.made):
                raise Untraceable("NumPy's library is faster for products of this size")
        if isinstance(spec.out, tuple):
            if len(results) != len(spec.out):
                raise Untraceable("another number of results")
            return tuple(self._checked(r, m) for r, m in zip(results, spec.out))
        return self._checked(results, spec.out)

    def _checked(self, result: Any, meta: Meta) -> Node:
        node = self.xp.asarray(result).node
        if node.shape != shape_of(meta) or node.kind != KINDS.get(meta.np):
            raise Untraceable(f"a result {node!r} where {meta!r} was to be")
        return node

    def _operand(self, r: int, spec: Spec, k: int, whole: bool) -> Array | None:
        if r - PARAM in self.absent:
            return None
        if r >= PARAM:
            return Array(self.xp, self.graph.param(r - PARAM, "i64" if whole else "f64"))
        return Array(self.xp, self._value(r, spec, k))

    def _value(self, r: int, spec: Spec, k: int) -> Node:
        """Operand k: as it is, cast already where the instruction computes in another dtype."""
        if r >= 0:
            return self.values[r]
        found = self.inputs.get(~r)
        if found is None:
            shape = shape_of(spec.metas[k])
            kind = kind_of(spec.compute or spec.metas[k].dtype)
            found = self.graph.input(~r, shape, kind, self.layouts[~r])
            self.inputs[~r] = found
        return found

    def _opaque(self, spec: Spec, refs: list[int]) -> Node:
        inputs = tuple(
            self.graph.node("scalar", (), (r - PARAM,), (), "object")
            if r >= PARAM
            else self._value(r, spec, k)
            for k, r in enumerate(refs)
        )
        if isinstance(spec.out, tuple):
            return self.graph.node("opaque", inputs, (spec,), (), "many")
        return self.graph.node("opaque", inputs, (spec,), shape_of(spec.out), kind_of(spec.out))


def kind_of(what: Meta | dtype) -> str:
    """The kind of a value; of one that only NumPy knows, its dtype's name."""
    return KINDS.get(what.np) or what.np.name


def shape_of(meta: Meta) -> Ints:
    """The shape of a value's array: under vmap its lanes come first."""
    return (*meta.device.sizes, *meta.shape)


def function_of(spec: Spec, xp: Namespace) -> Callable:
    """What an instruction does, as a function of arrays of the namespace."""
    op = spec.op
    if op.native is not None or not isinstance(op.impl, str):
        fn: Any = op.native or op.impl
        if fn is None:
            raise Untraceable("it has no implementation")
        bound = functools.partial(fn, xp, **spec.attrs)
    else:
        bound = functools.partial(getattr(xp, op.impl), **spec.attrs)
    where = together([m.device for m in spec.metas])
    if where is None or op.batch is AS_IT_IS:
        return bound

    def resolve(metas: tuple[Meta, ...], given: tuple) -> Spec:
        other = op.resolve(metas, given)
        fn = function_of(other, xp)
        return Spec(op, metas, other.attrs, other.out, fn, other.compute)

    batch = Batch(spec.metas, spec.asked, spec.out, spec.attrs, bound, where.sizes, resolve)
    return op.batch(batch)
