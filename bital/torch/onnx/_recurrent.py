"""Rules of the ONNX export: recurrent networks, a node per layer."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.torch.onnx._table import node, unsupported

#: the order of gates in ONNX, by their places in PyTorch's
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def _turned(weight: Any, kind: str) -> Any:
    """A weight's or bias's gates in ONNX's order."""
    gates = torch.chunk(weight, len(_GATES[kind]), 0)
    return torch.cat([gates[k] for k in _GATES[kind]], 0)


def _weights(params: list[Any], layer: int, ways: int, biased: bool, kind: str) -> list[Any]:
    """W, R and B of a layer, for each direction."""
    per = 4 if biased else 2
    found: list[list[Any]] = [[], [], []]
    for way in range(ways):
        at = (layer * ways + way) * per
        w_ih, w_hh = params[at], params[at + 1]
        found[0].append(_turned(w_ih, kind))
        found[1].append(_turned(w_hh, kind))
        if biased:
            biases = [_turned(b, kind) for b in params[at + 2 : at + 4]]
            found[2].append(torch.cat(biases))
    return [torch.stack(parts) if parts else None for parts in found]


def _network(kind: str, **attributes: Any) -> Any:
    def rule(g: Any, a: Any, out: Any) -> Any:
        given = [*a.args, *a.kwargs.values()]
        if isinstance(given[3], (list, tuple)):
            return unsupported("of packed sequences")
        x, hx, params, biased, layers, dropout, train, both, batch_first = given
        states = list(hx) if kind == "LSTM" else [hx]
        ways = 2 if both else 1
        if dropout and train:
            return unsupported("draws random numbers in training")
        if len(params) != layers * ways * (4 if biased else 2):
            return unsupported("with projections")
        got = g.op("Transpose", x, perm=[1, 0, 2]) if batch_first else g.ref(x)
        length, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
        width = states[0].shape[-1]
        finals: list[list[Any]] = [[] for _ in states]
        for layer in range(layers):
            starts = [g.op("Slice", s, [layer * ways], [(layer + 1) * ways], [0]) for s in states]
            found = g.op(
                kind, got, *_weights(list(params), layer, ways, biased, kind), None, *starts,
                results=1 + len(states), hidden_size=int(width),
                direction="bidirectional" if both else "forward", **attributes,
            )  # fmt: skip
            if "activations" in attributes and both:
                found_attributes = g.graph.nodes[-1].attributes
                found_attributes["activations"] = attributes["activations"] * 2
            turned = g.op("Transpose", found[0], perm=[0, 2, 1, 3])
            got = g.op("Reshape", turned, [length, batch, ways * width])
            for final, value in zip(finals, found[1:]):
                final.append(value)
        last = [g.op("Concat", *f, axis=0) if layers > 1 else f[0] for f in finals]
        if batch_first:
            got = g.op("Transpose", got, perm=[1, 0, 2])
        return [got, *last]

    return rule


node("lstm")(_network("LSTM"))
node("gru")(_network("GRU", linear_before_reset=1))
node("rnn_tanh")(_network("RNN", activations=["Tanh"]))
node("rnn_relu")(_network("RNN", activations=["Relu"]))
