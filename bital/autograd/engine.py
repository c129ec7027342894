"""Engine: walks the nodes from results to leaves.

Room: autograd. Nodes are processed from the youngest to the oldest, which is a topological order,
since a node is younger than what it consumes; leaves accumulate in the order in which their last
contribution arrived. Nothing here recurses, so depth is limited by memory only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from bital.autograd import replay, towards
from bital.base.dtype import LOW_PRECISION
from bital.base.stride import is_dense_nonoverlapping
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.trace import hooks as traces
from bital.ir.trace import local
from bital.ops.lanes import sum_lanes
from bital.ops.sparse import SparseTensor
from bital.ops.window import laid_out
from bital.tensor.dispatch import cast
from bital.tensor.node import NOWHERE, AccumulateGrad, Node, Output
from bital.tensor.node import hooks as nodes
from bital.tensor.tensor import Tensor, edge_of, read, strides_of, wrap


class Run:
    """One backward pass: the gradients that wait for their node, and what to do with them."""

    def __init__(self, keep_graph: bool, create_graph: bool, accumulate: bool) -> None:
        self.keep_graph, self.create_graph, self.accumulate = keep_graph, create_graph, accumulate
        self.waiting: dict[Node, Any] = {}  # node -> gradient, or list of them per output
        self.leaves: dict[AccumulateGrad, Tensor] = {}
        self.queue: list[tuple[int, Node]] = []
        self.needed: set[Node] | None = None  # with `inputs`: the nodes on a way to them
        self.captures: dict[Any, list[int]] = {}  # (node, index) -> which of `inputs`
        self.captured: list[Tensor | None] = []
        self.roots: Sequence[Any] = ()
        self.forward = False  # the pass is one half of a derivative forward

    def reaches(self, edge: Any) -> bool:
        """Whether this pass computes the gradient that goes to `edge`."""
        if edge is NOWHERE:
            return False
        if self.needed is not None:
            return _node_of(edge) in self.needed
        seen: set[Node] = set()
        stack = [_node_of(root) for root in self.roots]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                stack.extend(_node_of(e) for e in node.edges if e is not None)
        return _node_of(edge) in seen

    def send(self, edge: Any, g: Tensor) -> None:
        """Add a gradient to what waits for `edge`."""
        if edge.__class__ is AccumulateGrad:
            if self.needed is not None and edge not in self.needed:
                return
            before = self.leaves.pop(edge, None)
            self.leaves[edge] = g if before is None else before + g
            return
        if edge.__class__ is Output:
            self.send_output(edge.node, edge.index, g)
            return
        if self.needed is not None and edge not in self.needed:
            return
        before = self.waiting.get(edge)
        if before is None:
            heappush(self.queue, (-edge.number, edge))
            self.waiting[edge] = g
        else:
            self.waiting[edge] = before + g

    def send_output(self, node: Node, index: int, g: Tensor) -> None:
        """The same for one result of a node with several."""
        if self.needed is not None and node not in self.needed:
            return
        slots = self.waiting.get(node)
        if slots is None:
            heappush(self.queue, (-node.number, node))
            self.waiting[node] = slots = [None] * node.outputs
        slots[index] = g if slots[index] is None else slots[index] + g

    def go(self) -> None:
        """Process every waiting node, then the leaves. Hot."""
        queue, waiting, needed = self.queue, self.waiting, self.needed
        watched = bool(self.captures)
        keep, send, check = self.keep_graph, self.send, hooks.check
        while queue:
            node = heappop(queue)[1]
            g = waiting.pop(node)
            extra = node.extra
            runs = needed is None or self.leads_on(node)
            if extra is not None or watched:
                if extra is not None and extra.forward_only and not self.forward:
                    continue
                g = self.before_node(node, g, runs)
            if not runs:
                continue
            grads = node.apply(g)
            if check is not None:
                check(node, grads)
            if extra is not None and extra.hooks:
                grads = _node_hooks(node, grads, g)
            if not keep:
                node.release()
            for edge, each, meta in zip(node.edges, grads, node.metas):
                if edge is not None and each is not None:
                    if each._meta is not meta:
                        each = fit(each, meta, node)
                    send(edge, each)
        self.finish_leaves()

    def leads_on(self, node: Node) -> bool:
        """Whether any input of the node is needed (its own gradient may be all that is)."""
        needed = self.needed
        assert needed is not None
        return any(
            e is not None and (e.node if type(e) is Output else e) in needed for e in node.edges
        )

    def before_node(self, node: Node, g: Any, runs: bool) -> Any:
        """Tensor hooks, retained gradients and pre-hooks, in this order; and captures.

        As in PyTorch, what is captured at a node that also runs is the gradient before its hooks.
        """
        extra = node.extra
        grads = (g,) if node.outputs == 1 else tuple(g)
        if runs:
            self.capture(node, grads)
        if extra is not None:
            if extra.tensor_hooks:
                grads = _replaced_by(extra.tensor_hooks, grads)
            for keep in extra.retained.values():
                keep(grads)
            if extra.pre_hooks and runs:
                grads = _replaced_by(extra.pre_hooks, grads)
        if not runs:
            self.capture(node, grads)
        return grads[0] if node.outputs == 1 else grads

    def capture(self, node: Node, grads: tuple) -> None:
        """Keep the gradients of those of the node's results that are among the inputs."""
        for k, g in enumerate(grads):
            for which in self.captures.get((node, k), ()):
                self.captured[which] = g

    def finish_leaves(self) -> None:
        for leaf, g in self.leaves.items():
            if leaf.tensor_hooks:
                for hook in list(leaf.tensor_hooks.values()):
                    g = hooked(hook, g)
            if self.captures:
                self.capture(leaf, (g,))
            if self.accumulate:
                accumulate(leaf, g, self.create_graph)


class _Running(threading.local):
    """The backward pass that this thread is in."""

    run: Run | None = None


running = _Running()


def accumulate(leaf: AccumulateGrad, g: Tensor, create_graph: bool) -> None:
    """Add `g` to the leaf's `.grad`, in place unless a graph of the gradient is wanted."""
    variable = leaf.variable
    if variable is None:
        return
    if variable._edge is not leaf or variable._view is not None:
        edge = edge_of(variable)
        if edge is None:  # it no longer requires a gradient
            return
        if not isinstance(edge, AccumulateGrad):
            raise RuntimeError("leaf variable has been moved into the graph interior")
    old = variable._grad
    if g.__class__ is SparseTensor or old.__class__ is SparseTensor:
        first, second = (g, old) if g.__class__ is not SparseTensor else (old, g)  # dense first
        variable._grad = g if old is None else first + second
    elif old is None:
        plain = variable._view is None or not _dense(variable)
        if not plain or (create_graph and g._view is not None):
            g = laid_out(g, g._meta.strides if plain else strides_of(variable))
        variable._grad = g if create_graph or not plain else _own(g)
    elif create_graph:
        variable._grad = old + g
    elif (
        old._view is None
        and g._view is None
        and old._meta is g._meta
        and not old._storage.value.shared
    ):
        storage = old._storage  # old.add_(g), by the short way
        storage.value = (g if _adds_to_zeros(old, g) else old + g)._storage.value
        storage.version += 1
    else:
        old.add_(g)
    if leaf.post_hooks:
        for hook in list(leaf.post_hooks.values()):
            hook(variable)


def _adds_to_zeros(old: Tensor, g: Tensor) -> bool:
    """Whether `old` is known to be zeros and g to hold no -0, so that their sum is g."""
    if old._storage.value is not old._meta.zeros:
        return False
    trace = local.trace
    number = trace.known(g._storage.value)
    if number is None or number < 0 or g._meta.dtype in LOW_PRECISION:
        return False
    spec = trace.spec_of(number)
    return spec.__class__ is Spec and spec.op.positive_zero


def _dense(t: Tensor) -> bool:
    """Whether the strides of t are ones that its gradient is to have too."""
    return is_dense_nonoverlapping(t._meta.shape, strides_of(t))


def _own(g: Tensor) -> Tensor:
    """The gradient in a storage of its own; values never change, so nothing is copied for it."""
    value = read(g, local.trace)
    if value.shared:
        value = read(g.detach().clone(), local.trace)
    return wrap(value, g._meta)


def fit(g: Tensor, meta: Meta, node: Node) -> Tensor:
    """A gradient in the shape and dtype of the input it is for: broadcast axes are summed."""
    if g._meta.device.lanes:
        g = sum_lanes(g, meta)
    if g._meta.shape != meta.shape:
        if not _sums_to(g._meta.shape, meta.shape):
            raise RuntimeError(
                f"Function {node.name()} returned an invalid gradient at index "
                f"{_index(node, meta)} - got "
                f"{list(g._meta.shape)} but expected shape compatible with {list(meta.shape)}"
            )
        g = g.sum_to_size(meta.shape)
    if g._meta.dtype is not meta.dtype:
        if g._meta.dtype.is_complex and not meta.dtype.is_complex:
            g = g.real
        g = cast(g, meta.dtype)
    return g


def _index(node: Node, meta: Meta) -> int:
    return next((k for k, m in enumerate(node.metas) if m is meta), 0)


def _sums_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    lead = len(shape) - len(target)
    return lead >= 0 and all(t in (1, s) for s, t in zip(shape[lead:], target))


def _replaced_by(hooks: dict, grads: tuple) -> tuple:
    """The gradients of a node's results after hooks that may give others."""
    for hook in list(hooks.values()):
        got = hook(grads)
        if got is not None:
            grads = tuple(got) if isinstance(got, (tuple, list)) else (got,)
    return grads


def hooked(hook: Callable, g: Tensor | None) -> Any:
    """What a tensor's hook makes of its gradient, checked."""
    got = hook(g)
    if got is None:
        return g
    if not isinstance(got, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(got).__name__}'")
    if g is not None and got._meta.shape != g._meta.shape:
        name = getattr(hook, "__name__", "<unknown>")
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    return got


def _node_hooks(node: Node, grads: list, g: Any) -> list:
    outputs = (g,) if node.outputs == 1 else tuple(g)
    for hook in list(node.more().hooks.values()):
        got = hook(tuple(grads), outputs)
        if got is not None:
            grads = list(got) if isinstance(got, (tuple, list)) else [got]
    return grads


def replayed(result: Tensor, keep_graph: bool, create_graph: bool) -> bool:
    """Whether the pass from a result was one known at this place, and was replayed. Hot."""
    trace = local.trace
    passages, root = trace.prefix.passages, result._edge
    if passages is None or root is None or result._view is not None or root.__class__ is Output:
        return False
    if create_graph or hooks.check is not None or trace.tapes or trace.levels:
        return False
    if nodes.active or traces.keep_lines:
        return False
    for passage in passages.get((root.prefix, result._meta, keep_graph), ()):
        if passage(root, trace):
            replay.table.replayed += 1
            return True
    return False


def backward(
    roots: Sequence[Any],
    grads: Sequence[Tensor],
    *,
    keep_graph: bool,
    create_graph: bool,
    inputs: Sequence[Any] | None = None,
    accumulate_grad: bool = True,
    forward: bool = False,
) -> list[Tensor | None]:
    """Run backward from edges; with the edges `inputs`, towards these, giving their gradients."""
    trace = local.trace
    form: Any = False
    asked = attempt = None
    if hooks.check is not None:
        pass
    elif inputs is None and not create_graph and accumulate_grad and len(roots) == 1:
        form = replay.find(roots[0], grads[0], keep_graph, trace)
        if form is True:
            return []
    else:
        asked = towards.Pass(roots, grads, inputs, keep_graph, create_graph, accumulate_grad)
        found = towards.known(asked, trace)
        if found is not None:
            return found
    run = Run(keep_graph, create_graph, accumulate_grad)
    if inputs is not None:
        _restrict(run, roots, inputs)
    if asked is not None:
        attempt = towards.attempt(asked, run.needed, trace)
    run.roots = roots
    run.forward = forward
    mode, outer = trace.grad, running.run
    trace.grad, running.run = create_graph, run
    try:
        for edge, g in zip(roots, grads):
            run.send(edge, g)
        run.go()
    finally:
        trace.grad, running.run = mode, outer
    if form:
        replay.learn(form)
    if attempt is not None:
        attempt.learn(run.captured, trace)
    return run.captured


def descend(
    results: Sequence[Tensor], grads: Sequence[Tensor | None], inputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """The gradients of `inputs`, with a graph of their own; for rules that are compositions."""
    pairs = [(edge_of(r), g) for r, g in zip(results, grads) if g is not None]
    return backward(
        [edge for edge, _ in pairs],
        [g for _, g in pairs],  # type: ignore[misc]
        keep_graph=True,
        create_graph=True,
        inputs=[edge_of(t) for t in inputs],
        accumulate_grad=False,
    )


def _restrict(run: Run, roots: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Find the nodes on the ways from roots to inputs, and where to capture."""
    run.captured = [None] * len(inputs)
    targets: set[Node] = set()
    for which, edge in enumerate(inputs):
        if edge is NOWHERE:
            continue
        node, index = (edge.node, edge.index) if type(edge) is Output else (edge, 0)
        run.captures.setdefault((node, index), []).append(which)
        targets.add(node)
    needed = set(targets)
    visited: dict[Node, list[Node]] = {}
    stack = [_node_of(r) for r in roots]
    while stack:  # children first: a node is needed if it is a target or a child is
        node = stack[-1]
        if node not in visited:
            visited[node] = children = [_node_of(e) for e in node.edges if e is not None]
            stack.extend(c for c in children if c not in visited)
            continue
        stack.pop()
        if node not in needed and any(c in needed for c in visited[node]):
            needed.add(node)
    run.needed = needed


def _node_of(edge: Any) -> Node:
    return edge.node if type(edge) is Output else edge


class _Hooks:
    """What other modules give: the ones a backward pass begins with, and anomaly detection."""

    ones: Callable[[Meta], Tensor]

    def __init__(self) -> None:  # the class's own would be slow to read
        self.check: Callable[[Node, list], None] | None = None


hooks = _Hooks()
nodes.descend = descend
