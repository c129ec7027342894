"""`torch.autograd.profiler`: measuring the operators that a block runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, ClassVar

from bital.base.errors import missing_attribute
from bital.runtime.profile import Recording
from bital.torch.autograd.profiler_util import EventList, FunctionEvent, events_of


class profile:
    """Measures what runs inside the block: `with profile() as prof: …`, then `prof.table()`.

    What was recorded in the block is run in it. The options for other devices do nothing.
    """

    running: ClassVar[list[Recording]] = []

    def __init__(
        self, enabled: bool = True, *, record_shapes: bool = False, profile_memory: bool = False,
        **options: Any,
    ) -> None:  # fmt: skip
        self.enabled, self.record_shapes, self.profile_memory = (
            enabled, record_shapes, profile_memory,
        )  # fmt: skip
        self.recording = Recording()
        self.function_events = EventList()

    def __enter__(self) -> profile:
        if self.enabled:
            self.recording.start()
            self.running.append(self.recording)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.enabled:
            self.running.remove(self.recording)
            self.recording.stop()
            self.function_events = events_of(
                self.recording, self.record_shapes, self.profile_memory
            )

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events in microseconds."""
        return self.function_events.self_cpu_time_total

    def key_averages(self, *args: Any, **kwargs: Any) -> EventList:
        """One average per operator."""
        return self.function_events.key_averages(*args, **kwargs)

    def total_average(self) -> FunctionEvent:
        """All events as one."""
        return self.function_events.total_average()

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The events as text."""
        return self.function_events.table(*args, **kwargs)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events for chrome://tracing."""
        self.function_events.export_chrome_trace(path)

    def __str__(self) -> str:
        return self.table()


class record_function:
    """A range with a name in what is being measured: `with record_function("forward"): …`.

    Also a decorator. Where nothing is measured it does nothing.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self.begin: list[int] = []

    def __enter__(self) -> record_function:
        if profile.running:
            self.begin.append(perf_counter_ns())
        return self

    def __exit__(self, *exc: object) -> None:
        if self.begin:
            begin = self.begin.pop()
            if profile.running:
                profile.running[-1].range(self.name, begin)

    def __call__(self, fn: Callable) -> Callable:
        @functools.wraps(fn)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return fn(*args, **kwargs)

        return named


class emit_nvtx:
    """Ranges for NVIDIA's tools, which have nothing to see here: the block runs as it is."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> emit_nvtx:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


class emit_itt(emit_nvtx):
    """Ranges for Intel's tools, likewise."""


def kineto_available() -> bool:
    """Whether PyTorch's own tracing library is there: no."""
    return False


__getattr__ = missing_attribute("torch.autograd.profiler")
