"""How every benchmark program times itself; the same code under torch and under bital.

A program defines `setup()`, which returns `run(count)`: it performs `count` steps, reads the last
result, so that nothing recorded is left to be done after the clock has stopped, and returns a
number that depends on all steps before it. Some give the function from their inputs to the loss
to the argument `prepare` first, in the place of which `benchmarks/peers` puts torch.compile.
"""

import os
from collections.abc import Callable

import torch
from clock import report


def measure(setup: Callable[[], Callable[[int], float]]) -> None:
    """Print one line of JSON: see clock.report."""
    torch.set_num_threads(int(os.environ.get("BENCHMARK_THREADS", "2")))
    torch.manual_seed(0)
    report(setup())


def as_it_is(function: Callable) -> Callable:
    """The function as it was written."""
    return function
