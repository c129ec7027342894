"""`torch.utils.tensorboard`: event files for TensorBoard, through the package tensorboardX."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.base.errors import Unsupported, missing_attribute

_missing = missing_attribute("torch.utils.tensorboard")


def __getattr__(name: str) -> Any:
    """`SummaryWriter` and `FileWriter`, or an error that says how to get them."""
    if name not in ("SummaryWriter", "FileWriter"):
        return _missing(name)
    try:
        import tensorboardX
    except ImportError:
        raise Unsupported(
            'torch.utils.tensorboard needs tensorboardX: pip install "bital[tensorboard]"'
        ) from None
    base = getattr(tensorboardX, name)
    methods: dict[str, Any] = {
        n: _with_arrays(m) for n, m in vars(base).items() if n.startswith("add_")
    }
    methods["__doc__"] = "tensorboardX's writer, which takes bital's tensors."
    made = globals()[name] = type(name, (base,), methods)
    return made


def _array(x: Any) -> Any:
    """Tensors, also in containers, as NumPy arrays."""
    if isinstance(x, torch.Tensor):
        x = x.detach()
        return (x.float() if x.dtype is torch.bfloat16 else x).numpy().copy()
    if isinstance(x, (list, tuple)):
        return [_array(each) for each in x]
    if isinstance(x, dict):
        return {key: _array(each) for key, each in x.items()}
    return x


def _with_arrays(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if method.__name__ in ("add_graph", "add_onnx_graph"):
            raise Unsupported(
                f"{method.__name__}: bital has no graphs of PyTorch's. Use torch.onnx.export"
            )
        return method(self, *map(_array, args), **{k: _array(v) for k, v in kwargs.items()})

    return call
