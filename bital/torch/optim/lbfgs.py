"""LBFGS: a quasi-Newton method of bounded memory (Liu and Nocedal 1989).

The line search for the strong Wolfe conditions is that of Nocedal and Wright, "Numerical
Optimization", algorithms 3.5 and 3.6, with cubic interpolation (equation 3.59).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import bital.torch as torch
from bital.ops.optimize import lbfgs_direction
from bital.tensor.tensor import array_of
from bital.torch.optim.optimizer import Optimizer, ParamsT, _check_not_negative


def _cubic_interpolate(
    x1: Any, f1: Any, g1: Any, x2: Any, f2: Any, g2: Any, bounds: tuple | None = None
) -> Any:
    """Where the cubic through two points with slopes g1, g2 is least, within `bounds`."""
    low, high = bounds or ((x1, x2) if x1 <= x2 else (x2, x1))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        least = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        least = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(least, low), high)


class _Point:
    """A step length with the loss, the gradient and the slope along the direction there."""

    __slots__ = ("t", "f", "g", "slope")

    def __init__(self, t: Any, f: float, g: Any, slope: Any) -> None:
        self.t, self.f, self.g, self.slope = t, f, g, slope


class _LineSearch:
    """A step length along `d` from a start that fulfils the strong Wolfe conditions.

    `evaluate(t)` gives the loss and the gradient at step length t.
    """

    #: how much the loss must fall, and how much the slope must flatten, beside the start's
    _fall, _flatten = 1e-4, 0.9

    def __init__(self, evaluate: Callable, d: Any, start: _Point, max_ls: int) -> None:
        self.evaluate, self.d, self.start, self.max_ls = evaluate, d, start, max_ls
        self.evals = 0
        self.iterations = 0

    def _at(self, t: Any) -> _Point:
        self.evals += 1
        f, g = self.evaluate(t)
        return _Point(t, f, g, _look(g.dot(self.d)))

    def _too_high(self, p: _Point) -> bool:
        return bool(p.f > self.start.f + self._fall * p.t * self.start.slope)

    def _flat(self, p: _Point) -> bool:
        return bool(abs(p.slope) <= -self._flatten * self.start.slope)

    def run(self, t: Any, tolerance: float = 1e-9) -> _Point:
        """The point found, beginning with step length t."""
        with np.errstate(all="ignore"):
            points, done = self._bracket(t)
            return points[0] if done else self._zoom(points, tolerance)

    def _bracket(self, t: Any) -> tuple[list[_Point], bool]:
        """Two points with a good one between them, or a good one and True."""
        before, point = self.start, self._at(t)
        while self.iterations < self.max_ls:
            if self._too_high(point) or (self.iterations > 1 and point.f >= before.f):
                return [before, point], False
            if self._flat(point):
                return [point], True
            if point.slope >= 0:
                return [before, point], False
            t = point.t
            bounds = (t + 0.01 * (t - before.t), t * 10)
            t = _cubic_interpolate(
                before.t, before.f, before.slope, t, point.f, point.slope, bounds
            )
            before, point = point, self._at(t)
            self.iterations += 1
        return [self.start, point], False

    def _zoom(self, ends: list[_Point], tolerance: float) -> _Point:
        """Shrink the bracket until a point in it is good; the lower end of it."""
        d_norm = _look(self.d.abs().max())
        stuck = False  # the last trial lay at an end of the bracket
        low, high = ends if ends[0].f <= ends[1].f else reversed(ends)
        while self.iterations < self.max_ls:
            first, second = ends
            if abs(second.t - first.t) * d_norm < tolerance:
                break
            t = _cubic_interpolate(first.t, first.f, first.slope, second.t, second.f, second.slope)
            t, stuck = self._inside(t, first.t, second.t, stuck)
            point = self._at(t)
            self.iterations += 1
            place = ends.index(high)
            if self._too_high(point) or point.f >= low.f:
                ends[place] = point
                low, high = ends if ends[0].f <= ends[1].f else reversed(ends)
                continue
            if self._flat(point):
                return point
            if point.slope * (high.t - low.t) >= 0:
                ends[place] = low
                high = low
            ends[1 - place] = low = point
        return low

    @staticmethod
    def _inside(t: Any, a: Any, b: Any, stuck: bool) -> tuple[Any, bool]:
        """t, moved off an end of the bracket where it was stuck there, and whether it is close."""
        top, bottom = max(a, b), min(a, b)
        margin = 0.1 * (top - bottom)
        if not min(top - t, t - bottom) < margin:
            return t, False
        if not (stuck or t >= top or t <= bottom):
            return t, True
        return (top - margin if abs(t - top) < abs(t - bottom) else bottom + margin), False


class LBFGS(Optimizer):
    """Steps along -H g, H made of the last `history_size` steps; `step` needs a closure.

    A step has up to `max_iter` iterations and about `max_eval` evaluations (1.25 times as many by
    default); it ends where no element of g is over `tolerance_grad`, or nothing changes by more
    than `tolerance_change`. `line_search_fn` is None, for steps of length `lr`, or "strong_wolfe".
    """

    def __init__(
        self,
        params: ParamsT,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        _check_not_negative(lr)
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _gather_flat_grad(self) -> Any:
        """All gradients in a row, zeros where there is none; complex ones as pairs."""
        parts = []
        for param in self._params:
            grad = torch.zeros_like(param) if param.grad is None else param.grad
            grad = grad.to_dense() if grad.is_sparse else grad
            grad = torch.view_as_real(grad.contiguous()) if grad.is_complex() else grad
            parts.append(grad.reshape(-1))
        return torch.cat(parts, 0)

    def _add_grad(self, step_size: Any, direction: Any) -> None:
        """Move the parameters by `step_size` along `direction`."""
        offset = 0
        for param in self._params:
            real = torch.view_as_real(param) if param.is_complex() else param
            part = direction[offset : offset + real.numel()]
            real.add_(part.view_as(real), alpha=float(step_size))
            offset += real.numel()

    def _evaluate(self, closure: Callable, start: list, t: Any, d: Any) -> tuple[float, Any]:
        """Loss and gradient at t along d from `start`, where the parameters are put again."""
        self._add_grad(t, d)
        loss = float(closure())
        grad = self._gather_flat_grad()
        for param, before in zip(self._params, start, strict=True):
            param.copy_(before)
        return loss, grad

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Minimise what `closure` computes; returns its first loss."""
        group = self.param_groups[0]
        closure = torch.enable_grad()(closure)
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, evals = float(first_loss), 1
        state["func_evals"] += 1
        grad = self._gather_flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first_loss
        n_iter = 0
        while n_iter < group["max_iter"]:
            n_iter += 1
            state["n_iter"] += 1
            _update_direction(state, grad, group["history_size"])
            if state.get("prev_flat_grad") is None:
                state["prev_flat_grad"] = grad.clone()
            else:
                state["prev_flat_grad"].copy_(grad)
            state["prev_loss"] = loss
            d, t = state["d"], group["lr"]
            t = _look(t.squeeze()) if isinstance(t, torch.Tensor) else t
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / _look(grad.abs().sum())) * t
            state["t"] = t
            slope = _look(grad.dot(d))  # along the direction
            if slope > -group["tolerance_change"]:
                break
            last = n_iter == group["max_iter"]
            start = _Point(0, loss, grad, slope)
            loss, grad, used = self._move(closure, start, group["max_eval"] - evals, last)
            evals += used
            state["func_evals"] += used
            if last or evals >= group["max_eval"] or _converged(state, group, loss, grad):
                break
        _keep(state, group["history_size"])
        return first_loss

    def _move(
        self, closure: Callable, start: _Point, max_ls: int, last: bool
    ) -> tuple[float, Any, int]:
        """Move along the state's direction: the loss and gradient there, and the evaluations."""
        search = self.param_groups[0]["line_search_fn"]
        state = self.state[self._params[0]]
        d = state["d"]
        if search is None:
            self._add_grad(state["t"], d)
            if last:  # nobody will look at the loss
                return start.f, start.g, 0
            return float(closure()), self._gather_flat_grad(), 1
        if search != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        before = [param.clone() for param in self._params]
        line = _LineSearch(lambda t: self._evaluate(closure, before, t, d), d, start, max_ls)
        found = line.run(state["t"])
        state["t"] = found.t
        self._add_grad(found.t, d)
        return found.f, found.g, line.evals


#: what a state keeps between steps, in PyTorch's order
_SAVED = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


def _keep(state: dict[str, Any], history_size: int) -> None:
    """Put a state in the form in which PyTorch keeps it."""
    found = state.pop("coefficients", None)
    if found is not None:
        al = state.setdefault("al", [None] * history_size)
        al[: found.numel()] = found.unbind(0)
    t = state["t"]
    if isinstance(t, np.generic):
        state["t"] = torch.tensor(t.item(), dtype=getattr(torch, t.dtype.name))
    state.update({name: state.pop(name) for name in _SAVED})


def _look(t: Any) -> Any:
    """The one number of a tensor, as NumPy's, which keeps the dtype's rounding."""
    return array_of(t)[()]


def _converged(state: dict[str, Any], group: dict[str, Any], loss: float, grad: Any) -> bool:
    """Whether the gradient vanishes or the last iteration changed next to nothing."""
    least = group["tolerance_change"]
    return bool(
        grad.abs().max() <= group["tolerance_grad"]
        or (state["d"] * float(state["t"])).abs().max() <= least
        or abs(loss - state["prev_loss"]) < least
    )


def _update_direction(state: dict[str, Any], grad: Any, history_size: int) -> None:
    """Take the last step into the history, and make the direction -H g: the two-loop recursion."""
    if state["n_iter"] == 1:
        state.update(d=-grad, old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return
    changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
    change, step = grad - state["prev_flat_grad"], state["d"] * float(state["t"])
    curvature = change.dot(step)
    if _look(curvature) > 1e-10:
        if len(changes) == history_size:
            for each in (changes, steps, ro):
                each.pop(0)
        changes.append(change)
        steps.append(step)
        ro.append(1.0 / curvature)
        state["H_diag"] = curvature / change.dot(change)
    h_diag = state["H_diag"]
    if not isinstance(h_diag, torch.Tensor):
        h_diag = torch.tensor(h_diag, dtype=grad.dtype)
    state["d"], state["coefficients"] = lbfgs_direction(grad, h_diag, changes, steps, ro)
