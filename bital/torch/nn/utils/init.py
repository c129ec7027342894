"""Modules made without drawing from the random stream."""

from __future__ import annotations

import inspect
from typing import Any

import bital.torch as torch
from bital.torch.nn.modules.module import Module


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """A module of that class whose parameters are undefined; the random stream stays put.

    The class must take `device`. RuntimeError where it does not, or is no Module.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with torch.random.fork_rng():
        return module_cls(*args, **kwargs)
