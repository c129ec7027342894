"""Compile: when a plan is run as native code, and what happens where it cannot be.

Room: runtime. A plan that comes back is compiled in the background; from a fixed run on it is
native, so that a program's numbers are the same every time it is run. Without llvmlite, or where
compiling fails, plans stay interpreted, and one line on standard error says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base import config
from bital.base.stride import contiguous_strides, element_strides
from bital.ir.task import Task, absent_of
from bital.runtime import log
from bital.runtime.budget import budget

#: the run of a plan that begins to compile it, and the first one that is native
BEGIN, SWITCH = 3, 12
#: runs after which a plan that might not be compiled asks again
_AGAIN = 8

Layouts = list[tuple[int, ...]]


class Compiler:
    """The way of one plan to native code: `native` is it, `state` how far it is.

    Of plans that differ in a size alone it may be that of their `family`, for `size`; `bounds` are
    those of such a size.
    """

    __slots__ = ("code", "held", "donated", "layouts", "job", "native", "state", "lines",
                 "switch", "family", "size", "bounds", "__weakref__")  # fmt: skip

    def __init__(self, code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...]) -> None:
        self.code, self.held, self.donated = code, held, donated
        self.layouts: Layouts = []
        self.job: Any = None
        self.native: Any = None
        self.state = "interpreted"
        self.switch = 0  # the run from which on it is native
        self.family: Any = None
        self.size = 0
        self.bounds: Any = None
        self.lines: dict[int, tuple] = {}  # instruction -> the user's line, where a log wants it

    def step(self, run: int, arrays: list[np.ndarray], params: list) -> Callable | None:
        """What runs the plan natively from now on, if run number `run` is to be native."""
        if config.compile == "never":
            return None
        if self.family is not None and self.state == "interpreted":
            self.family.lines = self.lines
            found = self.family.serve(arrays, params)
            settled = self.family.settled(self.size)
            if settled is None:
                return None
            layouts = self.family.layouts_of(self.size)
            if settled and layouts == layouts_of(arrays, self.donated):
                self.native, self.layouts, self.state = self.family.native, layouts, "native"
                return found
            self.family = None
        always = config.compile == "always"
        if self.state == "compiling":
            budget.runs(self)
        elif self.state == "interpreted" and (always or self._may_begin(run)):
            self._begin(arrays, params)
            self.switch = run + (0 if always else SWITCH - BEGIN)
        job = self.job
        if job is None or run < self.switch:  # or another thread was quicker
            return None
        try:
            self.native = job.result()
        except Exception as error:
            self._fail(error)
            return None
        self.job, self.state = None, "native"
        budget.ends(self, self.native)
        if log.plan_wanted:
            log.compiled(self.native, self.lines)
        return self.native.run

    def _may_begin(self, run: int) -> bool:
        """Whether compiling is to begin with this run; if not it is asked again some runs later."""
        return run >= BEGIN and (run - BEGIN) % _AGAIN == 0 and budget.admits(self, run)

    def cancel(self) -> None:
        """Its compiling is not waited for any more; it may begin again."""
        job = self.job
        if job is not None:
            job.cancel()
            self.job, self.state = None, "interpreted"

    def leave(self) -> None:
        """The plan is forgotten."""
        self.cancel()
        budget.ends(self)
        if self.native is not None and (
            self.family is None or self.family.native is not self.native
        ):
            budget.forgets(self.native)

    def _fail(self, error: Exception) -> None:
        _say(error)
        self.job, self.state = None, "failed"
        budget.ends(self)

    def _begin(self, arrays: list[np.ndarray], params: list) -> None:
        try:
            from bital.codegen.background import submit
            from bital.codegen.native import Native
        except ImportError as error:
            self._fail(error)
            return
        self.state = "compiling"
        self.layouts = self._layouts(arrays)
        task = Task(
            self.code, self.held, self.donated, list(self.layouts), absent_of(params), self.bounds
        )
        self.job = submit(lambda: Native(task))

    def _layouts(self, arrays: list[np.ndarray]) -> Layouts:
        """How the code is to expect its inputs."""
        return layouts_of(arrays, self.donated)

    def again(self, arrays: list[np.ndarray], params: list) -> list | None:
        """The results where a native run gave none; None where NumPy must run the plan.

        Inputs that lie in memory otherwise than the code has them are copied. What else there is
        (a condition that does not hold, a run-time scalar that is no number) is NumPy's.
        """
        del arrays[len(self.donated) :]
        if self.native.empty:  # it has no results, and has run
            return []
        copied = False
        for k, (a, layout) in enumerate(zip(arrays, self.layouts)):
            if element_strides(a) != layout:
                if layout != contiguous_strides(a.shape):
                    return None
                arrays[k] = np.ascontiguousarray(a).reshape(a.shape)
                copied = True
        results = self.native.run(arrays, params) if copied else None
        if results is None:
            del arrays[len(self.donated) :]
        return results


def layouts_of(arrays: list[np.ndarray], donated: tuple[bool, ...]) -> Layouts:
    """How code is to expect its inputs: windows as they are, other arrays contiguous."""
    return [
        element_strides(a) if a.base is not None and not given else contiguous_strides(a.shape)
        for a, given in zip(arrays, donated)
    ]


_said = False


def _say(error: Exception) -> None:
    """One line, once, that plans are interpreted and why."""
    global _said
    if not _said:
        _said = True
        print(f"bital: runs without native code: {error}", file=sys.stderr)
    if config.compile == "always":
        raise error
