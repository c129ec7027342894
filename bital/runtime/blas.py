"""BLAS: on how many threads the products of NumPy run.

Room: runtime. NumPy's wheels bring an OpenBLAS whose threads wait for each other in busy loops.
With the compiler on one of two cores the main example's runs take 50 ms that way, not 2.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@functools.cache
def threads() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """What tells and what sets how many; None where NumPy has another BLAS."""
    try:
        # looks in what that module is linked to as well, and keeps the interpreter, which to get
        # back takes 5 ms where a thread computes
        library = ctypes.PyDLL(sys.modules["numpy._core._multiarray_umath"].__file__)
        return library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
    except (AttributeError, KeyError, OSError):
        return None


@contextmanager
def alone() -> Iterator[None]:
    """Meanwhile one thread computes a product: the other cores are the compiler's."""
    found = threads()
    if found is None:
        yield
        return
    tell, use = found
    before = tell()
    try:
        use(1)
        yield
    finally:
        use(before)
