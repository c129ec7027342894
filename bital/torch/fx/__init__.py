"""`torch.fx`: Python is run as it is here, so functions need no marks and no tracing.

`wrap` gives back its argument; capturing a module as a graph of PyTorch's is refused.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from bital.base.errors import Unsupported, missing_attribute
from bital.torch.nn.modules.module import Module

__all__ = ["GraphModule", "Proxy", "Tracer", "symbolic_trace", "wrap"]

F = TypeVar("F")


def wrap(fn_or_name: F) -> F:
    """Mark a function as one that tracing does not look into; the function itself."""
    return fn_or_name


def symbolic_trace(root: Any, concrete_args: Any = None) -> NoReturn:
    """A module as a graph; NotImplementedError."""
    raise Unsupported(
        "bital lacks torch.fx.symbolic_trace: what a program computes is recorded as it runs "
        "(BITAL_LOG=trace shows it)"
    )


class GraphModule(Module):
    """There for `isinstance`; none is ever made."""


class Proxy:
    """There for `isinstance`; none is ever made."""


class Tracer:
    """Made freely; what traces with it is refused."""

    def trace(self, root: Any, concrete_args: Any = None) -> NoReturn:
        """A graph of what `root` does; NotImplementedError."""
        symbolic_trace(root, concrete_args)


__getattr__ = missing_attribute("torch.fx")
