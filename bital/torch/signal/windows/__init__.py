"""torch.signal.windows: the functions that the operators' declarations put there."""

from __future__ import annotations

from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES as _NAMESPACES

globals().update(_NAMESPACES["signal.windows"])
__all__ = sorted(_NAMESPACES["signal.windows"])

__getattr__ = missing_attribute("torch.signal.windows")
