"""Loading what is large, without the garbage collector's looking for what cannot be there yet."""

import gc
import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of that name, imported if need be.

    Imports make a great many objects and hardly any garbage; looking for it took a seventh of the
    time until a program's first step was done.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if collecting:
            gc.enable()
