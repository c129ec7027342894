"""`torch.cuda.amp`: old names of what `torch.amp` has, which warn that they are old."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.base.errors import missing_attribute
from bital.torch.amp import autocast_mode, grad_scaler

autocast = autocast_mode.deprecated_for("cuda", torch.float16)
GradScaler = grad_scaler.deprecated_for("cuda")


def custom_fwd(fwd: Any = None, *, cast_inputs: Any = None) -> Any:
    """The same as `torch.amp.custom_fwd` for "cuda"."""
    autocast_mode.warn_of_old_name("cuda", "custom_fwd", "args..., device_type='cuda'")
    return autocast_mode.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Any = None) -> Any:
    """The same as `torch.amp.custom_bwd` for "cuda"."""
    autocast_mode.warn_of_old_name("cuda", "custom_bwd", "args..., device_type='cuda'")
    return autocast_mode.custom_bwd(bwd, device_type="cuda")


__getattr__ = missing_attribute("torch.cuda.amp")
