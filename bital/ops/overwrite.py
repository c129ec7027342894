"""Writing over what a tensor looks at: what copy_, fill_, zero_ and assignments share.

Room: ops. The old elements get no gradient (zero), what was written gets it all.
"""

from __future__ import annotations

import warnings

from bital.base.stride import check_no_internal_overlap
from bital.ir.trace import local
from bital.ops.window import CopySlices, many_node
from bital.tensor.dispatch import cast_value, check_overlap, check_part, check_writable
from bital.tensor.tensor import Tensor, edge_of, read, write


def overwrite(t: Tensor, src: Tensor, name: str) -> Tensor:
    """Write src, which must broadcast to t's shape, into t, whose node PyTorch calls `name`."""
    trace = local.trace
    meta = t._meta
    if trace.grad:
        check_writable(t)
    numbers = name in ("FillBackward2", "ZeroBackward0")  # which elements may share
    if t._view is not None and src is not t and not numbers:
        check_no_internal_overlap(meta.shape, t._view.strides)
    if src._meta.shape == meta.shape:
        check_overlap(t, src)
    value = read(src, trace)
    if value.meta.dtype is not meta.dtype:
        if value.meta.dtype.is_complex and not meta.dtype.is_complex:
            warnings.warn(
                "Casting complex values to real discards the imaginary part", UserWarning,
                stacklevel=3,
            )  # fmt: skip
        value = cast_value(trace, value, meta.dtype)
    old = edge = None
    if trace.grad:
        old = edge_of(t)
        edge = edge_of(src) if meta.dtype.category > 1 else None
        if edge is not None:
            check_part(t)
    write(t, value, trace)
    if old is None and edge is None:
        return t
    view = t._view
    if view is not None and view.base is not None:
        t._edge = view.base._edge = CopySlices(view.base, t, edge, src._meta)
        view.version = -1
    else:
        t._edge = many_node(name, (old, edge), (meta, src._meta), _Split(old is not None))
    return t


class _Split:
    """The rule of an overwritten tensor: zeros for the old elements, everything for the new."""

    __slots__ = ("wants_old",)

    def __init__(self, wants_old: bool) -> None:
        self.wants_old = wants_old

    def __call__(self, g: Tensor) -> list:
        old = g.new_zeros(g._meta.shape) if self.wants_old else None
        return [old, g]
