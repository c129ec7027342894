"""`torch._dynamo`: the names of PyTorch's compiler that programs set; they change nothing."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute
from bital.torch._dynamo import config as config
from bital.torch._dynamo.eval_frame import OptimizedModule
from bital.torch.compiler import (
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    list_backends,
    reset,
)


def mark_dynamic(t: Any, index: Any, **options: Any) -> None:
    """Sizes that will change: all may, at any time."""


def mark_static(t: Any, index: Any = None) -> None:
    """Sizes that will not change: nothing to do."""


def graph_break(msg: str = "") -> None:
    """Divide what is compiled here: nothing to do."""


def optimize(*args: Any, **kwargs: Any) -> Any:
    """A decorator that gives the function back."""
    return lambda fn: fn


__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable",
    "graph_break", "is_compiling", "list_backends", "mark_dynamic", "mark_static", "optimize",
    "reset",
]  # fmt: skip
__getattr__ = missing_attribute("torch._dynamo")
