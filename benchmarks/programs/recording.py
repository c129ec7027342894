"""What recording costs in the main example, under bital only.

Everything but the running of traces counts as recording: Python, shape checks, autograd's nodes
and the backward walk. Prints one line of JSON: seconds per recorded operation, operations and
seconds of recording per step, and seconds of running per step.
"""

import json
import os
import time

from main_example import setup

from bital.ir import trace as ir


class RunClock:
    """Stands in for the hook that runs traces, and counts what it runs."""

    def __init__(self) -> None:
        self.inner = ir.hooks.run
        self.seconds = 0.0
        self.operations = 0

    def __call__(self, trace: ir.Trace, reason: str) -> None:
        self.operations += len(trace.code)
        start = time.perf_counter()
        self.inner(trace, reason)
        self.seconds += time.perf_counter() - start


def main() -> None:
    """Blocks of steps for BENCHMARK_SECONDS; the best one counts."""
    run = setup()
    run(50)
    clock = ir.hooks.run = RunClock()
    count, best = 50, None
    end = time.perf_counter() + float(os.environ.get("BENCHMARK_SECONDS", "2"))
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
    print(json.dumps(best))


if __name__ == "__main__":
    main()
