"""Anomaly detection: which line made the first value that is not a number.

Room: autograd. While it is on, every node keeps the user's line that recorded it, and every
gradient is looked at as soon as it is computed. bital also names the line whose forward result was
the first to be non-finite, which PyTorch does not.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np

from bital.autograd import engine
from bital.base.dtype import INT
from bital.tensor.node import Node, Output, hooks, is_leaf_edge
from bital.tensor.tensor import Tensor, array_of

_state = {"enabled": False, "check_nan": True}


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return _state["enabled"]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection looks for NaN."""
    return _state["check_nan"]


def _switch(enabled: bool, check_nan: bool) -> None:
    _state["enabled"], _state["check_nan"] = enabled, check_nan
    hooks.set(keep_lines=enabled)
    engine.hooks.check = _check if enabled else None


class set_detect_anomaly:
    """Turn anomaly detection on or off: at once, and back at the end of a `with` block."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = _state["enabled"], _state["check_nan"]
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        _switch(*self.previous)


class detect_anomaly(set_detect_anomaly):
    """Inside the block, a NaN gradient is an error that names the line it comes from."""

    def __init__(self, check_nan: bool = True) -> None:
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )
        self.check_nan = check_nan
        self.previous = _state["enabled"], _state["check_nan"]

    def __enter__(self) -> None:
        self.previous = _state["enabled"], _state["check_nan"]
        _switch(True, self.check_nan)


def _check(node: Node, grads: list) -> None:
    """Raise where a gradient that `node` computed holds NaN."""
    if not _state["check_nan"]:
        return
    for k, g in enumerate(grads):
        if isinstance(g, Tensor) and g._meta.dtype.category > INT and _any(np.isnan, g):
            where = _place(_line(node))
            forward = first_non_finite(node)
            print(
                f"bital: error detected in {node.name()}, recorded at {where}.{forward}",
                file=sys.stderr,
            )
            error = RuntimeError(
                f"Function '{node.name()}' returned nan values in its {k}th output."
            )
            error.add_note(f"The operation was recorded at {where}.{forward}")
            raise error


def _any(test: Any, t: Tensor) -> bool:
    return bool(test(array_of(t)).any())


def _line(node: Node) -> tuple | None:
    return None if node.extra is None else node.extra.line


def _place(line: tuple | None) -> str:
    if line is None:
        return "a line before anomaly detection was turned on"
    return f'File "{line[0]}", line {line[1]}, in {line[2]}'


def first_non_finite(node: Node) -> str:
    """A sentence on the oldest operation below `node` that made a non-finite value, or nothing."""
    seen: set[Node] = set()
    stack: list[Node] = [node]
    oldest: tuple[int, str] | None = None
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        seen.add(each)
        stack.extend(n for n, _ in each.next_functions if n is not None)
        for maker, verb in _bad_inputs(each):
            if oldest is None or maker.number < oldest[0]:
                name = maker.name().partition("Backward")[0]
                oldest = maker.number, f"{verb} {name} at {_place(_line(maker))}"
    return f" The first non-finite value in the forward pass was {oldest[1]}." if oldest else ""


def _bad_inputs(node: Node) -> list[tuple[Node, str]]:
    """For every non-finite input of a node: what made it, or the node itself if it was given it."""
    found = []
    for edge, value in zip(node.edges, node.extra.inputs if node.extra else ()):
        if not np.isfinite(value).all():
            maker = edge.node if type(edge) is Output else edge
            if is_leaf_edge(maker):
                found.append((node, "given to"))
            else:
                found.append((maker, "made by"))
    return found


def _snapshot(tensors: tuple) -> list:
    """The values of an operation's inputs, those that can be non-finite."""
    return [array_of(t) if t._meta.dtype.category > INT else np.zeros(()) for t in tensors]


hooks.snapshot = _snapshot
