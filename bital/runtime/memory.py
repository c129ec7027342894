"""Memory: keep freed arrays with the process, so that the next iteration finds them warm.

Room: runtime. A fresh large array costs a page fault per 4 KiB, about twenty times what writing
it costs; glibc gives blocks above a threshold back to the system at once unless told otherwise.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: arrays up to this size are recycled by malloc instead of mapped anew
_KEEP_BYTES = 512 << 20


def keep_freed_memory() -> None:
    """Ask glibc's malloc to recycle blocks up to 512 MiB; elsewhere do nothing."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
