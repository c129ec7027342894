"""Recurrent layers in array words, one step after another, as compiled plans are made of.

Room: ops. The formulas and the layout of what is kept are those of `recurrence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.ops.unary import sigmoid_impl

Steps = tuple[tuple[int, int], ...]

#: longer sequences are left to NumPy: every step is code of its own
_MOST_STEPS = 96


def _joined(xp: Any, parts: dict[int, Any]) -> Any:
    """The rows of all steps, by their first ones."""
    return xp.concatenate([parts[s] for s in sorted(parts)])


def _replaced(xp: Any, state: Any, new: Any) -> Any:
    """A state of which the first sequences have gone on."""
    n = new.shape[0]
    return new if n == state.shape[0] else xp.concatenate([new, state[n:]])


def _before(xp: Any, first: Any, rows: Any, steps: Steps) -> dict[int, Any]:
    """By a step's first row, what the state was before it."""
    found = {}
    for s, n in steps:
        found[s] = first[:n]
        first = _replaced(xp, first, rows[s : s + n])
    return found


def _check(steps: Steps) -> None:
    if len(steps) > _MOST_STEPS:
        raise NotImplementedError("a sequence so long")


def _columns(rows: Any, size: int) -> list[Any]:
    """Rows of gates, gate by gate."""
    return [rows[:, k : k + size] for k in range(0, rows.shape[1], size)]


def _block(xp: Any, *gates: Any) -> Any:
    """What is kept of a step's gates: gate after gate, counted as rows."""
    return xp.stack(gates).reshape(gates[0].shape[0], -1)


def _gates(kept: Any, s: int, n: int, size: int) -> list[Any]:
    """A step's gates out of what was kept."""
    return list(kept[s : s + n].reshape(-1, n, size))


def elman_forward(step: Callable) -> Callable:
    def forward(xp: Any, x: Any, h: Any, w: Any, *, steps: Steps) -> tuple:
        _check(steps)
        outs = {}
        for s, n in steps:
            outs[s] = step(xp, xp.matmul(h[:n], w.T) + x[s : s + n])
            h = _replaced(xp, h, outs[s])
        return _joined(xp, outs), h

    return forward


def elman_backward(slope: Callable) -> Callable:
    def backward(xp: Any, g: Any, dh: Any, h: Any, w: Any, out: Any, *, steps: Steps) -> tuple:
        _check(steps)
        slopes, rows = slope(out), {}
        for s, n in reversed(steps):
            rows[s] = slopes[s : s + n] * (dh[:n] + g[s : s + n])
            dh = _replaced(xp, dh, xp.matmul(rows[s], w))
        dx = _joined(xp, rows)
        return dx, dh, xp.matmul(dx.T, _joined(xp, _before(xp, h, out, steps)))

    return backward


def lstm_forward(xp: Any, x: Any, h: Any, c: Any, w: Any, *p: Any, steps: Steps) -> tuple:
    _check(steps)
    size = c.shape[1]
    outs, gates, cells, bent = {}, {}, {}, {}
    for s, n in steps:
        i, f, g, o = _columns(xp.matmul(h[:n], w.T) + x[s : s + n], size)
        i, f, o = (sigmoid_impl(xp, a) for a in (i, f, o))
        g = xp.tanh(g)
        cells[s] = c[:n] * f + i * g
        bent[s] = xp.tanh(cells[s])
        outs[s] = o * bent[s]
        if p:
            outs[s] = xp.matmul(outs[s], p[0].T)
        gates[s] = _block(xp, i, f, o, g)
        h, c = _replaced(xp, h, outs[s]), _replaced(xp, c, cells[s])
    return _joined(xp, outs), h, c, *[_joined(xp, t) for t in (gates, cells, bent)]


def lstm_backward(
    xp: Any, g: Any, dh: Any, dc: Any, h: Any, c: Any, w: Any, *rest: Any, steps: Steps
) -> tuple:
    _check(steps)
    *p, out, gates, cells, bent = rest
    size = c.shape[1]
    before, rows, sent, hidden = _before(xp, c, cells, steps), {}, {}, {}
    for s, n in reversed(steps):
        i, f, o, new = _gates(gates, s, n, size)
        tanh = bent[s : s + n]
        full = dh[:n] + g[s : s + n]
        if p:
            sent[s], hidden[s] = full, o * tanh
            full = xp.matmul(full, p[0])
        cell = dc[:n] + (1 - tanh * tanh) * o * full
        rows[s] = xp.concatenate([
            (i - i * i) * new * cell,
            (f - f * f) * before[s] * cell,
            (1 - new * new) * i * cell,
            (o - o * o) * tanh * full,
        ], 1)  # fmt: skip
        dh, dc = _replaced(xp, dh, xp.matmul(rows[s], w)), _replaced(xp, dc, cell * f)
    dx = _joined(xp, rows)
    by_weights = [xp.matmul(dx.T, _joined(xp, _before(xp, h, out, steps)))]
    if p:
        by_weights.append(xp.matmul(_joined(xp, sent).T, _joined(xp, hidden)))
    return dx, dh, dc, *by_weights


def gru_forward(xp: Any, x: Any, h: Any, w: Any, b: Any, *, steps: Steps) -> tuple:
    _check(steps)
    size = h.shape[1]
    outs, kept = {}, {}
    for s, n in steps:
        x_r, x_z, x_n = _columns(x[s : s + n], size)
        h_r, h_z, let = _columns(xp.matmul(h[:n], w.T) + b, size)
        r, z = sigmoid_impl(xp, h_r + x_r), sigmoid_impl(xp, h_z + x_z)
        new = xp.tanh(r * let + x_n)
        outs[s] = (h[:n] - new) * z + new
        kept[s] = _block(xp, r, z, new, let)
        h = _replaced(xp, h, outs[s])
    return _joined(xp, outs), h, _joined(xp, kept)


def gru_backward(
    xp: Any, g: Any, dh: Any, h: Any, w: Any, b: Any, out: Any, kept: Any, *, steps: Steps
) -> tuple:
    _check(steps)
    size = h.shape[1]
    before, rows, inner = _before(xp, h, out, steps), {}, {}
    for s, n in reversed(steps):
        r, z, new, let = _gates(kept, s, n, size)
        part = dh[:n] + g[s : s + n]
        by_new = (1 - new * new) * (1 - z) * part
        by_r = (r - r * r) * let * by_new
        by_z = (z - z * z) * (before[s] - new) * part
        rows[s] = xp.concatenate([by_r, by_z, by_new], 1)
        inner[s] = xp.concatenate([by_r, by_z, by_new * r], 1)
        dh = _replaced(xp, dh, part * z + xp.matmul(inner[s], w))
    through = _joined(xp, inner)
    states = _joined(xp, before)
    return _joined(xp, rows), dh, xp.matmul(through.T, states), xp.sum(through, 0)
