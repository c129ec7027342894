"""`torch.sparse`: tensors that keep their nonzero elements only; bital has none."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


def mm(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: bital's tensors are dense."""
    raise Unsupported("torch.sparse: bital's tensors are dense. Use to_dense() before, or SciPy")


addmm = sum = softmax = log_softmax = spdiags = sampled_addmm = spsolve = mm
__getattr__ = missing_attribute("torch.sparse")
