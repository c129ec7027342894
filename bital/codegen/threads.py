"""Threads: the pool on which compiled code runs the chunks of its kernels.

Room: codegen. The pool is native code without Python: `parallel(fn, args, chunks, weight)` calls
`fn(args, chunk)` for every chunk below `chunks`, on as many threads as `base/cores.py` says, and
returns when all are done. Which thread runs a chunk changes nothing but the time.

Each thread of a team has a slot with a share of the chunks, claimed one after another by counting
down an atomic; who is through with his own goes on with the others'. The caller claims, too, and
waits in the end only for chunks that somebody has begun: without workers (a starved machine, a
child after fork) it does everything by itself. An idle worker spins for a while, giving way to
whoever wants the core, then sleeps until a share comes that is worth waking for. The caller keeps
account of the time that workers save, and of what it waits for one that lost its core in the middle
of a chunk: in debt it runs regions alone, for sixteen times what it owes.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import platform
import sys
import threading
from collections.abc import Callable
from sys import getrefcount

import numpy as np

from bital.base import cores
from bital.codegen import jit, team
from bital.codegen.jit import Library
from bital.codegen.walk import walk_text

# Without optimisation it takes 6 ms to compile, not 35, and 12 ns longer to call a kernel.
_LEVEL = 0


class _State:
    """The pool, once it is needed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.library: Library | None = None  # never freed: workers run until the process ends
        self.reset: Callable[[], None] | None = None


_state = _State()


def _pool() -> Library:
    with _state.lock:
        if _state.library is None:
            machine = platform.machine()
            pool = team.SERIAL if os.name == "nt" else team.pool_text(sys.platform, machine)
            text = pool + walk_text(machine in ("x86_64", "AMD64"))
            _state.library = jit.build(text, _LEVEL)
            _state.reset = ctypes.CFUNCTYPE(None)(_state.library.address("reset"))
            cores.changed.append(_allow)
            _allow()
        return _state.library


def _allow() -> None:
    """Let the pool know how many threads it may use."""
    assert _state.library is not None
    limit = ctypes.c_int64.from_address(_state.library.address("limit"))
    limit.value = min(cores.get_threads(), team.MOST)


def _after_fork() -> None:
    """A child has none of the workers and is in no region, whatever its parent was doing."""
    _state.lock = threading.Lock()
    if _state.reset is not None:
        _state.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def address(name: str = "parallel") -> int:
    """The address of a function.

    void parallel(void (*fn)(args, chunk), args, chunks, weight)
    int64_t walk(list, table, stretch)                    see `walk`
    int64_t unchanged(list, note)                         see `walk`
    """
    return _pool().address(name)


@functools.cache
def unchanged() -> Callable[[int, int], int] | None:
    """`unchanged` for Python; None where Python counts references in another way."""
    look = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(address("unchanged"))
    array = np.empty(2)
    items: list = [object(), array[:1], array]
    counts = [2 * getrefcount(items[k]) - 2 for k in range(3)]
    expected = {(0, 0, 0): 1, (0, 0, 1): 1, (0, 1, 0): 0, (2, 0, 0): 0, (0, 0, -2): 0}
    for more, found in expected.items():
        note = (ctypes.c_int64 * 4)(3, *map(operator.add, counts, more))
        if look(id(items), ctypes.addressof(note)) != found:
            return None
    return look
