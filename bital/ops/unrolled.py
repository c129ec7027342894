"""Recurrent layers in array words, as compiled plans are made of: cells and their way through
steps.

Room: ops. The formulas and the layout of what is kept are those of `recurrence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.ops.unary import sigmoid_impl

Steps = tuple[tuple[int, int], ...]

#: (xp, *sequences, *states, *fixed) -> (states, results); gates are a list, as what is kept of them
Cell = Callable[..., tuple[list[Any], list[Any]]]

#: longer sequences whose steps are not alike are left to NumPy: every step is code of its own
_MOST_STEPS = 96
#: from so many sequences on, or with weights of fewer elements, each goes through steps by itself
_MANY, _SMALL = 16, 1 << 18


def _regular(steps: Steps) -> bool | None:
    """Whether steps go backwards, where all are of as many sequences; None where they are not."""
    count, n = len(steps), steps[0][1]
    for reverse in (False, True):
        numbers = range(count)[::-1] if reverse else range(count)
        if all(step == (k * n, n) for step, k in zip(steps, numbers)):
            return reverse
    return None


def _through(
    xp: Any, cell: Cell, sequences: list, gates: list, states: list, fixed: list, steps: Steps
) -> tuple[list[Any], list[Any]]:
    """The last states, and the rows of every result of a cell that goes through all steps.

    The cell is given the rows of a step of `sequences`, and of `gates` one after another.
    """
    reverse, n = _regular(steps), steps[0][1]
    if reverse is None or not all(a.size for a in (*sequences, *states, *fixed)):
        return _unrolled(xp, cell, sequences, gates, states, fixed, steps)
    if n < _MANY and sum(w.size for w in fixed) > _SMALL:
        return _unrolled(xp, cell, sequences, gates, states, fixed, steps)
    moving = [x.reshape(len(steps), n, -1) for x in sequences]
    for kept in gates:
        blocks = kept.reshape(len(steps), -1, n, states[-1].shape[1])
        moving += [blocks[:, k] for k in range(blocks.shape[1])]
    last, results = xp.steps(cell, moving, states, fixed, reverse)
    return last, [r.reshape(n * len(steps), -1) for r in results]


def _unrolled(
    xp: Any, cell: Cell, sequences: list, gates: list, states: list, fixed: list, steps: Steps
) -> tuple[list[Any], list[Any]]:
    """`_through` as code of its own for each step."""
    if len(steps) > _MOST_STEPS:
        raise NotImplementedError("a sequence so long")
    rows: dict[int, list] = {}
    for s, n in steps:
        now = [x[s : s + n] for x in sequences]
        for kept in gates:
            now += list(kept[s : s + n].reshape(-1, n, states[-1].shape[1]))
        new, results = cell(xp, *now, *[t[:n] for t in states], *fixed)
        states = [_replaced(xp, t, a) for t, a in zip(states, new)]
        # what is kept of gates: gate after gate, counted as rows
        rows[s] = [xp.stack(r).reshape(n, -1) if isinstance(r, list) else r for r in results]
    return states, [xp.concatenate(parts) for parts in zip(*[rows[s] for s in sorted(rows)])]


def _replaced(xp: Any, state: Any, new: Any) -> Any:
    """A state of which the first sequences have gone on."""
    n = new.shape[0]
    return new if n == state.shape[0] else xp.concatenate([new, state[n:]])


def _columns(rows: Any, size: int) -> list[Any]:
    """Rows of gates, gate by gate."""
    return [rows[:, k : k + size] for k in range(0, rows.shape[1], size)]


def elman_forward(step: Callable) -> Callable:
    def cell(xp: Any, x: Any, h: Any, turned: Any) -> tuple:
        new = step(xp, xp.matmul(h, turned) + x)
        return [new], [new, h]

    def forward(xp: Any, x: Any, h: Any, w: Any, *, steps: Steps) -> tuple:
        turned = w.T
        last, (out, before) = _through(xp, cell, [x], [], [h], [turned], steps)
        return out, *last, before

    return forward


def elman_backward(slope: Callable) -> Callable:
    def cell(xp: Any, g: Any, out: Any, dh: Any, w: Any) -> tuple:
        row = slope(out) * (dh + g)
        return [xp.matmul(row, w)], [row]

    def backward(
        xp: Any, g: Any, dh: Any, h: Any, w: Any, out: Any, before: Any, *, steps: Steps
    ) -> tuple:
        last, (dx,) = _through(xp, cell, [g, out], [], [dh], [w], steps[::-1])
        return dx, *last, xp.matmul(dx.T, before)

    return backward


def _lstm_cell(xp: Any, x: Any, h: Any, c: Any, w: Any, *p: Any) -> tuple:
    i, f, g, o = _columns(xp.matmul(h, w) + x, c.shape[1])
    i, f, o = (sigmoid_impl(xp, a) for a in (i, f, o))
    g = xp.tanh(g)
    new = c * f + i * g
    bent = xp.tanh(new)
    out = xp.matmul(o * bent, p[0]) if p else o * bent
    return [out, new], [out, [i, f, o, g], c, bent, h]


def lstm_forward(xp: Any, x: Any, h: Any, c: Any, *weights: Any, steps: Steps) -> tuple:
    turned = [w.T for w in weights]
    last, (out, *kept) = _through(xp, _lstm_cell, [x], [], [h, c], turned, steps)
    return out, *last, *kept


def _lstm_cell_backward(
    xp: Any, g: Any, before: Any, tanh: Any, i: Any, f: Any, o: Any, new: Any, dh: Any, dc: Any,
    w: Any, *p: Any,
) -> tuple:  # fmt: skip
    sent = dh + g
    full = xp.matmul(sent, p[0]) if p else sent
    cell = dc + (1 - tanh * tanh) * o * full
    row = xp.concatenate([
        (i - i * i) * new * cell,
        (f - f * f) * before * cell,
        (1 - new * new) * i * cell,
        (o - o * o) * tanh * full,
    ], 1)  # fmt: skip
    return [xp.matmul(row, w), cell * f], [row, *([sent, o * tanh] if p else [])]


def lstm_backward(
    xp: Any, g: Any, dh: Any, dc: Any, h: Any, c: Any, w: Any, *rest: Any, steps: Steps
) -> tuple:
    *p, _, gates, cells, bent, before = rest
    last, (dx, *more) = _through(
        xp, _lstm_cell_backward, [g, cells, bent], [gates], [dh, dc], [w, *p], steps[::-1]
    )
    by_weights = [xp.matmul(dx.T, before)]
    if p:
        sent, hidden = more
        by_weights.append(xp.matmul(sent.T, hidden))
    return dx, *last, *by_weights


def _gru_cell(xp: Any, x: Any, h: Any, w: Any, b: Any) -> tuple:
    size = h.shape[1]
    x_r, x_z, x_n = _columns(x, size)
    h_r, h_z, let = _columns(xp.matmul(h, w) + b, size)
    r, z = sigmoid_impl(xp, h_r + x_r), sigmoid_impl(xp, h_z + x_z)
    new = xp.tanh(r * let + x_n)
    out = (h - new) * z + new
    return [out], [out, [r, z, new, let], h]


def gru_forward(xp: Any, x: Any, h: Any, w: Any, b: Any, *, steps: Steps) -> tuple:
    turned = w.T
    last, (out, *kept) = _through(xp, _gru_cell, [x], [], [h], [turned, b], steps)
    return out, *last, *kept


def _gru_cell_backward(
    xp: Any, g: Any, before: Any, r: Any, z: Any, new: Any, let: Any, dh: Any, w: Any
) -> tuple:
    part = dh + g
    by_new = (1 - new * new) * (1 - z) * part
    by_r = (r - r * r) * let * by_new
    by_z = (z - z * z) * (before - new) * part
    row = xp.concatenate([by_r, by_z, by_new], 1)
    inner = xp.concatenate([by_r, by_z, by_new * r], 1)
    return [part * z + xp.matmul(inner, w)], [row, inner]


def gru_backward(
    xp: Any, g: Any, dh: Any, h: Any, w: Any, b: Any, out: Any, kept: Any, before: Any, *,
    steps: Steps,
) -> tuple:  # fmt: skip
    last, (dx, inner) = _through(
        xp, _gru_cell_backward, [g, before], [kept], [dh], [w], steps[::-1]
    )
    return dx, *last, xp.matmul(inner.T, before), xp.sum(inner, 0)
