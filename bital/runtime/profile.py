"""Measuring what runs: the time and memory of every instruction, and of the program's own ranges.

Room: runtime. Between `start` and `stop` plans that are not native yet are interpreted, so that
each instruction can be measured; of native ones the kernels are. At other times nothing is measured
and nothing is slower.
"""

from __future__ import annotations

import threading
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from bital.ir import trace as ir
from bital.ir.trace import Pick
from bital.runtime import plan


class Event(NamedTuple):
    """Something that ran: its times in ns; `nbytes` is what its result took, new or not."""

    name: str
    begin: int
    end: int
    thread: int
    shapes: tuple[tuple[int, ...], ...]
    nbytes: int
    is_range: bool


class Recording:
    """The events between `start` and `stop`, in the order of their ends."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.begin = self.end = 0

    def start(self) -> None:
        """Begin; RuntimeError where another recording is going on."""
        if plan.hooks.watch is not None:
            raise RuntimeError("another profiler is running")
        ir.flush("a profiler starts")
        self.begin = perf_counter_ns()
        plan.hooks.watch = self._note
        plan.hooks.kernels = self._kernels
        plan.hooks.interpreted += 1

    def stop(self) -> None:
        """End; what was recorded until now belongs to it."""
        ir.flush("a profiler stops")
        plan.hooks.watch = plan.hooks.kernels = None
        plan.hooks.interpreted -= 1
        self.end = perf_counter_ns()

    def _note(self, step: plan.Step, result: Any, begin: int) -> None:
        end = perf_counter_ns()
        spec = step.spec
        if isinstance(spec, Pick):
            return
        shapes = tuple([tuple(m.shape) for m in spec.metas])
        size = result.nbytes if isinstance(result, np.ndarray) else 0
        event = Event(
            f"aten::{spec.op.name}", begin, end, threading.get_ident(), shapes, size, False
        )
        self.events.append(event)

    def _kernels(self, native: Any, before: list[int], begin: int, end: int) -> None:
        """The kernels of a native run, each in its part of the time."""
        from bital.codegen import report

        spent = [now - then for now, then in zip(native.cycles(), before)]
        kernels = report.kernels(native, spent)
        scale = (end - begin) / max(sum(kernel.seconds for kernel in kernels), 1e-9)
        thread, at = threading.get_ident(), float(begin)
        for kernel in kernels:
            after = at + kernel.seconds * scale
            event = Event(
                f"kernel: {kernel.name}", int(at), int(after), thread, (kernel.shape,),
                kernel.nbytes, False,
            )  # fmt: skip
            self.events.append(event)
            at = after

    def range(self, name: str, begin: int) -> None:
        """A range of the program's own ends now; what it recorded runs in it."""
        ir.flush("a profiler's range ends")
        end = perf_counter_ns()
        self.events.append(Event(name, begin, end, threading.get_ident(), (), 0, True))


def running() -> bool:
    """Whether something is being measured."""
    return plan.hooks.watch is not None
