"""torch.return_types: the named tuples that functions with several results return."""

from bital.base.errors import missing_attribute
from bital.ops.return_types import CLASSES as _CLASSES

globals().update(_CLASSES)

__getattr__ = missing_attribute("torch.return_types")
