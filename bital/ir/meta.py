"""Meta: what is known of a value before it is computed.

Room: ir. Metas are interned: two values of one shape, dtype and device share one object, so that
the memo of an operator is looked up by identity, which is what makes recording cheap.
"""

from __future__ import annotations

from typing import Any

from bital.base.device import cpu, device
from bital.base.dtype import WORDS, dtype
from bital.base.errors import Unsupported
from bital.base.size import Size
from bital.base.stride import contiguous_strides

#: beyond this many distinct metas the table starts afresh; old objects stay valid, only memos miss
_LIMIT = 65_536


class Meta:
    """Shape, dtype and device of a value, with what follows from them."""

    __slots__ = ("shape", "dtype", "device", "ndim", "numel", "strides", "nbytes", "np",
                 "zeros", "ones")  # fmt: skip

    def __init__(self, shape: Size, dtype: dtype, device: device) -> None:
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.ndim = len(shape)
        self.numel = shape.numel()
        self.strides = contiguous_strides(shape)
        self.nbytes = self.numel * dtype.itemsize
        self.np = dtype.np
        # the values of zeros and of ones that look so, made when they are first needed
        self.zeros: Any = None
        self.ones: Any = None

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


_table: dict[tuple, Meta] = {}


def meta_of(shape: tuple[int, ...], dtype: dtype, device: device = cpu) -> Meta:
    """The one Meta of this shape, dtype and device; Unsupported where bital has no such tensors."""
    found = _table.get((shape, dtype)) if device is cpu else _table.get((shape, dtype, device))
    if found is None:
        if device is not cpu and device.__class__ is cpu.__class__ and device == cpu:
            return meta_of(shape, dtype)
        if len(_table) >= _LIMIT:
            _table.clear()
        if dtype in WORDS:
            raise Unsupported(f"bital has no tensors of {dtype}: it knows the name only")
        found = Meta(Size(shape), dtype, device)
        # without the usual device, whose hash costs as much as all else
        key = (found.shape, dtype) if device is cpu else (found.shape, dtype, device)
        found = _table.setdefault(key, found)
    return found
