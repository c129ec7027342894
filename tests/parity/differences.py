"""Gradients against central differences, in float64 and one random direction.

For inputs x, a direction u and a projection v of the outputs, `<v, J u>` is found twice: from the
gradient, and from `(f(x + h u) - f(x - h u)) . v / 2h`. Order 2 does the same to the gradient of
`<v, f>`. Everything goes through the public API of the namespace.
"""

import numpy as np

from tests.parity.case import FLOATING, Op
from tests.parity.harness import flatten, random_like, to_array
from tests.tolerance import DIFFERENCES

DTYPE = "float64"


class Directional:
    """A case as a function of one number: its inputs moved along a random direction."""

    def __init__(self, torch, op: Op) -> None:
        self.torch, self.op = torch, op
        self.arrays = op.arrays(DTYPE)
        rng = op.rng()
        self.moved = [
            n
            for n, spec in enumerate(op.inputs)
            if spec.differentiable(DTYPE) and (spec.dtype or DTYPE) in FLOATING
        ]
        self.along = {n: self._direction(rng, n) for n in self.moved}
        self._weights: list | None = None
        self._weights2: list | None = None

    def _direction(self, rng: np.random.Generator, n: int) -> np.ndarray:
        array = self.arrays[n]
        if self.op.inputs[n].layout == "expanded" and array.ndim:
            return np.broadcast_to(rng.standard_normal(array.shape[1:]), array.shape)
        return rng.standard_normal(array.shape)

    def at(self, step: float) -> tuple[list, list]:
        """The inputs at `x + step u` that are differentiated, and the tracked float outputs."""
        arrays = [
            a + step * self.along[n] if n in self.along else a for n, a in enumerate(self.arrays)
        ]
        tensors = self.op.tensors(self.torch, DTYPE, arrays)
        found: list = []
        flatten(self.torch, self.op.run(self.torch, tensors), found)
        outputs = [t for t in found if t.requires_grad and not t.is_complex()]
        return [tensors[n] for n in self.moved], outputs

    def project(self, tensors: list, weights: list) -> float:
        """The sum of the tensors weighted by `weights`, as a Python number."""
        return sum(
            float((to_array(t).astype(np.float64) * to_array(w)).sum())
            for t, w in zip(tensors, weights, strict=True)
        )

    def weights(self, outputs: list) -> list:
        """The projection of the outputs, the same at every step."""
        if self._weights is None:
            rng = self.op.rng()
            self._weights = [random_like(self.torch, rng, out) for out in outputs]
        return self._weights

    def gradients(self, step: float, create_graph: bool) -> tuple[list, list]:
        """The inputs at a step and the gradient of the projection there."""
        inputs, outputs = self.at(step)
        grads = self.torch.autograd.grad(
            outputs, inputs, self.weights(outputs), create_graph=create_graph, allow_unused=True
        )
        return inputs, list(grads)

    def slope(self, grads: list) -> float:
        """What gradients say about moving along the direction."""
        return sum(
            float((to_array(g) * self.along[n]).sum())
            for n, g in zip(self.moved, grads, strict=True)
            if g is not None
        )


def check_first(torch, op: Op) -> None:
    """Raise AssertionError where the gradient disagrees with differences of the outputs."""
    case = Directional(torch, op)
    _, outputs = case.at(0.0)
    if not outputs:
        raise AssertionError(f"{op.key}: no output requires grad")
    weights = case.weights(outputs)
    _, grads = case.gradients(0.0, create_graph=False)
    h = DIFFERENCES[1][0]
    found = case.project(case.at(h)[1], weights) - case.project(case.at(-h)[1], weights)
    _agree(op, 1, case.slope(grads), found / (2 * h))


def check_second(torch, op: Op) -> None:
    """Raise AssertionError where the second derivative disagrees with differences of the first."""
    case = Directional(torch, op)
    inputs, grads = case.gradients(0.0, create_graph=True)
    chosen = [n for n, g in enumerate(grads) if g is not None]
    tracked = [grads[n] for n in chosen if grads[n].requires_grad]
    rng = op.rng()
    weights = {n: random_like(torch, rng, grads[n]) for n in chosen}
    second: list = [None] * len(inputs)
    if tracked:
        cotangents = [weights[n] for n in chosen if grads[n].requires_grad]
        second = list(torch.autograd.grad(tracked, inputs, cotangents, allow_unused=True))
    h = DIFFERENCES[2][0]
    ends = []
    for step in (h, -h):
        _, there = case.gradients(step, create_graph=False)
        ends.append(case.project([there[n] for n in chosen], [weights[n] for n in chosen]))
    _agree(op, 2, case.slope(second), (ends[0] - ends[1]) / (2 * h))


def _agree(op: Op, order: int, ours: float, found: float) -> None:
    _, rtol, atol = DIFFERENCES[order]
    if not np.isclose(ours, found, rtol=rtol, atol=atol):
        raise AssertionError(
            f"{op.key}: order {order} is {ours!r} by backward and {found!r} by central differences"
        )
