"""Recurrent networks: torch.lstm, gru, rnn_tanh, rnn_relu and their cells; packed sequences.

Room: ops. Here layers and directions are put together; what a layer computes is in `recurrence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.ops.api import check_tensor, public
from bital.ops.create import constant
from bital.ops.dropout import dropout
from bital.ops.join import cat, stack
from bital.ops.linear import linear
from bital.ops.recurrence import (
    GRU,
    LSTM,
    LSTM_PROJECTED,
    RNN_RELU,
    RNN_TANH,
    Recurrence,
    Steps,
    steps_of,
)
from bital.tensor.tensor import Tensor

#: (rows of all steps, states, a layer's parameters, steps) -> (out, *last states)
Layer = Callable[[Tensor, tuple, tuple, Steps], tuple]


def _bias_sum(parameters: tuple) -> Any:
    """b_ih + b_hh where there are biases: both are added to the same sums."""
    return parameters[2] + parameters[3] if len(parameters) > 3 else None


def _elman(kind: Recurrence) -> Layer:
    def layer(x: Tensor, states: tuple, parameters: tuple, steps: Steps) -> tuple:
        gates = linear(x, parameters[0], _bias_sum(parameters))
        return kind((gates, *states, parameters[1]), steps)

    return layer


def _lstm_layer(x: Tensor, states: tuple, parameters: tuple, steps: Steps) -> tuple:
    gates = linear(x, parameters[0], _bias_sum(parameters))
    if len(parameters) % 2:
        return LSTM_PROJECTED((gates, *states, parameters[1], parameters[-1]), steps)
    return LSTM((gates, *states, parameters[1]), steps)


def _gru_layer(x: Tensor, states: tuple, parameters: tuple, steps: Steps) -> tuple:
    w_ih, w_hh, *biases = parameters
    b_ih, b_hh = biases or (None, constant(w_hh[:, 0]._meta, 0))
    return GRU((linear(x, w_ih, b_ih), *states, w_hh, b_hh), steps)


def _network(
    layer: Layer,
    rows: Any,
    sizes: tuple[int, ...],
    states: tuple,
    params: tuple,
    layers: int,
    drop: float,
    bidirectional: bool,
) -> tuple:
    """All layers: rows (rows, I) of steps of `sizes` -> (out, *last states of every layer)."""
    directions = 2 if bidirectional else 1
    count = len(params) // (layers * directions)
    groups = [tuple(params[k : k + count]) for k in range(0, len(params), count)]
    last = []
    for k in range(layers):
        outs = []
        for direction in range(directions):
            which = k * directions + direction
            own = tuple([s[which] for s in states])
            out, *ends = layer(rows, own, groups[which], steps_of(sizes, direction == 1))
            outs.append(out)
            last.append(ends)
        rows = outs[0] if directions == 1 else cat(outs, 1)
        if drop and k < layers - 1:
            rows = dropout(rows, drop)
    return rows, *[stack(list(ends)) for ends in zip(*last)]


_PLAIN = (
    "input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional",
    "batch_first",
)  # fmt: skip
_PACKED = ("data", "batch_sizes", *_PLAIN[1:-1])


def _run(name: str, layer: Layer, states: int, given: dict[str, Any]) -> tuple:
    """A network called in either of its two forms: for whole batches, or for packed sequences."""
    data = check_tensor(given.get("data", given.get("input")), name)
    if "data" in given:
        sizes, rows, shape = tuple(given["batch_sizes"].tolist()), data, None
    else:
        if data._meta.ndim != 3:
            raise RuntimeError(f"input must have 3 dimensions, got {data._meta.ndim}")
        x = data.transpose(0, 1) if given["batch_first"] else data
        shape = tuple(x._meta.shape)
        sizes, rows = (shape[1],) * shape[0], x.reshape(shape[0] * shape[1], shape[2])
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    hx = (given["hx"],) if states == 1 else tuple(given["hx"])
    if len(hx) != states:
        raise RuntimeError(f"{name} expects {states} hidden states")
    drop = given["dropout"] if given["train"] else 0.0
    out, *last = _network(
        layer, rows, sizes, hx, tuple(given["params"]), given["num_layers"], drop,
        given["bidirectional"],
    )  # fmt: skip
    if shape is not None:
        out = out.view(shape[0], shape[1], out._meta.shape[1])
        out = out.transpose(0, 1) if given["batch_first"] else out
    return (out, *last)


def _function(name: str, layer: Layer, states: int = 1) -> None:
    def network(*args: Any, **kwargs: Any) -> tuple:
        words = _PACKED if "data" in kwargs or isinstance(args[3], (tuple, list)) else _PLAIN
        given = dict(zip(words, args)) | kwargs
        if len(args) > len(words) or set(given) != set(words):
            raise TypeError(
                f"{name}() received an invalid combination of arguments; it takes either "
                f"({', '.join(_PLAIN)}) or ({', '.join(_PACKED)})"
            )
        return _run(name, layer, states, given)

    network.__doc__ = """A recurrent network in one call: (out, *last states).

    Either (input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first),
    input (T, B, I) or (B, T, I); or for packed sequences (data, batch_sizes, hx, params, …), data
    (rows, I). hx: (layers, B, H), for lstm a pair of them; params: those of all layers in order.
    """

    public(method=False, name=name)(network)


_function("rnn_tanh", _elman(RNN_TANH))
_function("rnn_relu", _elman(RNN_RELU))
_function("lstm", _lstm_layer, 2)
_function("gru", _gru_layer)


def _check_cell(x: Tensor, states: tuple, w_ih: Tensor, w_hh: Tensor) -> None:
    """PyTorch's errors for what does not fit a cell."""
    batch, size = x._meta.shape
    if size != w_ih._meta.shape[1]:
        raise RuntimeError(
            f"input has inconsistent input_size: got {size} expected {w_ih._meta.shape[1]}"
        )
    for k, state in enumerate(states):
        if state._meta.shape[0] != batch:
            raise RuntimeError(
                f"Input batch size {batch} doesn't match hidden{k} batch size "
                f"{state._meta.shape[0]}"
            )
        if state._meta.shape[1] != w_hh._meta.shape[1]:
            raise RuntimeError(
                f"hidden{k} has inconsistent hidden_size: got {state._meta.shape[1]}, expected "
                f"{w_hh._meta.shape[1]}"
            )


def _cell(name: str, layer: Layer, doc: str) -> None:
    def cell(
        input: Tensor,
        hx: Any,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor | None = None,
        b_hh: Tensor | None = None,
    ) -> Any:
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        _check_cell(check_tensor(input, name), states, w_ih, w_hh)
        biases = () if b_ih is None else (b_ih, b_hh)
        steps = steps_of((input._meta.shape[0],), False)
        _, *last = layer(input, states, (w_ih, w_hh, *biases), steps)
        return last[0] if isinstance(hx, Tensor) else tuple(last)

    cell.__doc__ = doc
    public(method=False, name=name)(cell)


_cell(
    "rnn_tanh_cell",
    _elman(RNN_TANH),
    "`tanh(W_ih x + b_ih + W_hh h + b_hh)` of x (B, I), h (B, H).",
)
_cell(
    "rnn_relu_cell",
    _elman(RNN_RELU),
    "`relu(W_ih x + b_ih + W_hh h + b_hh)` of x (B, I), h (B, H).",
)
_cell("lstm_cell", _lstm_layer, "One step of LSTM: x (B, I), hx = (h, c) each (B, H) -> (h, c).")
_cell("gru_cell", _gru_layer, "One step of GRU: x (B, I), h (B, H) -> h.")
