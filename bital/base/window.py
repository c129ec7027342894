"""Windows: NumPy arrays that show a part of flat memory.

Room: base.
"""

from __future__ import annotations

import numpy as np


def strided(
    base: np.ndarray, offset: int, shape: tuple, strides: tuple, dtype: np.dtype | None = None,
    lanes: int = 0,
) -> np.ndarray:  # fmt: skip
    """The window of a flat buffer, sharing its memory where the buffer is contiguous.

    Or that of each of the buffers which the first `lanes` axes number; they come first. Strides
    and offset count elements of `dtype`, by default the buffer's own.
    """
    flat = base if base.__class__ is np.ndarray else np.asarray(base)
    if not flat.flags.c_contiguous:
        flat = np.ascontiguousarray(flat)
    if dtype is None:
        dtype = flat.dtype
    size = dtype.itemsize
    steps = tuple([s * size for s in strides])
    if lanes:
        shape, steps = (*flat.shape[:lanes], *shape), (*flat.strides[:lanes], *steps)
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, flat, offset * size, steps)
