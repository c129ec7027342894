"""How every benchmark program times itself; the same code under torch and under bital.

A program defines `setup()`, which returns `run(count)`: it performs `count` steps and reads the
last result, so that nothing recorded is left to be done after the clock has stopped.
"""

import json
import os
import statistics
import time
from collections.abc import Callable

import torch

BLOCK_SECONDS = 0.05


def measure(setup: Callable[[], Callable[[int], object]]) -> None:
    """Print one line of JSON: seconds per step, best and median over blocks of steps."""
    torch.set_num_threads(int(os.environ.get("BENCHMARK_THREADS", "2")))
    torch.manual_seed(0)
    budget = float(os.environ.get("BENCHMARK_SECONDS", "2"))
    run = setup()
    run(3)
    count = _steps_per_block(run)
    blocks = []
    end = time.perf_counter() + budget
    while len(blocks) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run(count)
        blocks.append((time.perf_counter() - start) / count)
    print(json.dumps({"best": min(blocks), "median": statistics.median(blocks)}))


def _steps_per_block(run: Callable[[int], object]) -> int:
    """So many steps that a block takes about BLOCK_SECONDS; finding out warms up, too."""
    count = 1
    while True:
        start = time.perf_counter()
        run(count)
        spent = time.perf_counter() - start
        if spent >= BLOCK_SECONDS:
            return count
        count = max(count + 1, min(4 * count, int(count * BLOCK_SECONDS / max(spent, 1e-9)) + 1))
