"""The clock of the benchmark programs, whatever they are written with."""

import json
import os
import statistics
import time
from collections.abc import Callable

BLOCK_SECONDS = 0.01
#: after so many steps a program's value is compared with that of its peers
VALUE_STEPS = 20


def report(run: Callable[[int], float]) -> None:
    """Print one line of JSON.

    `best` and `median` are seconds per step over blocks of steps, `first` the seconds from the
    start of the process (BENCHMARK_START, in seconds since the epoch) until the first step was
    done, `value` what `run` returned after VALUE_STEPS steps.
    """
    run(1)
    first = time.time() - float(os.environ.get("BENCHMARK_START", "nan"))
    value = float(run(VALUE_STEPS - 1))
    budget = float(os.environ.get("BENCHMARK_SECONDS", "2"))
    count = steps_per_block(run)
    blocks: list[float] = []
    end = time.perf_counter() + budget
    while len(blocks) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run(count)
        blocks.append((time.perf_counter() - start) / count)
    figures = {"best": min(blocks), "median": statistics.median(blocks)}
    print(json.dumps(figures | {"first": first, "value": value}))


def steps_per_block(run: Callable[[int], float]) -> int:
    """So many steps that a block takes about BLOCK_SECONDS; finding out warms up, too."""
    count = 1
    while True:
        start = time.perf_counter()
        run(count)
        spent = time.perf_counter() - start
        if spent >= BLOCK_SECONDS:
            return count
        count = max(count + 1, min(4 * count, int(count * BLOCK_SECONDS / max(spent, 1e-9)) + 1))
