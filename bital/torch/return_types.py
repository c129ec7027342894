"""torch.return_types: the named tuples that functions with several results return."""

from bital.base.errors import missing_attribute

__getattr__ = missing_attribute("torch.return_types")
