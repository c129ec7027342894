"""When the main example's plan is compiled, under bital only: `plans.py` prints one line of JSON.

`compiled` is the seconds from the start of the process until a step ran natively, `steps` the steps
until then, `compile_s` what compiling took or, where the object code was found in the user's cache,
loading it. None where nothing was compiled.
"""

import json
import os
import time

from main_example import setup

PATIENCE = 10.0


def compiled_plans() -> list:
    """What bital tells of the plans it has compiled; nothing where it does not compile."""
    import bital

    plans = getattr(bital, "plans", list)()
    return [plan for plan in plans if getattr(plan, "compiled", False)]


def main() -> None:
    """Step until a compiled plan has run."""
    run = setup()
    figures = {"compiled": None, "steps": None, "compile_s": None}
    end = time.perf_counter() + PATIENCE
    steps = 0
    while time.perf_counter() < end:
        run(1)
        steps += 1
        found = compiled_plans()
        if found:
            figures["compiled"] = time.time() - float(os.environ["BENCHMARK_START"])
            figures["steps"] = steps
            figures["compile_s"] = max(plan.compile_seconds for plan in found)
            break
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
