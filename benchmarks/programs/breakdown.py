"""Where the time of a program's step goes, under bital only: `breakdown.py NAME`.

Prints one line of JSON, in seconds per step: `step` in the best of many blocks of steps, `running`
what of it traces took to run, `recording` the rest; `kernels` what native code takes when it is
quickest; `instructions` and `cuts` per step. `opaque` are the operators that NumPy runs between
kernels, by how many instructions; `dearest` the kernels that take longest: what they are, seconds
per step and how many are alike.
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

import bital
from bital.ir import trace as ir

SHOWN = 12


def block(run: Callable[[int], float], count: int) -> dict:
    """One block of `count` steps, divided into recording and running."""
    inner = ir.hooks.run
    clock = ir.hooks.run = RunClock(inner)
    start = time.perf_counter()
    run(count)
    step = (time.perf_counter() - start) / count
    ir.hooks.run = inner
    running = clock.seconds / count
    return {
        "step": step,
        "running": running,
        "recording": step - running,
        "instructions": clock.operations / count,
        "cuts": clock.runs / count,
    }


def kernel_seconds() -> dict[tuple[str, int], tuple[str, float]]:
    """What every kernel is and has taken so far, by its plan's text and its place there."""
    return {
        (plan.llvm_ir, k): (kernel.describe(), kernel.seconds)
        for plan in bital.plans()
        for k, kernel in enumerate(plan.kernels)
    }


def split(run: Callable[[int], float], count: int, seconds: float) -> dict:
    """The best block, and of every kernel the least seconds per step in any."""
    best: dict = {"step": float("inf")}
    least: dict[tuple[str, int], float] = {}
    before = kernel_seconds()
    end = time.perf_counter() + seconds
    while not least or time.perf_counter() < end:
        found = block(run, count)
        best = min(best, found, key=lambda figures: figures["step"])
        after = kernel_seconds()
        for key, (_, spent) in after.items():
            taken = (spent - before.get(key, ("", 0.0))[1]) / count
            least[key] = min(taken, least.get(key, taken))
        before = after
        if not after:
            break
    totals: Counter = Counter()
    alike: Counter = Counter()
    for key, spent in least.items():
        if spent:
            totals[before[key][0]] += spent
            alike[before[key][0]] += 1
    best["kernels"] = totals.total()
    best["dearest"] = [(name, s, alike[name]) for name, s in totals.most_common(SHOWN)]
    return best


def main() -> None:
    """Measure the program named on the command line."""
    (name,) = sys.argv[1:]
    torch.set_num_threads(int(os.environ.get("BENCHMARK_THREADS", "2")))
    torch.manual_seed(0)
    run = import_module(name).setup()
    run(20)
    count = steps_per_block(run)
    figures = split(run, count, float(os.environ.get("BENCHMARK_SECONDS", "2")))
    used = [plan for plan in bital.plans() if plan.native_runs >= count]
    figures["opaque"] = Counter(op for plan in used for op, _ in plan.opaque).most_common()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
