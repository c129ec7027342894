"""bital: PyTorch programs, unchanged, in pure Python on NumPy.

Importing this package loads nothing heavy; each public name is loaded when it is first used:

    from bital import torch         # PyTorch's namespace
    bital.install_as_torch()        # from here on `import torch` means bital.torch
    bital.plans()                   # what was recorded and compiled so far
"""

import importlib
import time
from typing import TYPE_CHECKING

from bital.loading import load

if TYPE_CHECKING:
    from bital import safetensors, torch
    from bital.importer import install_as_torch
    from bital.insight import plans

__all__ = ["__version__", "install_as_torch", "plans", "safetensors", "torch"]
__version__ = "0.1.0"
BEGAN = time.time_ns()  # source that is newer may not be what is running


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name in ("safetensors", "torch"):
        return load(f"bital.{name}")
    if name == "plans":
        return importlib.import_module("bital.insight").plans
    if name == "install_as_torch":
        return importlib.import_module("bital.importer").install_as_torch
    raise AttributeError(f"module 'bital' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
