"""torch.nn.functional: the functions that modules are made of."""

from __future__ import annotations

from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES as _NAMESPACES

globals().update(_NAMESPACES["nn.functional"])

__getattr__ = missing_attribute("torch.nn.functional")
