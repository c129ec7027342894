"""Measuring what runs: the time and memory of every instruction, and of the program's own ranges.

Room: runtime. Between `start` and `stop` plans are interpreted, so that each instruction can be
measured; at other times nothing is measured and nothing is slower.
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
        plan.hooks.interpreted += 1

    def stop(self) -> None:
        """End; what was recorded until now belongs to it."""
        ir.flush("a profiler stops")
        plan.hooks.watch = None
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

    def range(self, name: str, begin: int) -> None:
        """A range of the program's own ends now; what it recorded runs in it."""
        ir.flush("a profiler's range ends")
        end = perf_counter_ns()
        self.events.append(Event(name, begin, end, threading.get_ident(), (), 0, True))


def running() -> bool:
    """Whether something is being measured."""
    return plan.hooks.watch is not None
