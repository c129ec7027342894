"""Plans run both ways: what is compiled must give what is interpreted.

Within `both()` every plan that is run is run step by step on copies, then as native code; the
results are compared, and the native ones go on. `pytest --both` runs a whole session so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bital.codegen import generate, steps
from bital.codegen.native import Native
from bital.ir.op import Spec
from bital.ir.task import Task, absent_of
from bital.ir.trace import Pick
from bital.plan.fuse import Fusion
from bital.runtime import executor
from bital.runtime.compile import layouts_of
from bital.runtime.plan import Plan, hooks
from tests.plan.sound import Sound
from tests.tolerance import BETWEEN_RUNS, difference

#: kinds of dtype that are compared within a tolerance, and as what
WIDE = {"f": np.float64, "c": np.complex128, "V": np.float64}


class Seen:
    """What was run: plans compiled, runs compared, and runs that native code refused."""

    def __init__(self, exact: bool = False) -> None:
        self.exact = exact
        self.plans = self.runs = self.refused = 0


def compile_plan(plan: Plan, arrays: list, params: list) -> None:
    """Compile a plan for inputs that lie as these do, unless it is."""
    compiler = plan.compiler
    if compiler.native is None:
        compiler.layouts = layouts_of(arrays, compiler.donated)
        task = Task(
            compiler.code, compiler.held, compiler.donated, list(compiler.layouts),
            absent_of(params),
        )  # fmt: skip
        compiler.native = Native(task)
        compiler.state = "native"


def agree(plan: Plan, given: list, ours: list, theirs: list, exact: bool = False) -> None:
    """Fail unless native results are those of the interpreter, within the tolerance.

    It is that of the roughest dtype on the way, of the largest number met; 0 where `exact`.
    """
    code = plan.compiler.code
    dtypes = {meta.dtype for spec, *_ in code if isinstance(spec, Spec) for meta in metas(spec)}
    rtol = max(BETWEEN_RUNS.get(str(d).removeprefix("torch."), 0.0) for d in dtypes)
    rtol = 0.0 if exact else rtol
    atol = rtol * max(map(largest, [*given, *theirs]))
    for number, mine, true in zip(plan.held, ours, theirs, strict=True):
        if is_free(code, number):
            continue
        true, mine = np.asarray(true), np.asarray(mine)
        what = f"instruction {number} {code[number][0]!r}"
        same = mine.dtype == true.dtype and mine.shape == true.shape
        assert same, f"{what}: {mine.dtype}{mine.shape} for {true.dtype}{true.shape}"
        wide = WIDE.get(true.dtype.kind)
        if wide is not None:
            wrong = difference(mine.astype(wide), true.astype(wide), rtol, atol)
        else:
            wrong = difference(mine, true, 0.0, 0.0)
        assert wrong is None, f"{what}: compiled against interpreted: {wrong}"


def is_free(code: list[tuple], number: int) -> bool:
    """Whether a result may be another one: attention keeps for its gradient what suits it."""
    spec, *refs = code[number]
    return isinstance(spec, Pick) and spec.k > 0 and code[refs[0]][0].op.name.endswith("attention")


def metas(spec: Spec) -> list:
    """What an instruction takes and gives."""
    return [*spec.metas, *(spec.out if isinstance(spec.out, tuple) else (spec.out,))]


def largest(x: Any) -> float:
    """The largest finite number of an array of floats, else 1."""
    x = np.asarray(x)
    if x.dtype.kind not in WIDE:
        return 1.0
    sizes = np.abs(x.astype(WIDE[x.dtype.kind]))
    return sizes[np.isfinite(sizes)].max(initial=0.0)


def run_both(seen: Seen, plan: Plan, arrays: list, params: list) -> list:
    """`Plan.run`, done twice."""
    plan.runs += 1
    compiler = plan.compiler
    if hooks.watch is not None or hooks.interpreted:
        return plan.interpret(arrays, params, hooks.watch)
    given = list(arrays)
    kept = [a.copy(order="K") for a in given]
    fresh = [k if gone else a for a, k, gone in zip(given, kept, compiler.donated)]
    fresh = [a.copy(order="K") if a is k else a for a, k in zip(fresh, kept)]
    theirs: Any
    try:
        theirs = plan.interpret(fresh, params)
    except Exception as error:
        theirs = error
    seen.plans += compiler.native is None
    compile_plan(plan, given, params)
    try:
        ours: Any = compiler.native.run(arrays, params) or compiler.again(arrays, params)
    except Exception as error:
        assert isinstance(theirs, Exception), f"compiled code raises {error!r}"
        same = type(error) is type(theirs) and error.args == theirs.args
        assert same, f"compiled code raises {error!r}, not {theirs!r}"
        assert error.instruction == theirs.instruction, "another instruction raises"
        raise
    for a, k, gone in zip(given, kept, compiler.donated):
        untouched = gone and isinstance(ours, list) or a.tobytes() == k.tobytes()
        assert untouched, "an input was overwritten"
    if ours is None:
        seen.refused += 1
        return plan.interpret(arrays, params)
    seen.runs += 1
    assert isinstance(theirs, list), f"compiled code does not raise {theirs!r}"
    agree(plan, kept, ours, theirs, seen.exact)
    return ours


@contextmanager
def both(exact: bool = False) -> Iterator[Seen]:
    """Within the block every plan runs both ways; `exact`: with the same bits.

    What is compiled is looked at, too: whether groups read only what is there.
    """
    seen = Seen(exact)
    before = Plan.run, executor._is_tiny
    generate.Fusion = steps.Fusion = Sound
    Plan.run = lambda plan, arrays, params: run_both(seen, plan, arrays, params)
    executor._is_tiny = lambda step: False  # which would run without a plan
    try:
        yield seen
    finally:
        Plan.run, executor._is_tiny = before
        generate.Fusion = steps.Fusion = Fusion
