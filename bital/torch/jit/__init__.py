"""`torch.jit`: scripting and tracing give back what they are given, with a warning.

Programs run as Python here and are planned by themselves, so there is nothing to translate.
TorchScript files are programs; bital neither writes nor runs them.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar
from typing import Final as Final

from bital.base.errors import Unsupported, missing_attribute
from bital.torch._words import ScriptFunction, ScriptModule

_T = TypeVar("_T")


@functools.cache
def _warn_once(fn: str) -> None:
    warnings.warn(
        f"torch.jit.{fn} gives back its argument: bital runs and plans Python as it is",
        UserWarning,
        stacklevel=4,
    )


def _same(fn: str, obj: Any) -> Any:
    _warn_once(fn)
    return obj


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The function, class or module itself."""
    return _same("script", obj)


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself; it is not run."""
    return _same("trace", func)


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """The module itself."""
    return _same("trace_module", mod)


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """The module itself."""
    return _same("freeze", mod)


def optimize_for_inference(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """The module itself."""
    return _same("optimize_for_inference", mod)


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A mark for the scripting compiler; gives the function back. Also without parentheses."""
    return drop if callable(drop) else lambda fn: fn


def export(fn: Any) -> Any:
    """A mark for the scripting compiler; gives the function back."""
    return fn


unused = interface = script_if_tracing = export


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value; its type is for the scripting compiler."""
    return the_value


isinstance = isinstance  # as PyTorch's, with its own types


def is_scripting() -> bool:
    """Whether this code is being scripted: never."""
    return False


def is_tracing() -> bool:
    """Whether this code is being traced: never."""
    return False


def fork(func: Callable, *args: Any, **kwargs: Any) -> Any:
    """Run the function at once; `wait` gives its result."""
    return func(*args, **kwargs)


def wait(future: Any) -> Any:
    """What `fork` gave."""
    return future


def enable_onednn_fusion(enabled: bool) -> None:
    """A setting of the scripting compiler: nothing to do."""


def onednn_fusion_enabled() -> bool:
    """Whether the scripting compiler joins operators: there is none."""
    return False


def export_opnames(m: Any) -> list[str]:
    """The operators of a scripted module: there is none."""
    return []


def set_fusion_strategy(strategy: Any) -> list:
    """A setting of the scripting compiler: nothing to do."""
    return []


class strict_fusion:
    """A demand on the scripting compiler: the block runs as it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


def save(m: Any, f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: TorchScript files are programs, which bital does not write."""
    raise Unsupported(
        "torch.jit.save: bital writes no TorchScript. Save the module's state_dict() with "
        "torch.save, or the module with torch.onnx.export"
    )


def load(f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: TorchScript files are programs, which bital does not run."""
    raise Unsupported(
        "torch.jit.load: bital runs no TorchScript, which is a program in a file. Load a "
        "state_dict with torch.load"
    )


class Attribute:
    """A value with its type, for the scripting compiler."""

    def __init__(self, value: Any, type: Any) -> None:
        self.value, self.type = value, type


class CompilationUnit:
    """Source for the scripting compiler; raises, as there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported("torch.jit.CompilationUnit: bital compiles no TorchScript")


class Future(Generic[_T]):
    """What `fork` gives in a type's annotation."""


Error = RuntimeError

__all__ = [
    "Attribute", "CompilationUnit", "Error", "Future", "ScriptFunction", "ScriptModule", "annotate",
    "enable_onednn_fusion", "export", "export_opnames", "fork", "freeze", "ignore", "interface",
    "isinstance", "load", "onednn_fusion_enabled", "optimize_for_inference", "save", "script",
    "script_if_tracing", "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused",
    "wait",
]  # fmt: skip
__getattr__ = missing_attribute("torch.jit")
