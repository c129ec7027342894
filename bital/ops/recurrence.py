"""Recurrent layers as primitives: a whole sequence is one instruction, and so is its gradient.

Room: ops. The rows of all time steps lie one after another, (rows, gates): those of a time step
belong to the first sequences of the batch, as in packed sequences. What the layer's input gives
to the gates comes ready, as one product of all rows; here is what depends on the step before.
Formulas: PyTorch's documentation of torch.nn.RNN, LSTM and GRU; gradients by the chain rule.
Second derivatives come from the composition of public operators in `composed`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.dtype import BOOL, COMPLEX, INT
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op, asking, like
from bital.ir.trace import local
from bital.ops import unrolled
from bital.ops.create import constant
from bital.ops.descend import descend
from bital.ops.family import check_dtype
from bital.ops.join import cat
from bital.ops.norm import wide
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor

#: (first row, how many sequences) of every time step, in the order in which they are taken
Steps = tuple[tuple[int, int], ...]


@functools.lru_cache(256)
def steps_of(sizes: tuple[int, ...], reverse: bool) -> Steps:
    """The steps of sequences of which `sizes[t]` reach time step t."""
    steps, first = [], 0
    for n in sizes:
        steps.append((first, n))
        first += n
    return tuple(steps[::-1] if reverse else steps)


class Recurrence:
    """The operators of one kind of recurrent layer.

    states    names of what is handed from step to step: "h", or "h" and "c"
    weights   names of the operands that every step uses
    reserve   how many arrays (rows, k hidden) `forward` gives for `backward`, by their k; the last
              one, like out, is what h was before every step
    forward   (x, *states, *weights, steps) -> (out, *last states, *reserve, before)
    backward  (*gradients of out and last states, *states, *weights, out, *reserve, before, steps)
              -> gradients of x, states and weights
    cell      (x, *states, *weights) -> states, of public operators, for one step
    native    forward and backward in array words: (xp, as above, steps=)
    """

    def __init__(
        self,
        name: str,
        states: tuple[str, ...],
        weights: tuple[str, ...],
        reserve: tuple[int, ...],
        forward: Callable,
        backward: Callable,
        cell: Callable,
        native: tuple[Callable, Callable],
    ) -> None:
        self.states, self.reserve, self.cell = len(states), reserve, cell
        self.kept = len(reserve) + 2
        inputs = ("x", *states, *weights)
        kept = ["out0", *[f"out{1 + len(states) + k}" for k in range(self.kept - 1)]]
        self.forward = Op(
            name, self._rule, _in_single(forward), inputs=inputs,
            vjp=asking(self._vjp, *inputs, *kept, "steps"), grad_fn="StackBackward0",
            native=native[0],
        )  # fmt: skip
        self.backward = Op(
            f"{name}_backward", self._backward_rule, _in_single(backward),
            inputs=("g", *[f"g_{s}" for s in states], *inputs[1:], *kept), native=native[1],
        )  # fmt: skip

    def __call__(self, tensors: tuple[Tensor, ...], steps: Steps) -> tuple:
        """(out, *last states) of x (rows, gates), states (batch, H) and weights."""
        return apply(self.forward, tensors, (steps,))[: 1 + self.states]

    def _rule(self, x: Meta, *given: Any) -> tuple[tuple, dict]:
        *metas, steps = given
        check_dtype(x.dtype, (BOOL, INT, COMPLEX), "rnn_cpu")
        for m in metas:
            if m.dtype is not x.dtype:
                raise RuntimeError(
                    f"mat1 and mat2 must have the same dtype, but got {m.dtype.legacy_name} and "
                    f"{x.dtype.legacy_name}"
                )
        self._check_sizes(x, metas, steps)
        states = metas[: self.states]
        out = like(x, (x.shape[0], states[0].shape[1]))
        kept = [like(x, (x.shape[0], k * states[-1].shape[1])) for k in self.reserve]
        return (out, *states, *kept, out), {"steps": steps}

    def _check_sizes(self, x: Meta, metas: list[Meta], steps: Steps) -> None:
        batch = max(n for _, n in steps)
        w = metas[self.states]
        for state in metas[: self.states]:
            if state.ndim != 2 or state.shape[0] != batch:
                raise RuntimeError(
                    f"Expected hidden size [{batch}, {w.shape[1]}] for each layer, got "
                    f"{list(state.shape)}"
                )
        h = metas[0]
        if x.shape[1] != w.shape[0] or h.shape[1] != w.shape[1]:
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({batch}x{h.shape[1]} and "
                f"{w.shape[1]}x{w.shape[0]})"
            )

    def _backward_rule(self, g: Meta, *given: Any) -> tuple[tuple, dict]:
        *metas, steps = given
        inputs = metas[self.states : len(metas) - self.kept]
        gates = inputs[self.states].shape[0]
        return (meta_of((g.shape[0], gates), g.dtype, g.device), *inputs), {"steps": steps}

    def _vjp(self, g: tuple, *saved: Any) -> Any:
        *tensors, steps = saved
        count = len(tensors) - self.kept
        inputs, kept = tensors[:count], tensors[count:]
        seeds = g[: 1 + self.states]
        if local.trace.grad:
            return descend(lambda *copies: self.composed(copies, steps), inputs, seeds)
        results = (kept[0], *inputs[1 : 1 + self.states])
        seeds = tuple([constant(t._meta, 0) if s is None else s for s, t in zip(seeds, results)])
        operands = (*seeds, *inputs[1:], *[t.detach() for t in kept])
        return apply(self.backward, operands, (steps,))

    def composed(self, tensors: tuple, steps: Steps) -> tuple:
        """What the layer means: the cell, step after step."""
        x, states, weights = tensors[0], tensors[1 : 1 + self.states], tensors[1 + self.states :]
        outs = {}
        for s, n in steps:
            new = self.cell(x[s : s + n], *[t[:n] for t in states], *weights)
            outs[s] = new[0]
            states = tuple([cat([a, t[n:]]) for a, t in zip(new, states)])
        return cat([outs[s] for s, _ in sorted(steps)]), *states


def _in_single(fn: Callable) -> Callable:
    """An implementation whose half-precision operands are computed on in float32, rounded once."""

    def impl(xp: Any, *arrays: Any, steps: Steps) -> tuple:
        kind = arrays[0].dtype
        results = fn(*[wide(a) for a in arrays], steps)
        return tuple([r.astype(kind, copy=False) for r in results])

    return impl


def _logistic(minus_x: Any) -> None:
    """1 / (1 + exp(-x)), over -x."""
    np.exp(minus_x, out=minus_x)
    minus_x += 1
    np.reciprocal(minus_x, out=minus_x)


# ---- Elman's network: h' = f(x + W h)


def _elman_forward(step: Callable) -> Callable:
    def forward(x: Any, h: Any, w: Any, steps: Steps) -> tuple:
        h, out, turned = h.copy(), np.empty((len(x), h.shape[1]), x.dtype), w.T
        before = np.empty_like(out)
        for s, n in steps:
            before[s : s + n] = h[:n]
            row = np.matmul(h[:n], turned, out=out[s : s + n])
            row += x[s : s + n]
            h[:n] = step(row, row)
        return out, h, before

    return forward


def _elman_backward(slope: Callable) -> Callable:
    def backward(g: Any, g_h: Any, h: Any, w: Any, out: Any, before: Any, steps: Steps) -> tuple:
        dx, dh = slope(out), g_h.copy()  # the slopes become, row by row, the gradients of x
        for s, n in reversed(steps):
            part, row = dh[:n], dx[s : s + n]
            part += g[s : s + n]
            row *= part
            np.matmul(row, w, out=part)
        return dx, dh, dx.T @ before

    return backward


def _elman(
    name: str, step: Callable, slope: Callable, cell: Callable, native: Callable
) -> Recurrence:
    return Recurrence(
        f"rnn_{name}", ("h",), ("w",), (), _elman_forward(step), _elman_backward(slope),
        lambda x, h, w: (cell(x + h @ w.t()),),
        (unrolled.elman_forward(native), unrolled.elman_backward(slope)),
    )  # fmt: skip


RNN_TANH = _elman(
    "tanh", np.tanh, lambda out: 1 - out * out, lambda z: z.tanh(), lambda xp, z: xp.tanh(z)
)
RNN_RELU = _elman(
    "relu",
    lambda z, out: np.maximum(0, z, out=out),
    lambda out: (out > 0).astype(out.dtype),
    lambda z: z.relu(),
    lambda xp, z: xp.maximum(0, z),
)


# ---- LSTM: i, f, g, o of x + W h; c' = f c + i g; h' = o tanh(c'), perhaps projected
# kept: the gates, c before every step, tanh(c')


def _gates(kept: Any, s: int, n: int, size: int) -> Any:
    """What is kept of one step's gates, (k, n, size): each gate's numbers side by side.

    A window of `kept`, which is contiguous.
    """
    k = kept.shape[1] // size
    return kept.reshape(-1)[k * size * s : k * size * (s + n)].reshape(k, n, size)


def _by_gate(rows: Any, size: int) -> Any:
    """Rows of gates (n, k size), seen as (k, n, size)."""
    return rows.reshape(len(rows), -1, size).swapaxes(0, 1)


def _lstm_weights(w: Any, size: int) -> Any:
    """W for gates in the order -i, -f, -o, g, so that one call serves the logistic ones."""
    i_f, g, o = w[: 2 * size], w[2 * size : 3 * size], w[3 * size :]
    return np.ascontiguousarray(np.concatenate([-i_f, -o, g]).T)


def _lstm_forward(x: Any, h: Any, c: Any, w: Any, *rest: Any) -> tuple:
    *p, steps = rest
    batch, size = c.shape
    whole, turned = all(n == batch for _, n in steps), _lstm_weights(w, size)
    out, gates = np.empty((len(x), h.shape[1]), x.dtype), np.empty(x.shape, x.dtype)
    cells, bent = np.empty((len(x), size), x.dtype), np.empty((len(x), size), x.dtype)
    before = np.empty_like(out)
    h, c, product = h.copy(), c.copy(), np.empty((batch, 4 * size), x.dtype)
    for s, n in steps:
        a, given = _gates(gates, s, n, size), _by_gate(x[s : s + n], size)
        inner = _by_gate(np.matmul(h[:n], turned, out=product[:n]), size)
        np.subtract(inner[:2], given[:2], out=a[:2])
        np.subtract(inner[2], given[3], out=a[2])
        np.add(inner[3], given[2], out=a[3])
        _logistic(a[:3])
        i, f, o, g = a
        np.tanh(g, out=g)
        cell, tanh, new = c[:n], bent[s : s + n], out[s : s + n]
        cells[s : s + n], before[s : s + n] = cell, h[:n]
        cell *= f
        cell += np.multiply(i, g, out=tanh)
        np.tanh(cell, out=tanh)
        if p:
            np.matmul(o * tanh, p[0].T, out=new)
        else:
            np.multiply(o, tanh, out=new)
        if whole:
            h = new
        else:
            h[:n] = new
    return out, h.copy(), c, gates, cells, bent, before


def _lstm_backward(g: Any, g_h: Any, g_c: Any, h: Any, c: Any, w: Any, *rest: Any) -> tuple:
    *p, out, gates, cells, bent, before, steps = rest
    size = c.shape[1]
    dx = np.empty(gates.shape, gates.dtype)
    dh, dc = g_h.copy(), g_c.copy()
    sent = np.empty_like(out) if p else None
    work = np.empty((5, len(c), size), g.dtype)
    for s, n in reversed(steps):
        part, cell, tanh = dh[:n], dc[:n], bent[s : s + n]
        a, d = _gates(gates, s, n, size), work[:, :n]
        i, f, o, new = a
        part += g[s : s + n]
        full = part
        if sent is not None:
            sent[s : s + n] = part
            full = np.matmul(part, p[0])
        through = np.multiply(tanh, tanh, out=d[4])  # from h' to c': o (1 - tanh(c')^2)
        np.subtract(1, through, out=through)
        through *= o
        through *= full
        cell += through
        np.multiply(a[:3], a[:3], out=d[:3])  # i, f, o: times 1 - themselves
        np.subtract(a[:3], d[:3], out=d[:3])
        d[0] *= new
        d[1] *= cells[s : s + n]
        d[2] *= tanh
        d[2] *= full
        np.multiply(new, new, out=d[3])
        np.subtract(1, d[3], out=d[3])
        d[3] *= i
        d[:2] *= cell
        d[3] *= cell
        row = _by_gate(dx[s : s + n], size)
        row[:2], row[2], row[3] = d[:2], d[3], d[2]
        cell *= f
        np.matmul(dx[s : s + n], w, out=part)
    by_weights = [dx.T @ before]
    if sent is not None:
        hidden = np.empty_like(cells)
        for s, n in steps:
            hidden[s : s + n] = _gates(gates, s, n, size)[2] * bent[s : s + n]
        by_weights.append(sent.T @ hidden)
    return dx, dh, dc, *by_weights


def _lstm_cell(x: Any, h: Any, c: Any, w: Any, p: Any = None) -> tuple:
    i, f, g, o = (x + h @ w.t()).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if p is None else h @ p.t()), c


_LSTM = (
    (4, 1, 1), _lstm_forward, _lstm_backward, _lstm_cell,
    (unrolled.lstm_forward, unrolled.lstm_backward),
)  # fmt: skip
LSTM = Recurrence("lstm", ("h", "c"), ("w",), *_LSTM)
LSTM_PROJECTED = Recurrence("lstm_projected", ("h", "c"), ("w", "p"), *_LSTM)


# ---- GRU: r, z of x + W h + b; n = tanh(x_n + r (W_n h + b_n)); h' = n + z (h - n)


def _gru_forward(x: Any, h: Any, w: Any, b: Any, steps: Steps) -> tuple:
    batch, size = h.shape
    whole, turned = all(n == batch for _, n in steps), np.ascontiguousarray(w.T)
    out = np.empty((len(x), size), x.dtype)
    kept = np.empty((len(x), 4 * size), x.dtype)  # r, z, n and what r lets through
    h, product, before = h.copy(), np.empty((batch, 3 * size), x.dtype), np.empty_like(out)
    for s, n in steps:
        before[s : s + n] = h[:n]
        a, given = _gates(kept, s, n, size), _by_gate(x[s : s + n], size)
        inner = np.matmul(h[:n], turned, out=product[:n])
        inner += b
        inner = _by_gate(inner, size)
        np.add(inner[:2], given[:2], out=a[:2])
        np.negative(a[:2], out=a[:2])
        _logistic(a[:2])
        r, z, new, let = a
        let[...] = inner[2]
        np.multiply(r, let, out=new)
        new += given[2]
        np.tanh(new, out=new)
        state = np.subtract(h[:n], new, out=out[s : s + n])
        state *= z
        state += new
        if whole:
            h = state
        else:
            h[:n] = state
    return out, h.copy(), kept, before


def _gru_backward(g: Any, g_h: Any, h: Any, w: Any, b: Any, *rest: Any) -> tuple:
    out, kept, before, steps = rest
    size = h.shape[1]
    dh, dx = g_h.copy(), np.empty((len(out), 3 * size), out.dtype)
    inner = np.empty_like(dx)  # by W h + b, where n's part goes through r
    work = np.empty((3, len(h), size), g.dtype)
    for s, n in reversed(steps):
        part, d = dh[:n], work[:, :n]
        a = _gates(kept, s, n, size)
        r, z, new, let = a
        part += g[s : s + n]
        np.multiply(new, new, out=d[2])  # by n: (1 - z) (1 - n^2)
        np.subtract(1, d[2], out=d[2])
        d[2] *= 1 - z
        d[2] *= part
        np.multiply(a[:2], a[:2], out=d[:2])  # r and z: times 1 - themselves
        np.subtract(a[:2], d[:2], out=d[:2])
        d[0] *= let
        d[0] *= d[2]
        d[1] *= before[s : s + n] - new
        d[1] *= part
        _by_gate(dx[s : s + n], size)[...] = d
        d[2] *= r
        rows = inner[s : s + n]
        _by_gate(rows, size)[...] = d
        part *= z
        part += rows @ w
    return dx, dh, inner.T @ before, inner.sum(0)


def _gru_cell(x: Any, h: Any, w: Any, b: Any) -> tuple:
    x_r, x_z, x_n = x.chunk(3, 1)
    h_r, h_z, h_n = (h @ w.t() + b).chunk(3, 1)
    z = (x_z + h_z).sigmoid()
    n = (x_n + (x_r + h_r).sigmoid() * h_n).tanh()
    return (n + z * (h - n),)


GRU = Recurrence(
    "gru", ("h",), ("w", "b"), (4,), _gru_forward, _gru_backward, _gru_cell,
    (unrolled.gru_forward, unrolled.gru_backward),
)  # fmt: skip
