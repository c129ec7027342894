"""`torch.compiler`: what programs tell PyTorch's compiler; nothing of it is needed here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bital.base.errors import missing_attribute
from bital.torch._compile import compile


def reset() -> None:
    """Forget what was compiled: nothing to do."""


def is_compiling() -> bool:
    """Whether this code is being traced by PyTorch's compiler: never."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself; also a decorator."""
    return (lambda inner: inner) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


assume_constant_result = allow_in_graph
nested_compile_region = allow_in_graph


def substitute_in_graph(original_fn: Any, **options: Any) -> Callable[[Any], Any]:
    """A decorator that gives the function back."""
    return lambda fn: fn


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """The names of PyTorch's compilers that there are: none."""
    return []


def get_default_backend() -> str:
    """The name of the compiler that PyTorch would use."""
    return "inductor"


def set_default_backend(backend: Any) -> None:
    """Choose a compiler: nothing to do."""


def cudagraph_mark_step_begin() -> None:
    """An iteration begins: nothing to do."""


class set_stance:
    """How PyTorch's compiler is to behave; also a context manager and a decorator."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> set_stance:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def __call__(self, fn: Any) -> Any:
        return fn


__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "get_default_backend", "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends",
    "nested_compile_region", "reset", "set_default_backend", "set_stance", "substitute_in_graph",
]  # fmt: skip
__getattr__ = missing_attribute("torch.compiler")
