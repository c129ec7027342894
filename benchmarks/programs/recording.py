"""What recording costs in the main example, under bital only.

Everything but the running of traces counts as recording: Python, shape checks, autograd's nodes
and the backward walk. It is measured twice. "alone": traces are not run, and their results are
handed out from a store, so that nothing but recording is done. "among_runs": the program runs as
ever and the time of the runs is subtracted; what is left includes that the matrix products have
emptied the processor's caches. Prints one line of JSON, in seconds.
"""

import json
import os
import time
from collections.abc import Callable

import numpy as np
from main_example import setup

from bital.ir import trace as ir


class RunClock:
    """Stands in for the hook that runs traces, and counts what it runs."""

    def __init__(self, inner: Callable) -> None:
        self.inner = inner
        self.seconds = 0.0
        self.operations = 0
        self.runs = 0

    def __call__(self, trace: ir.Trace, reason: str) -> None:
        self.operations += trace.length
        self.runs += 1
        start = time.perf_counter()
        self.inner(trace, reason)
        self.seconds += time.perf_counter() - start


class Store:
    """Stands in for running: every pending value gets a ready array of its shape."""

    def __init__(self) -> None:
        self.arrays: dict = {}

    def __call__(self, trace: ir.Trace, reason: str) -> None:
        for value in trace.values:
            if value.buf is None:
                meta = value.meta
                if meta not in self.arrays:
                    self.arrays[meta] = np.zeros(meta.shape, meta.np)
                value.buf = self.arrays[meta]
        trace.empty()


def best_block(run: Callable, inner: Callable, seconds: float) -> dict:
    """The block of steps in which recording an operation took least."""
    clock = ir.hooks.run = RunClock(inner)
    count, best = 20, None
    end = time.perf_counter() + seconds
    while best is None or time.perf_counter() < end:
        clock.seconds, clock.operations = 0.0, 0
        start = time.perf_counter()
        run(count)
        recording = time.perf_counter() - start - clock.seconds
        figures = {
            "best": recording / clock.operations,
            "operations": clock.operations / count,
            "recording": recording / count,
            "running": clock.seconds / count,
        }
        if best is None or figures["best"] < best["best"]:
            best = figures
    return best


def main() -> None:
    """Both ways, for BENCHMARK_SECONDS in all."""
    run = setup()
    run(50)
    seconds = float(os.environ.get("BENCHMARK_SECONDS", "2")) / 2
    real = ir.hooks.run
    among_runs = best_block(run, real, seconds)
    alone = best_block(run, Store(), seconds)
    ir.hooks.run = real
    print(json.dumps({"alone": alone, "among_runs": among_runs}))


if __name__ == "__main__":
    main()
