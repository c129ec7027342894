"""Lines: NumPy arrays that begin with a line of the cache.

Room: base. glibc's malloc begins them 16 bytes beyond one, so that every vector of 64 bytes lies
across two lines: to load it takes nearly three times as long. While `allocator` is set to
`BY_LINES`, new arrays of a thread begin with lines, but for those of `np.zeros`.
"""

from __future__ import annotations

import contextvars
import ctypes
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from numpy._core import multiarray

T = TypeVar("T")

#: the bytes of a line
LINE = 64
#: smaller arrays gain less than it costs to place them, and for one that is larger NumPy asks for
#: huge pages, which are worth more
_LEAST, _MOST = 4096, 4 << 20
#: of NumPy's table of C functions, and of its memory handlers
_SET, _GET, _VERSION = 304, 305, 1


class _Handler(ctypes.Structure):
    """`PyDataMem_Handler`: how NumPy gets the memory of arrays."""

    _fields_ = [
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_size_t),
        ("malloc", ctypes.c_void_p), ("calloc", ctypes.c_void_p), ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    ]  # fmt: skip


def _by_lines() -> tuple[Any, Any]:
    """The variable that says how a thread gets memory, and what makes it begin with a line.

    That is NumPy's own handler with `memalign(context, size)` for its malloc; the others of its
    functions do not look at the context, and its free is that of the C library.
    """
    memalign = getattr(ctypes.CDLL(None), "memalign", None)
    if memalign is None or multiarray.get_handler_name() != "default_allocator":
        raise OSError("memory is had in another way")
    python, capsule = ctypes.pythonapi, ctypes.py_object
    point = ctypes.PYFUNCTYPE(ctypes.c_void_p, capsule, ctypes.c_void_p)(
        ("PyCapsule_GetPointer", python)
    )
    name_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, capsule)(("PyCapsule_GetName", python))
    new = ctypes.PYFUNCTYPE(capsule, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        ("PyCapsule_New", python)
    )
    functions = ctypes.cast(point(multiarray._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    default = ctypes.PYFUNCTYPE(capsule)(functions[_GET])()
    ctypes.PYFUNCTYPE(capsule, capsule)(functions[_SET])(default)  # the variable is in use
    name = name_of(default)
    handler = _Handler.from_buffer_copy(_Handler.from_address(point(default, name)))
    if handler.version != _VERSION:
        raise OSError("memory handlers are made otherwise")
    handler.name = b"bital"
    handler.context, handler.malloc = LINE, ctypes.cast(memalign, ctypes.c_void_p).value
    ctypes.pythonapi.Py_IncRef(capsule(handler))  # arrays may outlive this module
    variable = next(v for v, x in contextvars.copy_context().items() if x is default)
    return variable, new(ctypes.addressof(handler), name, None)


try:
    if not sys.platform.startswith("linux"):
        raise OSError("another C library")
    allocator, BY_LINES = _by_lines()
except (OSError, AttributeError, StopIteration):
    # without effect
    allocator, BY_LINES = contextvars.ContextVar("allocator"), None


def worth_it(sizes: Iterable[int]) -> bool:
    """Whether arrays of so many bytes should begin with lines."""
    known = list(sizes)
    return BY_LINES is not None and any(n >= _LEAST for n in known) and max(known) < _MOST


def placed(nbytes: int, make: Callable[[], T]) -> T:
    """What `make` makes, arrays of so many bytes with it."""
    if not worth_it((nbytes,)):
        return make()
    before = allocator.set(BY_LINES)
    try:
        return make()
    finally:
        allocator.reset(before)
