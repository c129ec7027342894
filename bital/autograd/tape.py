"""Tapes: what a function transform differentiates, kept apart from what is outside of it.

Room: autograd. A transform gives its function aliases of the arguments whose nodes, `Entry`, are
leaves for the function and go on to the argument's own history. So a derivative by an entry counts
what the function did with that argument and nothing else, however transforms are nested; and the
derivative itself has a history as far as something outside can be reached from it.

Derivatives forward are had from two backward: with u a seed of zeros, the gradient J^T u is linear
in u, and its gradient by u, for the cotangent t, is J t. What would only compute J^T 0 is never
run, since nobody holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bital.autograd import engine
from bital.autograd.mode import set_mode
from bital.base.dtype import INT
from bital.ir.meta import Meta
from bital.ir.trace import local
from bital.ops.create import constant
from bital.tensor.node import AccumulateGrad, Node, Output
from bital.tensor.tensor import Tensor, detached, edge_of
from bital.tensor.tensor import hooks as tensors


def leads_to_leaf(edge: Any) -> bool:
    """Whether a history has more than what is recorded for forward mode."""
    return reaches_beyond(edge, (), {}, forward=False)


tensors.leads_to_leaf = leads_to_leaf


class Entry(AccumulateGrad):
    """Where an argument enters a function: a leaf there, a step on the way for what is outside.

    `live` says that the function is running, so that the entry is something outside for the
    transforms within.
    """

    __slots__ = ("live",)

    def __init__(self, variable: Tensor, edge: Any) -> None:
        super().__init__(variable)
        self.edges, self.metas = (edge,), (variable._meta,)
        self.extra = None  # no mode of the moment holds for it
        self.live = True

    def name(self) -> str:
        return "Entry"

    def apply(self, g: Any) -> list:
        return [g]


class PassedOn(Node):
    """The same for an argument that the function may write to, as forward mode allows."""

    __slots__ = ("live",)

    def __init__(self, variable: Tensor, edge: Any) -> None:
        super().__init__((edge,), (variable._meta,))
        self.extra = None  # no mode of the moment holds for it
        self.live = True

    def apply(self, g: Any) -> list:
        return [g]


class Tape:
    """One differentiation of a function; `with` it, the function runs and is recorded."""

    def __init__(self, forward: bool = False) -> None:
        self.forward = forward
        self.node = PassedOn if forward else Entry
        self.entries: list = []
        self.beyond: dict[Node, bool] = {}

    def __enter__(self) -> Tape:
        trace = local.trace
        self.mode = trace.grad
        set_mode(trace, True)
        trace.tapes += 1
        trace.forwards += self.forward
        return self

    def __exit__(self, *exc: object) -> None:
        trace = local.trace
        trace.tapes -= 1
        trace.forwards -= self.forward
        set_mode(trace, self.mode)
        for entry in self.entries:
            entry.live = False

    def enter(self, t: Tensor) -> Tensor:
        """The argument as the function gets it."""
        if t._meta.dtype.category <= INT:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        inner = detached(t)
        entry = self.node(inner, edge_of(t) if self.mode else None)
        self.entries.append(entry)
        inner._edge = entry
        return inner

    def leave(self, t: Any) -> Any:
        """A result as it is seen outside: its history leads there, or it has none."""
        if not isinstance(t, Tensor) or edge_of(t) is None:
            return t
        return t if self.mode and self.reaches_out([t]) else detached(t)

    def reaches_out(self, tensors: Iterable[Tensor]) -> bool:
        """Whether anything but this tape's own entries can be differentiated by."""
        return any(reaches_beyond(edge_of(t), self.entries, self.beyond) for t in tensors)

    def pull(
        self, outs: Sequence[Tensor], cotangents: Sequence[Tensor], keep: bool, create: bool
    ) -> list[Tensor | None]:
        """The gradients by the entries; None for one that no result depends on."""
        pairs = [(edge_of(o), g) for o, g in zip(outs, cotangents) if edge_of(o) is not None]
        if not pairs:
            return [None] * len(self.entries)
        return engine.backward(
            [edge for edge, _ in pairs],
            [g for _, g in pairs],
            keep_graph=keep,
            create_graph=create,
            inputs=self.entries,
            accumulate_grad=False,
        )


def reaches_beyond(
    edge: Any, own: Iterable[Node], known: dict[Node, bool], forward: bool = True
) -> bool:
    """Whether leaves other than `own` lie behind an edge; `known` remembers where none do.

    Without `forward` the arguments of derivatives in forward mode are no leaves.
    """
    mine = set(own)
    stack = [] if edge is None else [edge]
    seen = []
    while stack:
        edge = stack.pop()
        node = edge.node if type(edge) is Output else edge
        if node in known:
            continue
        known[node] = False
        seen.append(node)
        if node.extra is not None and node.extra.forward_only:
            continue
        if isinstance(node, Entry) or (forward and isinstance(node, PassedOn)):
            if node.live and node not in mine:
                break
        elif isinstance(node, AccumulateGrad):
            break
        stack.extend([e for e in node.edges if e is not None])
    else:
        return False
    for node in seen:  # what was passed on the way there is not known to be without
        del known[node]
    return True


def seed_of(meta: Meta, differentiable: bool) -> Tensor:
    """Zeros to differentiate by, as a function linear in them is."""
    seed = constant(meta, 0)
    if differentiable:
        seed._edge = node = Entry(seed, None)
        node.live = False
    return seed


class Pushforward:
    """Derivatives of results in directions of the entries: J t for any t.

    `outs` are results with the histories to differentiate, `entries` the nodes of the arguments.
    """

    def __init__(self, outs: Sequence[Tensor], entries: Sequence[Any]) -> None:
        self.metas = [out._meta for out in outs]
        self.seeds: list = []
        roots = []
        for out in outs:
            edge = edge_of(out)
            if edge is None:
                self.seeds.append(None)
                continue
            self.seeds.append(seed_of(out._meta, True))
            roots.append(edge)
        self.back: list = [None] * len(entries)
        if roots:
            self.back = engine.backward(
                roots,
                [seed for seed in self.seeds if seed is not None],
                keep_graph=True,
                create_graph=True,
                inputs=entries,
                accumulate_grad=False,
                forward=True,
            )

    def __call__(self, tangents: Sequence[Tensor | None], create: bool) -> list[Tensor | None]:
        """The derivatives of the results in the directions `tangents`; None where there is none."""
        pairs = [
            (edge_of(b), t)
            for b, t in zip(self.back, tangents)
            if b is not None and t is not None and edge_of(b) is not None
        ]
        if not pairs:
            return [None] * len(self.seeds)
        found = iter(
            engine.backward(
                [edge for edge, _ in pairs],
                [t for _, t in pairs],
                keep_graph=True,
                create_graph=create,
                inputs=[seed._edge for seed in self.seeds if seed is not None],
                accumulate_grad=False,
            )
        )
        return [None if seed is None else next(found) for seed in self.seeds]
