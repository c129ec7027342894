"""Recurrent networks and their cells."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import bital.torch as torch
from bital.torch.nn import init
from bital.torch.nn.modules.module import Module
from bital.torch.nn.parameter import Parameter
from bital.torch.nn.utils.rnn import PackedSequence

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS = {
    "LSTM": "lstm",
    "GRU": "gru",
    "RNN_TANH": "rnn_tanh",
    "RNN_RELU": "rnn_relu",
}


def apply_permutation(tensor: Any, permutation: Any, dim: int = 1) -> Any:
    """An older name of `tensor.index_select(dim, permutation)`."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use `tensor.index_select(dim, permutation)` "
        "instead",
        FutureWarning,
        stacklevel=2,
    )
    return tensor.index_select(dim, permutation)


def _permuted(state: Any, permutation: Any) -> Any:
    """Hidden states (layers, B, H) with their sequences in another order."""
    if permutation is None:
        return state
    if isinstance(state, tuple):
        return tuple([each.index_select(1, permutation) for each in state])
    return state.index_select(1, permutation)


def _check_number(value: Any, name: str, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")


class RNNBase(Module):
    """What recurrent networks share: parameters, their names, and the ways a network is called."""

    __constants__ = [
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
        "bidirectional", "proj_size",
    ]  # fmt: skip

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_options(dropout)
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                self._make_layer(layer, suffix, {"device": device, "dtype": dtype})
        self.reset_parameters()

    def _check_options(self, dropout: Any) -> None:
        number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={self.num_layers}",
                stacklevel=4,
            )
        _check_number(self.bias, "bias", bool)
        _check_number(self.batch_first, "batch_first", bool)
        for name in ("input_size", "hidden_size"):
            _check_number(getattr(self, name), name, int)
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + self.mode)

    def _make_layer(self, layer: int, suffix: str, kind: dict) -> None:
        """One layer's parameters for one direction, not yet drawn."""
        gates, out = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        size = self.input_size if layer == 0 else out * (1 + self.bidirectional)
        shapes: dict[str, Any] = {"weight_ih": (gates, size), "weight_hh": (gates, out)}
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = {name: f"{name}_l{layer}{suffix}" for name in shapes}
        for name, shape in shapes.items():
            setattr(self, names[name], Parameter(torch.empty(shape, **kind)))
        self._all_weights.append(list(names.values()))

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly between -+ 1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: it rearranges memory for cuDNN."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list:
        return [getattr(self, name) for names in self._all_weights for name in names]

    def __getstate__(self) -> dict:
        """What is pickled: also the lists that PyTorch's class keeps, so that it can load it."""
        names = [name for names in self._all_weights for name in names]
        return self.__dict__ | {"_flat_weights_names": names, "_flat_weights": self._flat_weights}

    def __setstate__(self, state: dict) -> None:
        lists = ("_flat_weights_names", "_flat_weights")
        super().__setstate__({name: each for name, each in state.items() if name not in lists})

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False,
        }  # fmt: skip
        parts += [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return ", ".join(parts)

    def check_input(self, input: Any, batch_sizes: Any) -> None:
        """Raise where the input's dtype or shape does not fit the network."""
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype is not weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        wanted = 3 if batch_sizes is None else 2
        if input.dim() != wanted:
            raise RuntimeError(f"input must have {wanted} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.size(-1)}"
            )

    def _state_sizes(self, input: Any, batch_sizes: Any) -> list[tuple[int, int, int]]:
        """What sizes the hidden states must have for this input."""
        if batch_sizes is None:
            batch = input.size(0 if self.batch_first else 1)
        else:
            batch = int(batch_sizes[0])
        layers = self.num_layers * (1 + self.bidirectional)
        widths = [self.proj_size or self.hidden_size]
        if self.mode == "LSTM":
            widths.append(self.hidden_size)
        return [(layers, batch, width) for width in widths]

    def get_expected_hidden_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The size of the hidden state that goes with this input."""
        return self._state_sizes(input, batch_sizes)[0]

    def check_hidden_size(
        self, hx: Any, expected_hidden_size: tuple, msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raise RuntimeError where a hidden state has not the expected size."""
        if tuple(hx.size()) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        """Raise where the input or the hidden states do not fit the network."""
        self.check_input(input, batch_sizes)
        sizes = self._state_sizes(input, batch_sizes)
        if self.mode != "LSTM":
            self.check_hidden_size(hidden, sizes[0])
            return
        for k, size in enumerate(sizes):
            self.check_hidden_size(hidden[k], size, f"Expected hidden[{k}] size {{}}, got {{}}")

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        """The hidden states with their sequences in another order."""
        return _permuted(hx, permutation)

    def forward(self, input: Any, hx: Any = None) -> tuple:
        """(out, last states), a PackedSequence where the input is one."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            kind = "LSTM" if self.mode == "LSTM" else self.mode.partition("_")[0]
            tensor = "" if self.mode == "LSTM" else " tensor"
            raise ValueError(
                f"{kind}: Expected input to be 2D or 3D, got {input.dim()}D{tensor} instead"
            )
        batched, axis = input.dim() == 3, 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(axis)
        hx = self._given_states(input, hx, batched)
        self.check_forward_args(input, hx, None)
        out, *last = getattr(torch, _FUNCTIONS[self.mode])(
            input, hx, self._flat_weights, self.bias, self.num_layers, self.dropout, self.training,
            self.bidirectional, self.batch_first,
        )  # fmt: skip
        if not batched:
            out, last = out.squeeze(axis), [each.squeeze(1) for each in last]
        return out, tuple(last) if self.mode == "LSTM" else last[0]

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple:
        data, sizes, order, inverse = input
        hx = self._zeros(data, sizes) if hx is None else _permuted(hx, order)
        self.check_forward_args(data, hx, sizes)
        out, *last = getattr(torch, _FUNCTIONS[self.mode])(
            data, sizes, hx, self._flat_weights, self.bias, self.num_layers, self.dropout,
            self.training, self.bidirectional,
        )  # fmt: skip
        state = tuple(last) if self.mode == "LSTM" else last[0]
        return PackedSequence(out, sizes, order, inverse), _permuted(state, inverse)

    def _zeros(self, input: Any, batch_sizes: Any) -> Any:
        made = [
            torch.zeros(*size, dtype=input.dtype, device=input.device)
            for size in self._state_sizes(input, batch_sizes)
        ]
        return tuple(made) if self.mode == "LSTM" else made[0]

    def _given_states(self, input: Any, hx: Any, batched: bool) -> Any:
        """The user's first states as (layers, B, H), zeros where there are none."""
        if hx is None:
            return self._zeros(input, None)
        states = tuple(hx) if self.mode == "LSTM" else (hx,)
        dims, wanted = [each.dim() for each in states], 3 if batched else 2
        if any(dim != wanted for dim in dims):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            got = f"{dims[0]}-D tensor"
            words = "hx"
            if self.mode == "LSTM":
                words, got = "hx and cx", f"({', '.join(f'{dim}-D' for dim in dims)}) tensors"
            raise RuntimeError(f"For {kind} input, {words} should also be {wanted}-D but got {got}")
        if batched:
            return hx
        return tuple([s.unsqueeze(1) for s in states]) if self.mode == "LSTM" else hx.unsqueeze(1)


class RNN(RNNBase):
    """Elman's network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or `nonlinearity="relu"`.

    RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
    dropout=0.0, bidirectional=False, device=None, dtype=None). Input (T, B, I), (B, T, I) with
    `batch_first`, (T, I) or packed; hx (layers * directions, B, H). Returns (output, h_n).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory.

    LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, proj_size=0, device=None, dtype=None). With gates i, f, g, o of
    W_ih x + b_ih + W_hh h + b_hh: c' = f c + i g, h' = o tanh(c'), times `weight_hr` where
    `proj_size` > 0. Returns (output, (h_n, c_n)).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The size of the cell state that goes with this input."""
        return self._state_sizes(input, batch_sizes)[1]


class GRU(RNNBase):
    """Gated recurrent units.

    GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, device=None, dtype=None). r and z are logistic gates of x and h;
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h. Returns (output, h_n).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What cells share: weights of input and hidden state for `num_chunks` gates."""

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(torch.empty((gates, input_size), **kind))
        self.weight_hh = Parameter(torch.empty((gates, hidden_size), **kind))
        for name in ("bias_ih", "bias_hh"):
            drawn = Parameter(torch.empty(gates, **kind)) if bias else None
            self.register_parameter(name, drawn)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly between -+ 1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _step(self, function: Any, input: Any, states: tuple | None, count: int) -> tuple:
        """One step from `count` states, of a batch or of a single vector."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for k, state in enumerate(states or ()):
            if state.dim() not in (1, 2):
                which = "hidden" if count == 1 else f"hx[{k}]"
                raise ValueError(
                    f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead"
                )
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if states is None:
            zeros = torch.zeros(x.size(0), self.hidden_size, dtype=x.dtype, device=x.device)
            states = (zeros,) * count
        elif not batched:
            states = tuple([state.unsqueeze(0) for state in states])
        hx = states[0] if count == 1 else states
        out = function(x, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        outs = (out,) if count == 1 else out
        return outs if batched else tuple([each.squeeze(0) for each in outs])


class RNNCell(RNNCellBase):
    """One step of Elman's network: x (B, I) or (I), h (B, H) or (H) -> h."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        functions = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}
        if self.nonlinearity not in functions:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        states = None if hx is None else (hx,)
        return self._step(functions[self.nonlinearity], input, states, 1)[0]


class LSTMCell(RNNCellBase):
    """One step of LSTM: x (B, I) or (I), hx = (h, c) -> (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple:
        return self._step(torch.lstm_cell, input, None if hx is None else tuple(hx), 2)


class GRUCell(RNNCellBase):
    """One step of GRU: x (B, I) or (I), h (B, H) or (H) -> h."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(torch.gru_cell, input, None if hx is None else (hx,), 1)[0]
