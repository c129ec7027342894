"""Events of a profile: lists of them, their averages, and the table that PyTorch prints."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from bital.base.atomic import write_file
from bital.runtime.profile import Event, Recording

#: how `table` may be sorted; of the device's times there are none
_SORTS = (
    "cpu_time", "cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
    "self_cpu_memory_usage", "count",
)  # fmt: skip


def _format_time(us: float) -> str:
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


def _format_memory(nbytes: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(nbytes) >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} B"


class FunctionEvent:
    """One operator or range that ran, or the average of many; times in microseconds."""

    def __init__(self, event: Event, children: int) -> None:
        self.key = self.name = event.name
        self.count = 1
        self.start_us = event.begin / 1e3
        self.input_shapes = [list(s) for s in event.shapes]
        self.cpu_time_total = (event.end - event.begin) / 1e3
        self.self_cpu_time_total = (event.end - event.begin - children) / 1e3
        self.cpu_memory_usage = self.self_cpu_memory_usage = event.nbytes
        self.device_time_total = self.self_device_time_total = 0.0
        self.thread = event.thread
        self.is_user_annotation = event.is_range

    @property
    def cpu_time(self) -> float:
        """The average time of one call."""
        return self.cpu_time_total / self.count

    device_time = cuda_time = 0.0

    def add(self, other: FunctionEvent) -> FunctionEvent:
        """Add another event of the same name to this average."""
        self.count += other.count
        for name in ("cpu_time_total", "self_cpu_time_total", "cpu_memory_usage",
                     "self_cpu_memory_usage"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} key={self.key} self_cpu_time="
            f"{_format_time(self.self_cpu_time_total)} cpu_time={_format_time(self.cpu_time)} "
            f"count={self.count}>"
        )


class FunctionEventAvg(FunctionEvent):
    """The average of the events of one name."""


class EventList(list):
    """Events, in the order in which they began."""

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all events, each counted once, in microseconds."""
        return sum(e.self_cpu_time_total for e in self)

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0, **options: Any
    ) -> EventList:
        """One average per name, or per name and shapes."""
        found: dict[Any, FunctionEventAvg] = {}
        for event in self:
            shapes = tuple(map(tuple, event.input_shapes)) if group_by_input_shape else ()
            key = event.key, shapes
            if key in found:
                found[key].add(event)
            else:
                average = found[key] = FunctionEventAvg.__new__(FunctionEventAvg)
                average.__dict__.update(event.__dict__)
        return EventList(found.values())

    def total_average(self) -> FunctionEventAvg:
        """All events as one."""
        total = FunctionEventAvg(Event("Total", 0, 0, 0, (), 0, True), 0)
        total.count = 0
        for event in self:
            total.add(event)
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        header: str | None = None,
        top_level_events_only: bool = False,
        **options: Any,
    ) -> str:
        """The events as text, the largest in `sort_by` first."""
        rows: Sequence[Any] = self
        if sort_by is not None:
            name = sort_by.replace("cuda", "cpu").replace("device", "cpu")
            if name not in _SORTS:
                raise AttributeError(f"sort_by must be one of {', '.join(_SORTS)}, got {sort_by}")
            rows = sorted(self, key=lambda e: getattr(e, name), reverse=True)
        memory = any(e.cpu_memory_usage for e in self)
        shapes = any(e.input_shapes for e in self)
        whole = self.self_cpu_time_total
        rows = rows[: row_limit if row_limit >= 0 else None]
        lines = [_cells(e, whole, memory, shapes, max_name_column_width) for e in rows]
        return _table(_titles(memory, shapes), lines, whole, header)

    def export_chrome_trace(self, path: str | os.PathLike) -> None:
        """Write the events for chrome://tracing or ui.perfetto.dev."""
        events = [
            {
                "ph": "X", "cat": "user_annotation" if e.is_user_annotation else "cpu_op",
                "name": e.name, "pid": os.getpid(), "tid": e.thread, "ts": e.start_us,
                "dur": e.cpu_time_total, "args": {"Input Dims": e.input_shapes},
            }
            for e in self
        ]  # fmt: skip
        text = json.dumps({"schemaVersion": 1, "traceEvents": events})
        write_file(path, lambda file: file.write(text.encode()))


def _titles(memory: bool, shapes: bool) -> list[str]:
    titles = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
    titles += ["CPU Mem", "Self CPU Mem"] * memory + ["# of Calls"] + ["Input Shapes"] * shapes
    return titles


def _cells(e: FunctionEvent, whole: float, memory: bool, shapes: bool, width: int) -> list[str]:
    name = e.key if len(e.key) <= width else f"{e.key[: width - 3]}..."
    part = 100 / whole if whole else 0.0
    cells = [
        name, f"{e.self_cpu_time_total * part:.2f}%", _format_time(e.self_cpu_time_total),
        f"{e.cpu_time_total * part:.2f}%", _format_time(e.cpu_time_total), _format_time(e.cpu_time),
    ]  # fmt: skip
    if memory:
        cells += [_format_memory(e.cpu_memory_usage), _format_memory(e.self_cpu_memory_usage)]
    return cells + [str(e.count)] + [str(e.input_shapes)] * shapes


def _table(titles: list[str], lines: list[list[str]], whole: float, header: str | None) -> str:
    widths = [max(map(len, column)) + 2 for column in zip(titles, *lines)]
    rule = "  ".join("-" * w for w in widths)
    text = [] if header is None else ["=" * len(rule), header]
    text += [rule, "  ".join(t.rjust(w) for t, w in zip(titles, widths)), rule]
    text += ["  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in lines]
    return "\n".join([*text, rule, f"Self CPU time total: {_format_time(whole)}", ""])


def events_of(recording: Recording, shapes: bool, memory: bool) -> EventList:
    """A recording's events with the time that each spent in itself."""
    children = [0] * len(recording.events)
    open_ranges: dict[int, list[int]] = {}
    order = sorted(range(len(recording.events)), key=lambda k: recording.events[k].begin)
    for k in order:
        event = recording.events[k]
        above = open_ranges.setdefault(event.thread, [])
        while above and recording.events[above[-1]].end <= event.begin:
            above.pop()
        if above:
            children[above[-1]] += event.end - event.begin
        if event.is_range:
            above.append(k)
    events = EventList(FunctionEvent(recording.events[k], children[k]) for k in order)
    for event in events:
        if not shapes:
            event.input_shapes = []
        if not memory:
            event.cpu_memory_usage = event.self_cpu_memory_usage = 0
    return events
