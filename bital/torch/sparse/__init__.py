"""torch.sparse: the functions that the operators' declarations put there."""

from __future__ import annotations

from typing import Any

import bital.torch as torch
from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES as _NAMESPACES

globals().update(_NAMESPACES["sparse"])


def _of_type(name: str) -> Any:
    def make(indices: Any, values: Any = None, size: Any = None) -> Any:
        made = torch.sparse_coo_tensor(indices, values, size)
        return getattr(made, name)()

    make.__doc__ = f"The old name of torch.sparse_coo_tensor for {name} tensors."
    return make


FloatTensor = _of_type("float")
DoubleTensor = _of_type("double")
LongTensor = _of_type("long")

__getattr__ = missing_attribute("torch.sparse")
