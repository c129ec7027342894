"""`torch.cpu.amp`: old names of what `torch.amp` has, which warn that they are old."""

from __future__ import annotations

import bital.torch as torch
from bital.base.errors import missing_attribute
from bital.torch.amp import autocast_mode, grad_scaler

autocast = autocast_mode.deprecated_for("cpu", torch.bfloat16)
GradScaler = grad_scaler.deprecated_for("cpu")

__getattr__ = missing_attribute("torch.cpu.amp")
