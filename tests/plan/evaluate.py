"""What a graph means: its nodes computed by NumPy, one by one, in the plainest way.

The compiler is held against this, and this against the instructions' own results.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bital.ops.avg_pool import _average, _spread
from bital.ops.convolve import Taps, correlate, spread, weigh
from bital.ops.max_pool import _to_winners, _values
from bital.ops.pooling import Windows
from bital.plan.node import DTYPES, Node
from bital.plan.spatial import Conv, Mean, Pool


def _rows(node: Node, values: np.ndarray, numbers: np.ndarray, *more: Any) -> np.ndarray:
    *base, how = more
    out = base[0].copy() if base else np.zeros(node.shape, values.dtype)
    for row, number in zip(values, numbers):
        assert 0 <= number < len(out), "a row that is not there"
        out[number] = row if how is None else WORDS[how](out[number], row)
    return out


def _scan(node: Node, x: np.ndarray, *more: Any) -> np.ndarray:
    *factor, how, reverse = more
    out, steps = np.empty_like(x), range(x.shape[1])
    total = x[:, -1 if reverse else 0].astype(np.float64 if x.dtype.kind == "f" else x.dtype)
    for k in reversed(steps) if reverse else steps:
        if k != (steps[-1] if reverse else 0):
            total = {
                "sum": lambda t, k: t + x[:, k],
                "prod": lambda t, k: t * x[:, k],
                "recur": lambda t, k: x[:, k] + factor[0][:, k] * t,
            }[how](total, k)
        out[:, k] = total
    return out


def _steps(node: Node, *args: Any) -> list[np.ndarray]:
    """The results of all steps, and the states that the last one leaves."""
    *operands, cell, shapes = args
    step = cell.step(cell.rows)
    found = [np.empty(shape, operands[cell.sequences].dtype) for shape in shapes]
    moving, states = operands[: cell.sequences], operands[cell.sequences :]
    for k in range(cell.steps)[:: -1 if cell.reverse else 1]:
        evaluate = Evaluator([*[x[k] for x in moving], *states], [])
        for place, parts in zip(found, step.results):
            place[k] = np.stack([evaluate(n) for n in parts]).reshape(place[k].shape)
        states[: cell.states] = [evaluate(n) for n in step.states]
    found[len(step.results) :] = states[: cell.states]
    return found


def _taps(c: Conv) -> Taps:
    return Taps(c.kernel, c.stride, c.padding, c.dilation, c.groups)


def _with_rows(x: np.ndarray) -> np.ndarray:
    """(n, c, length) with rows of their own."""
    return x if x.ndim == 4 else x[:, :, None]


def _windows(p: Pool) -> tuple[Windows, ...]:
    fields = (p.size, p.out, p.kernel, p.stride, p.padding, p.dilation)
    return tuple([Windows(*[f[k] for f in fields]) for k in (0, 1)])


def _mean(m: Mean) -> dict[str, Any]:
    return {"with_padding": m.with_padding, "divisor": m.divisor}


def _of(function: Callable) -> Callable:
    """A function of the operands and of what the node carries; one axis has rows of its own."""
    return lambda node, *args: np.reshape(function(*args), node.shape)


#: special word -> what it means
_SPECIAL: dict[str, Callable] = {
    "put_rows": _rows, "scan": _scan, "steps": _steps,
    "convolution": _of(
        lambda x, w, c: correlate(np, _with_rows(x), _with_rows(w), _taps(c), c.out)
    ),
    "convolution_backward_input": _of(
        lambda g, w, c: spread(np, _with_rows(g), _with_rows(w), _taps(c), c.size)
    ),
    "convolution_backward_weight": _of(
        lambda g, x, c: weigh(np, _with_rows(x), _with_rows(g), _taps(c))
    ),
    "max_pool": _of(lambda x, p: _values(np, x, axes=_windows(p))),
    "max_pool_backward": _of(
        lambda g, x, peak, p: _to_winners(np, g, x, peak, axes=_windows(p))
    ),
    "mean_pool": _of(lambda x, p, m: _average(np, x, axes=_windows(p), **_mean(m))),
    "mean_pool_backward": _of(lambda g, p, m: _spread(np, g, axes=_windows(p), **_mean(m))),
}  # fmt: skip


def _erf(name: str) -> Callable:
    def call(x: np.ndarray) -> np.ndarray:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return call


def _shift(word: np.ufunc) -> Callable:
    def call(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        bits = 8 * x.dtype.itemsize
        assert ((by >= 0) & (by < bits)).all(), "a shift by all bits or more is undefined"
        return word(x, by)

    return call


def _divide(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "f":
        return np.true_divide(x, y)
    assert (y != 0).all(), "a division by 0 is undefined"
    quotient = np.abs(x) // np.abs(y)
    return np.where((x < 0) != (y < 0), -quotient, quotient)


#: scalar word -> what it means for arrays of one kind
WORDS: dict[str, Callable] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _divide,
    "neg": np.negative, "abs": np.absolute, "maximum": np.maximum, "minimum": np.minimum,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "both": np.bitwise_and, "either": np.bitwise_or,
    "xor": np.bitwise_xor, "invert": np.invert, "select": np.where, "copy": np.copy,
    "shl": _shift(np.left_shift), "shr": _shift(np.right_shift),
    "erf": _erf("erf"), "erfc": _erf("erfc"), "erfinv": _erf("erfinv"), "sigmoid": _erf("expit"),
}  # fmt: skip
_REDUCTIONS = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "any": np.logical_or, "all": np.logical_and,
}  # fmt: skip


class Evaluator:
    """The values of nodes for given inputs and run-time scalars."""

    def __init__(self, arrays: list[np.ndarray], params: list[Any]) -> None:
        self.arrays, self.params = arrays, params
        self.known: dict[Node, Any] = {}

    def __call__(self, node: Node) -> Any:
        if node not in self.known:
            args = [self(i) for i in node.inputs]
            with np.errstate(all="ignore"):
                value = getattr(self, f"_{node.word}")(node, *args)
            if node.kind in DTYPES:
                value = np.asarray(value)
                assert value.dtype == DTYPES[node.kind], (node, value.dtype)
                assert value.shape == node.shape, (node, value.shape)
            self.known[node] = value
        return self.known[node]

    def _input(self, node: Node) -> np.ndarray:
        return self.arrays[node.attrs[0]]

    def _param(self, node: Node) -> np.ndarray:
        return np.asarray(self.params[node.attrs[0]], DTYPES[node.kind])

    def _scalar(self, node: Node) -> Any:
        return self.params[node.attrs[0]]

    def _constant(self, node: Node) -> np.ndarray:
        return np.frombuffer(node.attrs[0], DTYPES[node.kind])[0]

    def _iota(self, node: Node) -> np.ndarray:
        return np.arange(node.shape[0])

    def _map(self, node: Node, *args: np.ndarray) -> np.ndarray:
        word, *more = node.attrs
        if word == "cast":
            return args[0].astype(DTYPES[node.kind])
        result = (WORDS.get(word) or getattr(np, word))(*args, *more)
        return np.broadcast_to(result, node.shape)

    def _reduce(self, node: Node, x: np.ndarray) -> np.ndarray:
        how, axes = node.attrs
        if how in ("any", "all"):
            return _REDUCTIONS[how].reduce(x, axis=axes, keepdims=True)
        return _REDUCTIONS[how].reduce(x, axis=axes, dtype=x.dtype, keepdims=True)

    def _axes(self, node: Node, x: np.ndarray) -> np.ndarray:
        (mapping,) = node.attrs
        shown = [m for m in mapping if m is not None]
        dropped = tuple(k for k in range(x.ndim) if k not in shown)
        assert all(x.shape[k] == 1 for k in dropped), node
        order = [*shown, *dropped]
        x = x.transpose(order).reshape([x.shape[k] for k in shown])
        sizes = iter(x.shape)
        x = x.reshape([1 if m is None else next(sizes) for m in mapping])
        return np.broadcast_to(x, node.shape)

    def _reshape(self, node: Node, x: np.ndarray) -> np.ndarray:
        return x.reshape(node.shape)

    def _window(self, node: Node, x: np.ndarray, moved: Any = 0) -> np.ndarray:
        strides, offset = node.attrs
        flat = np.ascontiguousarray(x).reshape(-1)
        return _strided(flat, node.shape, strides, offset + int(moved)).copy()

    def _write(self, node: Node, x: np.ndarray, value: np.ndarray, moved: Any = 0) -> np.ndarray:
        strides, offset = node.attrs
        out = np.array(x, order="C").reshape(-1)
        _strided(out, value.shape, strides, offset + int(moved))[...] = value
        return out.reshape(x.shape)

    def _concat(self, node: Node, *parts: np.ndarray) -> np.ndarray:
        return np.concatenate(parts, node.attrs[0])

    def _take(self, node: Node, x: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return x[numbers]

    def _product(self, node: Node, *factors: np.ndarray) -> np.ndarray:
        seen = [f.swapaxes(-1, -2) if node.attrs[k % 2] else f for k, f in enumerate(factors)]
        return sum(map(np.matmul, seen[2::2], seen[3::2]), np.matmul(*seen[:2]))

    def _special(self, node: Node, *args: np.ndarray) -> Any:
        name, *attrs = node.attrs
        return _SPECIAL[name](node, *args, *attrs)

    def _opaque(self, node: Node, *args: Any) -> Any:
        return node.attrs[0].fn(*args)

    def _pick(self, node: Node, whole: tuple) -> Any:
        return whole[node.attrs[0]]


def _strided(flat: np.ndarray, shape: tuple, strides: tuple, offset: int) -> np.ndarray:
    """A window of a flat array, which it must not leave."""
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    reach = [s * (n - 1) for n, s in zip(shape, strides)]
    first, last = (offset + sum(pick(r, 0) for r in reach) for pick in (min, max))
    assert 0 <= first <= last < flat.size, (shape, strides, offset, flat.size)
    return as_strided(flat[offset:], shape, [s * flat.itemsize for s in strides])
