"""PyTorch's table of optimizers: ten steps with every option, their state, and what they refuse.

A program of two parameter groups is run under both libraries from the same numbers; after every
step parameters and `state_dict` are compared. Then a state goes from PyTorch to bital and back.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

from bital import torch as bital
from tests.parity.databases.entry import Entry
from tests.parity.databases.translate import Missing, Translator
from tests.tolerance import MUON_STEP, difference, limits

STEPS = 10
DTYPES = ("float32", "float64")


def entries() -> dict[str, Entry]:
    """Every entry of the table, in its order."""
    return {info.optim_cls.__name__: _entry(info) for info in optim_db}


def _entry(info: Any) -> Entry:
    name = info.optim_cls.__name__

    def values(dtypes: tuple[str, ...] | None) -> list[str]:
        return [line for d in dtypes or DTYPES for line in _differences(info, d)]

    def errors() -> list[str | None]:
        inputs = info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
        return [_refusal(name, each) for each in inputs]

    return Entry(name, "optim", values, errors)


def _options(info: Any) -> Iterator[dict[str, Any]]:
    """The options of the table, and each again with the implementations that PyTorch has."""
    for given in info.optim_inputs_func(device="cpu"):
        yield given.kwargs
        for word in ("foreach", "differentiable"):
            rate = isinstance(given.kwargs.get("lr"), torch.Tensor)
            if word in info.supported_impls and not rate:
                yield {**given.kwargs, word: True}
        if "cpu" in info.supports_fused_on:
            yield {**given.kwargs, "fused": True}


class _Program:
    """Parameters with a loss of their own, and an optimizer of them, under one library."""

    def __init__(self, lib: Any, name: str, dtype: str, options: dict[str, Any]) -> None:
        self.lib, self.options = lib, options
        kind = getattr(lib, dtype)
        shapes = [(3, 4), (2, 5)] if name == "Muon" else [(3, 4), (5,), ()]
        rng = np.random.default_rng(1)
        leaves = [lib.tensor(rng.normal(size=s).tolist(), dtype=kind) for s in shapes]
        self.targets = [lib.tensor(rng.normal(size=s).tolist(), dtype=kind) for s in shapes]
        self.leaves = [p.requires_grad_() for p in leaves]
        plain = not options.get("differentiable")
        self.params = self.leaves if plain else [p.clone() for p in self.leaves]
        if name == "SparseAdam":
            self.params = self.leaves[:1]
        self.opt = self.make(name)

    def make(self, name: str) -> Any:
        groups: Any = [{"params": self.params[:1]}, {"params": self.params[1:], "lr": 0.02}]
        cls = getattr(self.lib.optim, name)
        whole = name in ("LBFGS", "SparseAdam")
        return cls(self.params if whole else groups, **self.options)

    def closure(self) -> Any:
        lib = self.lib
        self.opt.zero_grad()
        params = [p.detach().requires_grad_() for p in self.params]
        far = [(p - t) ** 2 + (p / 2).sin() for p, t in zip(params, self.targets, strict=False)]
        loss = sum(each.sum() for each in far)
        loss.backward()
        for p, copied in zip(self.params, params, strict=True):
            p.grad = copied.grad
            if type(self.opt).__name__ == "SparseAdam":
                p.grad = p.grad.to_sparse()
        with lib.no_grad():
            return loss.detach()

    def step(self) -> None:
        if type(self.opt).__name__ == "LBFGS":
            self.opt.step(self.closure)
        else:
            self.closure()
            self.opt.step()

    def look(self) -> dict[str, Any]:
        """The parameters and the state, tensors as arrays with their dtype."""
        state = self.opt.state_dict()
        if type(self.opt).__name__ == "LBFGS" and self.params[0].dtype is self.lib.float32:
            # its history is of differences of nearly equal gradients, which are mostly rounding
            state["state"] = {key: list(value) for key, value in state["state"].items()}
        return {"params": _plain(list(self.params)), **{k: _plain(state[k]) for k in state}}


@dataclass(frozen=True)
class _Slack:
    """How much more than rounding may lie between two results.

    absolute  of Muon, whose updates pass through bfloat16
    single    tensors of float64 depend on numbers that PyTorch keeps in float32
    """

    absolute: float = 0.0
    single: bool = False

    @classmethod
    def of(cls, program: _Program, steps: int) -> _Slack:
        single = any(program.options.get(k) for k in ("foreach", "fused", "differentiable"))
        single |= isinstance(program.options.get("lr"), torch.Tensor)
        if type(program.opt).__name__ != "Muon":
            return cls(0.0, single)
        rates = [float(group["lr"]) for group in program.opt.param_groups]
        return cls(MUON_STEP * max(rates) * steps, single)


def _plain(x: Any) -> Any:
    if isinstance(x, (torch.Tensor, bital.Tensor)):
        return str(x.dtype), np.array(x.detach().numpy())
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    return x


def _compare(ours: Any, theirs: Any, where: str, slack: _Slack) -> Iterator[str]:
    """A line for every difference."""
    if isinstance(theirs, tuple):
        if not isinstance(ours, tuple) or ours[0] != theirs[0]:
            yield f"{where}: {ours!r} for {theirs!r}"
            return
        if ours[1].shape != theirs[1].shape:
            yield f"{where}: shape {ours[1].shape} for {theirs[1].shape}"
            return
        dtype = "float32" if slack.single else theirs[0].removeprefix("torch.")
        rtol, atol = limits(dtype, order=2)
        wrong = difference(ours[1], theirs[1], rtol, max(atol, slack.absolute))
        if wrong:
            yield f"{where}: {wrong}"
    elif isinstance(theirs, dict):
        if list(ours) != list(theirs):
            yield f"{where}: keys {list(ours)} for {list(theirs)}"
            return
        for key in theirs:
            yield from _compare(ours[key], theirs[key], f"{where}[{key!r}]", slack)
    elif isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{where}: {len(ours)} items for {len(theirs)}"
            return
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            yield from _compare(a, b, f"{where}[{i}]", slack)
    elif isinstance(theirs, float) and isinstance(ours, float):
        rtol, atol = limits("float32", order=2)
        wrong = difference(np.array(ours), np.array(theirs), rtol, atol)
        if wrong:
            yield f"{where}: {wrong}"
    elif ours != theirs:
        yield f"{where}: {ours!r} for {theirs!r}"


def _differences(info: Any, dtype: str) -> list[str]:
    name = info.optim_cls.__name__
    lines = []
    for options in _options(info):
        said = ", ".join(f"{k}={v}" for k, v in options.items()) or "defaults"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = list(_run(name, dtype, options))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        lines += [f"{dtype}, {said}: {line}" for line in found[:3]]
    return lines


def _run(name: str, dtype: str, options: dict[str, Any]) -> Iterator[str]:
    theirs = _Program(torch, name, dtype, copy.deepcopy(options))
    ours = _Program(bital, name, dtype, Translator()(copy.deepcopy(options)))
    for count in range(1, STEPS + 1):
        theirs.step()
        ours.step()
        slack = _Slack.of(theirs, count)
        wrong = list(_compare(ours.look(), theirs.look(), f"step {count}", slack))
        yield from wrong
        if wrong:
            return
    if not options.get("differentiable"):  # its state is no leaf, which cannot be copied
        yield from _round_trip(name, ours, theirs)


def _round_trip(name: str, ours: _Program, theirs: _Program) -> Iterator[str]:
    """A state goes from PyTorch to bital, both step, and it comes back."""
    _put(ours, theirs)
    state = Translator()(copy.deepcopy(theirs.opt.state_dict()))
    ours.opt = ours.make(name)
    ours.opt.load_state_dict(state)
    state = copy.deepcopy(theirs.opt.state_dict())
    theirs.opt = theirs.make(name)
    theirs.opt.load_state_dict(state)
    for program in (ours, theirs):
        program.step()
    slack = _Slack.of(theirs, 1)
    yield from _compare(ours.look(), theirs.look(), "loaded from PyTorch", slack)
    _put(ours, theirs)
    theirs.opt = theirs.make(name)
    theirs.opt.load_state_dict(_back(ours.opt.state_dict()))
    for program in (ours, theirs):
        program.step()
    yield from _compare(ours.look(), theirs.look(), "loaded by PyTorch", slack)


def _put(ours: _Program, theirs: _Program) -> None:
    """Give bital's parameters PyTorch's values."""
    with bital.no_grad():
        for p, q in zip(ours.params, theirs.params, strict=True):
            p.copy_(bital.from_numpy(np.array(q.detach().numpy())))


def _back(x: Any) -> Any:
    """bital's objects turned into PyTorch's."""
    if isinstance(x, bital.Tensor):
        return torch.from_numpy(np.array(x.detach().numpy()))
    if isinstance(x, dict):
        return {k: _back(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(_back(v) for v in x)
    return x


def _refusal(name: str, given: Any) -> str | None:
    """What is wrong with how bital refuses an error input, or None."""
    inputs = given.optimizer_error_input
    said = f"{inputs.desc}: "
    try:
        translate = Translator()
        params = inputs.params
        if params is None:
            params = [torch.nn.Parameter(torch.randn(1, 1))]
        ours, options = translate(params), translate(inputs.kwargs)
        for theirs, mine in list(translate.done.values()):
            if isinstance(theirs, torch.Tensor) and theirs.grad is not None:
                mine.grad = translate(theirs.grad)
    except Missing as error:
        return said + str(error)
    kind = given.error_type
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            opt = getattr(bital.optim, name)(ours, **options)
            if given.error_on is OptimizerErrorEnum.STEP_ERROR:
                opt.step()
        except Exception as error:
            if type(error) is kind:
                return None
            return f"{said}{type(error).__name__} for {kind.__name__}: {error}"
    return f"{said}accepted, PyTorch raises {kind.__name__}"
