"""Creation: constants, ranges, and tensors made of Python's numbers.

Room: ops.
"""

from __future__ import annotations

from typing import Any

import numpy as np


from bital.base.dtype import default, dtype
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import Value
from bital.ops.api import method, public
from bital.ops.view import sizes
from bital.tensor.dispatch import check_writable
from bital.tensor.tensor import Tensor, local, write, wrap


def constant(meta: Meta, number: Any) -> Tensor:
    """A tensor of one number, which takes no memory until it is needed."""
    array = np.broadcast_to(np.asarray(number).astype(meta.np), meta.shape)
    return wrap(Value(meta, None, array), meta)


def full_like_meta(meta: Meta, number: Any) -> Value:
    """A ready value of one number."""
    return Value(meta, None, np.broadcast_to(np.asarray(number, meta.np), meta.shape))


_ONES: dict[Meta, Value] = {}


def _ones(meta: Meta) -> Tensor:
    value = _ONES.get(meta)
    if value is None:
        value = _ONES[meta] = full_like_meta(meta, 1)
    return wrap(value, meta)


@public(method=False)
def zeros(*size: Any, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    out = constant(meta_of(sizes(size), dtype or default.dtype), 0)
    out.requires_grad = requires_grad
    return out


@method
def zero_(self: Tensor) -> Tensor:
    """Fill with zeros in place."""
    trace = local.trace
    if trace.grad:
        check_writable(self)
    write(self, full_like_meta(self._meta, 0), trace)
    return self
