"""torch.linalg: the functions that the operators' declarations put there."""

from __future__ import annotations

from bital.base.errors import LinAlgError as LinAlgError
from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES as _NAMESPACES

globals().update(_NAMESPACES.get("linalg", {}))

__getattr__ = missing_attribute("torch.linalg")
