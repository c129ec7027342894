"""`torch.profiler`: what runs, how often and how long, step by step."""

from __future__ import annotations

import enum
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from bital.base.errors import missing_attribute
from bital.torch.autograd import profiler as _profiler
from bital.torch.autograd.profiler import kineto_available, record_function
from bital.torch.autograd.profiler_util import EventList


class ProfilerActivity(enum.Enum):
    """What to measure; bital has the CPU."""

    CPU = 0
    XPU = 1
    MTIA = 2
    CUDA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(enum.Enum):
    """What a step does: nothing, or measuring, and handing over what was measured at its end."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What can be measured."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:  # fmt: skip
    """Which steps are measured: of each cycle `active`, after `wait` and `warmup` that are not.

    The cycle goes on `repeat` times, or without end. With `skip_first_wait` the first cycle does
    not wait.
    """
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        cycle = wait + warmup + active
        if repeat and step // cycle >= repeat:
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if place == cycle - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """A handler that writes each trace as a file into a folder."""

    def handle(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json"))

    return handle


class profile:
    """Measures the operators of the steps that `schedule` names, or of the whole block.

    `step()` ends a step. After a last measured one `on_trace_ready(prof)` is called, and
    `key_averages()` and `export_chrome_trace` show what was measured then.
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        **options: Any,
    ) -> None:
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready = on_trace_ready
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.profiler: _profiler.profile | None = None
        self._running = False
        self._step_begin: record_function | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin."""
        self._follow()

    def stop(self) -> None:
        """End; what was measured until now is handed over."""
        if self._running:
            self._pause()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def step(self) -> None:
        """The next step begins."""
        ended = self.current_action
        if self._running and ended is ProfilerAction.RECORD_AND_SAVE:
            self.stop()
        elif self._step_begin is not None:
            self._step_begin.__exit__()
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        self._follow()

    def _follow(self) -> None:
        """Measure or not, as the current step wants."""
        wanted = self.current_action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if wanted and not self._running:
            self.profiler = _profiler.profile(
                record_shapes=self.record_shapes, profile_memory=self.profile_memory
            )
            self.profiler.__enter__()
            self._running = True
        elif not wanted and self._running:
            self._pause()
        if self._running and self.step_num:
            self._step_begin = record_function(f"ProfilerStep#{self.step_num}")
            self._step_begin.__enter__()

    def _pause(self) -> None:
        if self._step_begin is not None:
            self._step_begin.__exit__()
            self._step_begin = None
        if self.profiler is not None:
            self.profiler.__exit__(None, None, None)
        self._running = False

    def _measured(self) -> _profiler.profile:
        if self.profiler is None:
            raise AssertionError("Profiler must be initialized before getting its events")
        return self.profiler

    def events(self) -> EventList:
        """What was measured, in the order in which it began."""
        return self._measured().function_events

    def key_averages(self, *args: Any, **kwargs: Any) -> EventList:
        """One average per operator."""
        return self._measured().key_averages(*args, **kwargs)

    def export_chrome_trace(self, path: Any) -> None:
        """Write what was measured for chrome://tracing."""
        self._measured().export_chrome_trace(path)

    def add_metadata(self, key: str, value: str) -> None:
        """Words to go with the trace; they are not kept."""


__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function",
    "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip
__getattr__ = missing_attribute("torch.profiler")
