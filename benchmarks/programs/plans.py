"""When the main example's plan is compiled, under bital only: `plans.py` prints one line of JSON.

`compiled` is the seconds from the start of the process until a step ran natively, `steps` the steps
until then, `compile_s` what compiling took or, where the object code was found in the user's cache,
loading it. None where nothing was compiled.
"""

import json
import os
import time

from main_example import setup

import bital

PATIENCE = 10.0


def main() -> None:
    """Step until a compiled plan has run."""
    run = setup()
    figures = {"compiled": None, "steps": None, "compile_s": None}
    end = time.perf_counter() + PATIENCE
    steps, native = 0, []
    while not native and time.perf_counter() < end:
        run(1)
        steps += 1
        native = [plan for plan in bital.plans() if plan.native_runs]
    if native:
        figures["compiled"] = time.time() - float(os.environ["BENCHMARK_START"])
        figures["steps"] = steps
        figures["compile_s"] = max(plan.compile_s for plan in native)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
