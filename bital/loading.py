"""Loading what is large, without the garbage collector's looking for what cannot be there yet."""

import gc
import importlib
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of that name, imported if need be.

    Imports make a great many objects and hardly any garbage; looking for it took a seventh of the
    time until a program's first step was done. What was made goes to the oldest generation at once:
    on its way through the younger ones it would be looked through twice more, for 50 ms.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        if not gc.get_freeze_count():  # of what others have frozen nothing is thawed
            gc.freeze()
            gc.unfreeze()
        if collecting:
            gc.enable()
