"""Buffers that operators keep up to date, such as running statistics.

Room: ops.
"""

from __future__ import annotations

from collections.abc import Callable

from bital.ir.trace import local
from bital.tensor.dispatch import assign
from bital.tensor.tensor import Tensor


def update(t: Tensor, compute: Callable[[], Tensor]) -> Tensor:
    """Write what `compute()` gives into t's memory, none of it seen by autograd."""
    trace = local.trace
    grad = trace.grad
    trace.grad = False
    try:
        return assign(t, compute(), trace)
    finally:
        trace.grad = grad
