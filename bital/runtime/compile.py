"""Compile: when a plan is run as native code, and what happens where it cannot be.

Room: runtime. A plan that comes back is compiled in the background; from a fixed run on it is
native, so that a program's numbers are the same every time it is run. Without llvmlite, or where
compiling fails, plans stay interpreted, and one line on standard error says so.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base import config

#: the run of a plan that begins to compile it, and the first one that is native
BEGIN, SWITCH = 3, 12

Layouts = list[tuple[int, ...]]


class Compiler:
    """The way of one plan to native code."""

    __slots__ = ("code", "held", "donated", "layouts", "job", "native", "others")

    def __init__(self, code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...]) -> None:
        self.code, self.held, self.donated = code, held, donated
        self.layouts: Layouts = []
        self.job: Any = None
        self.native: Any = None
        self.others = 0  # runs that found their inputs laid out otherwise

    def step(self, run: int, arrays: list[np.ndarray], params: list) -> Callable | None:
        """What runs the plan natively from now on, if run number `run` is to be native."""
        if config.compile == "always":
            self._begin(arrays, params)
        elif run == BEGIN:
            self._begin(arrays, params)
            return None
        elif run < SWITCH or self.job is None:
            return None
        try:
            self.native = self.job.result()
        except Exception as error:
            _say(error)
            self.job = None
            return None
        return self.run

    def _begin(self, arrays: list[np.ndarray], params: list) -> None:
        try:
            from bital.codegen.background import submit
            from bital.codegen.native import Native
        except ImportError as error:
            _say(error)
            return
        self.layouts = [
            strides_of(a) if a.base is not None and not donated else contiguous(a)
            for a, donated in zip(arrays, self.donated)
        ]
        layouts = list(self.layouts)
        absent = frozenset(k for k, p in enumerate(params) if p is None)
        self.job = submit(lambda: Native(self.code, self.held, self.donated, layouts, absent))

    def run(self, arrays: list[np.ndarray], params: list) -> list | None:
        """The results; None where inputs or run-time scalars are not as the code has them."""
        inputs = len(arrays)
        try:
            results = self.native.run(arrays, params)
        except struct.error:  # None for a number, or an integer beyond 64 bits
            return None
        if results is not None:
            return results
        del arrays[inputs:]
        self.others += 1
        for k, (a, layout) in enumerate(zip(arrays, self.layouts)):
            if strides_of(a) != layout:
                if layout != contiguous(a):
                    return None
                arrays[k] = np.ascontiguousarray(a).reshape(a.shape)
        return self.native.run(arrays, params)


def strides_of(a: np.ndarray) -> tuple[int, ...]:
    """An array's strides in elements; those of axes without a second element as in `contiguous`."""
    return tuple([
        c if n <= 1 else s // a.itemsize
        for s, c, n in zip(a.strides, contiguous(a), a.shape)
    ])  # fmt: skip


def contiguous(a: np.ndarray) -> tuple[int, ...]:
    """The strides, in elements, of a contiguous array of a's shape."""
    strides = []
    step = 1
    for n in reversed(a.shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


_said = False


def _say(error: Exception) -> None:
    """One line, once, that plans are interpreted and why."""
    global _said
    if not _said:
        _said = True
        print(f"bital: runs without native code: {error}", file=sys.stderr)
    if config.compile == "always":
        raise error
