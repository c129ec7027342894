"""`torch.compile`: programs are compiled by themselves here, so it gives back what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """The function or module itself, or, without one, a decorator that gives it back.

    Every iteration is recorded and planned anyway. Raises RuntimeError where both `mode` and
    `options` are given, as PyTorch does.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if model is None:
        return lambda fn: compile(fn)
    if not callable(model):
        raise RuntimeError(f"torch.compile takes a function or module, not {type(model).__name__}")
    return model
