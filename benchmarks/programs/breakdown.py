"""Where the time of a program's step goes, under bital only: `breakdown.py NAME`.

Prints one line of JSON, in seconds per step: `step` in the best of many blocks of steps, `running`
what of it traces took to run, `recording` the rest; `instructions` and `cuts` per step; and by name
the dearest of what runs, as the profiler sees it (`dearest`: name, seconds and uses per step).
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module

import torch
from clock import steps_per_block
from recording import RunClock

from bital.ir import trace as ir
from bital.runtime.profile import Recording

SHOWN = 12


def split(run: Callable[[int], float], count: int, seconds: float) -> dict:
    """The best block of `count` steps, divided into recording and running."""
    inner = ir.hooks.run
    clock = ir.hooks.run = RunClock(inner)
    best: dict = {"step": float("inf")}
    end = time.perf_counter() + seconds
    while best["step"] == float("inf") or time.perf_counter() < end:
        clock.seconds, clock.operations, clock.runs = 0.0, 0, 0
        start = time.perf_counter()
        run(count)
        step = (time.perf_counter() - start) / count
        if step < best["step"]:
            running = clock.seconds / count
            best = {
                "step": step,
                "running": running,
                "recording": step - running,
                "instructions": clock.operations / count,
                "cuts": clock.runs / count,
            }
    ir.hooks.run = inner
    return best


def dearest(run: Callable[[int], float], count: int, rounds: int = 5) -> list[tuple]:
    """Name, seconds and uses per step of what takes longest: the best of some rounds."""
    best: dict[str, float] = {}
    uses: Counter = Counter()
    for _ in range(rounds):
        recording = Recording()
        recording.start()
        run(count)
        recording.stop()
        seconds: Counter = Counter()
        uses.clear()
        for event in recording.events:
            name = f"{event.name.removeprefix('aten::')} {_sizes(event.shapes)}"
            seconds[name] += (event.end - event.begin) / 1e9 / count
            uses[name] += 1
        best = {name: min(s, best.get(name, s)) for name, s in seconds.items()}
    ranked = sorted(best.items(), key=lambda entry: -entry[1])[:SHOWN]
    return [(name, s, uses[name] / count) for name, s in ranked]


def _sizes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) or "()" for shape in shapes)


def main() -> None:
    """Measure the program named on the command line."""
    (name,) = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("BENCHMARK_THREADS", "2")))
    torch.manual_seed(0)
    run = import_module(name).setup()
    run(20)
    count = steps_per_block(run)
    figures = split(run, count, float(os.environ.get("BENCHMARK_SECONDS", "2")))
    figures["dearest"] = dearest(run, count)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
