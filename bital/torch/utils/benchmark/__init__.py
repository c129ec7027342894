"""`torch.utils.benchmark`: timing statements, with what they recorded counted in."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from typing import Any

from bital.base.errors import missing_attribute
from bital.ir.trace import flush


def _format(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.2f} ns"


class Measurement:
    """Times of a statement: `times` in seconds per run, `mean`, `median`, `iqr`."""

    def __init__(self, title: str, number_per_run: int, raw_times: list[float], threads: int = 1):
        self.title, self.number_per_run, self.raw_times = title, number_per_run, raw_times
        self.num_threads = threads

    @property
    def times(self) -> list[float]:
        """Seconds of one run, for each measurement."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """The median of `times`."""
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles of `times`."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.times, n=4)
        return high - low

    def __repr__(self) -> str:
        count = len(self.raw_times)
        many = count > 1
        lines = [f"{type(self).__module__}.{type(self).__name__} object", self.title]
        lines.append(f"  {'Median: ' if many else ''}{_format(self.median)}")
        if many:
            lines.append(f"  IQR:    {_format(self.iqr)}")
        lines.append(
            f"  {count} measurement{'s' if many else ''}, {self.number_per_run} runs "
            f"{'per measurement' if many else ''}, {self.num_threads} thread"
        )
        return "\n".join(lines).replace("bital.torch", "torch")


def _kept(stmt: str) -> str:
    """The statement with its value kept until it is computed: what nobody holds is never run."""
    try:
        compile(stmt, "<stmt>", "eval")
    except SyntaxError:
        return f"{stmt}\n_flush('a timed statement ends')"
    return f"_kept = ({stmt}\n)\n_flush('a timed statement ends')"


class Timer:
    """Times a statement, as `timeit.Timer`; each run computes what it records."""

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timeit.default_timer, globals: dict[str, Any] | None = None,
        label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1, language: Any = "python",
    ) -> None:  # fmt: skip
        self.title = label or stmt
        self.num_threads = num_threads
        names = {**(globals or {}), "_flush": flush}
        self._timer = timeit.Timer(_kept(stmt), setup, timer, names)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """Run it `number` times, after some to warm up."""
        self._timer.timeit(max(number // 100, 2))
        times = [self._timer.timeit(number)]
        return Measurement(self.title, number, times, self.num_threads)

    def blocked_autorange(
        self, callback: Callable | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Run it in blocks until `min_run_time` seconds have passed."""
        number = self._block(min_run_time)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._timer.timeit(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(self.title, number, times, self.num_threads)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable | None = None,
    ) -> Measurement:  # fmt: skip
        """Run it in blocks until the quartiles lie within `threshold` of the median."""
        number = self._block(min_run_time)
        times: list[float] = []
        found = Measurement(self.title, number, times, self.num_threads)
        while sum(times) < max_run_time:
            times.append(self._timer.timeit(number))
            if callback is not None:
                callback(number, times[-1])
            if len(times) > 3 and found.iqr < threshold * found.median:
                if sum(times) >= min_run_time:
                    break
        return found

    def _block(self, min_run_time: float) -> int:
        """How many runs are long enough for the clock."""
        number = 1
        while self._timer.timeit(number) < min_run_time / 1000 and number < 1 << 30:
            number *= 10
        return number


__all__ = ["Measurement", "Timer"]
__getattr__ = missing_attribute("torch.utils.benchmark")
