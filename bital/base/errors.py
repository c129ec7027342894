"""Errors that say what bital lacks.

Room: base; the standard library only. Where PyTorch raises an error, bital raises the same builtin
class; the classes here are for what only bital has to say.
"""

import importlib
from collections.abc import Callable
from typing import Any


class Unsupported(NotImplementedError):
    """PyTorch can do this and bital cannot yet; the message names it."""


class LinAlgError(RuntimeError):
    """A matrix has not what a function of linear algebra needs: `torch.linalg.LinAlgError`."""


# as PyTorch names it, and where pickle finds it
LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
LinAlgError.__module__ = "bital.torch._C"


def missing_attribute(module_name: str, *later: str) -> Callable[[str], Any]:
    """A module-level `__getattr__` which names what bital lacks.

    `module_name` is the module's name in PyTorch or its `__name__` in bital. The function raises
    AttributeError, so that `hasattr` and `getattr` with a default work as for any module. Modules
    below it that are named in `later` are imported when they are first asked for.

    >>> __getattr__ = missing_attribute("bital.torch.nn")
    >>> __getattr__("Quantum")
    Traceback (most recent call last):
    AttributeError: module 'torch.nn' has no attribute 'Quantum': bital lacks it, or PyTorch 2.13 \
does too
    """
    public_name = module_name.removeprefix("bital.")

    def __getattr__(name: str) -> Any:
        if name in later:
            return importlib.import_module(f"bital.{public_name}.{name}")
        raise AttributeError(
            f"module {public_name!r} has no attribute {name!r}: "
            "bital lacks it, or PyTorch 2.13 does too",
            name=name,
        )

    return __getattr__
