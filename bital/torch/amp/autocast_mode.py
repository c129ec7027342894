"""autocast: a region whose matrix products and convolutions compute in lower precision."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import bital.torch as torch
from bital.ops import autocast as state


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the device."""
    return device_type in state.DEVICES


class autocast:
    """A context, or decorator, in which operators choose the precision of their arguments.

    On "cpu" products and convolutions cast to `dtype`, bfloat16 by default or float16; losses,
    decompositions and other operators that need it cast to float32. For "cuda", which bital has
    not, it is disabled with a warning.
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        default = state.get_autocast_dtype(device_type)  # raises for other devices
        self.device = device_type
        self.fast_dtype = default if dtype is None else dtype
        if cache_enabled is None:
            cache_enabled = state.is_autocast_cache_enabled()
        self._cache_enabled = cache_enabled
        self._enabled = enabled
        if enabled and device_type == "cuda" and not torch.cuda.is_available():
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2
            )
            self._enabled = False
        elif enabled and self.fast_dtype not in (torch.bfloat16, torch.float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            self._enabled = False

    def __enter__(self) -> autocast:
        self.prev_cache_enabled = state.is_autocast_cache_enabled()
        self.prev = state.is_autocast_enabled(self.device)
        self.prev_fastdtype = state.get_autocast_dtype(self.device)
        state.set_autocast_enabled(self.device, self._enabled)
        state.set_autocast_dtype(self.device, self.fast_dtype)
        state.autocast_increment_nesting()
        state.set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *_: Any) -> None:
        if state.autocast_decrement_nesting() == 0:
            state.clear_autocast_cache()
        state.set_autocast_enabled(self.device, self.prev)
        state.set_autocast_dtype(self.device, self.prev_fastdtype)
        state.set_autocast_cache_enabled(self.prev_cache_enabled)

    def __call__(self, func: Callable) -> Callable:
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you "
                "mean to use autocast as a context manager? For example:\n"
                "    with torch.autocast(device_type=...):\n        output = model(input)"
            )

        @functools.wraps(func)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return decorated


def _cast(value: Any, device_type: str, dtype: Any) -> Any:
    """`value` with all floating tensors but those of float64, wherever they are, in `dtype`."""
    if isinstance(value, torch.Tensor):
        wide = value.dtype is torch.float64 or value.device.type != device_type
        return value if wide or not value.is_floating_point() else value.to(dtype)
    if isinstance(value, (str, bytes, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        return {_cast(k, device_type, dtype): _cast(v, device_type, dtype)
                for k, v in value.items()}  # fmt: skip
    if isinstance(value, Iterable):
        parts = (_cast(v, device_type, dtype) for v in value)
        return type(value)(parts) if isinstance(value, (list, tuple)) else parts
    return value


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Decorate the `forward` of a Function: `backward` is to run in the same mode.

    With `cast_inputs`, a dtype, forward's floating tensors are cast to it within autocast, and
    autocast is off inside.
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = state.get_autocast_dtype(device_type)
        on = state.is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            args = _cast(args, device_type, cast_inputs)
            return fwd(ctx, *args, **_cast(kwargs, device_type, cast_inputs))

    return decorated


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorate the `backward` of a Function: it runs in the mode that `forward` ran in."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return decorated


def warn_of_old_name(device: str, name: str, instead: str) -> None:
    """PyTorch's warning for `torch.cuda.amp.name` and `torch.cpu.amp.name`."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use "
        f"`torch.amp.{name}({instead})` instead.",
        FutureWarning,
        stacklevel=3,
    )


def deprecated_for(device: str, default: Any) -> type[autocast]:
    """`torch.cuda.amp.autocast` and `torch.cpu.amp.autocast`, which warn that they are old."""

    def __init__(
        self: Any, enabled: bool = True, dtype: Any = default, cache_enabled: bool = True
    ) -> None:
        warn_of_old_name(device, "autocast", f"'{device}', args...")
        autocast.__init__(self, device, dtype, enabled, cache_enabled)

    return type("autocast", (autocast,), {"__init__": __init__})
