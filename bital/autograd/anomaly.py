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
from bital.tensor.node import Node, OpNode, hooks
from bital.tensor.tensor import Tensor, array_of, wrap

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
        if isinstance(g, Tensor) and g._meta.dtype.category > 1 and _any(np.isnan, g):
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
    """A sentence on the oldest operation below `node` that kept a non-finite value, or nothing."""
    seen = set()
    stack: list[Node] = [node]
    oldest: Node | None = None
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        seen.add(each)
        stack.extend(n for n, _ in each.next_functions if n is not None)
        if _kept_non_finite(each) and (oldest is None or each.number < oldest.number):
            oldest = each
    if oldest is None:
        return ""
    return (
        " The first non-finite value in the forward pass was met by "
        f"{oldest.name().removesuffix('Backward0')} at {_place(_line(oldest))}."
    )


def _kept_non_finite(node: Node) -> bool:
    if not isinstance(node, OpNode) or not node.saved:
        return False
    for kept in node.saved:
        value = None
        if type(kept) is tuple:
            value = array_of(kept[0])
        elif hasattr(kept, "storage"):
            value = array_of(wrap(kept.storage.value, kept.storage.value.meta))
        if value is not None and value.dtype.kind in "fc" and not np.isfinite(value).all():
            return True
    return False
