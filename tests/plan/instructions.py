"""Instructions as they are met: what the parity cases and a few more programs record.

Each is kept with the arrays and numbers it was given, once per layout of these.
"""

import contextlib
import functools
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bital import torch
from bital.base import config
from bital.base.stride import element_strides
from bital.ir.meta import meta_of
from bital.ir.op import Spec
from bital.ir.task import Task
from bital.ir.trace import PARAM, Pick
from bital.plan.lower import Program
from bital.plan.node import KINDS
from bital.runtime.plan import Plan
from tests.parity.cases import RUNS
from tests.parity.harness import run_case
from tests.plan.samples import look
from tests.tolerance import difference, limits

#: how many instructions of an operator are looked at
_MOST = 60


class Met(NamedTuple):
    """An instruction, its operands (arrays and numbers), and what it gave."""

    spec: Spec
    args: tuple
    results: tuple

    @property
    def kinds(self) -> str | None:
        """The operands' kinds of element, None where some have none."""
        kinds = [KINDS.get(m.np) for m in self.spec.metas]
        return None if None in kinds else " ".join(map(str, kinds))

    def program(self) -> tuple[Program, list, list]:
        """The instruction as a trace of its own; its arrays, its numbers."""
        arrays = [a for a in self.args if isinstance(a, np.ndarray)]
        params = [a for a in self.args if not isinstance(a, np.ndarray)]
        array, number = iter(range(len(arrays))), iter(range(len(params)))
        refs = [
            ~next(array) if isinstance(a, np.ndarray) else PARAM + next(number) for a in self.args
        ]
        layouts = [element_strides(a) for a in arrays]
        task = Task([(self.spec, *refs)], (0,), (False,) * len(arrays), layouts)
        return Program(task), arrays, params

    def complaint(self, results: list[np.ndarray], exact: bool = False) -> str | None:
        """What is wrong with results computed another way, or None."""
        name = self.spec.op.name
        pairs = zip(_comparable(name, results), _comparable(name, self.results), strict=True)
        for k, (ours, theirs) in enumerate(pairs):
            if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
                return f"{self.spec!r}: {ours.dtype}{ours.shape} for {theirs.dtype}{theirs.shape}"
            rtol, atol = (0.0, 0.0) if exact else limits(str(theirs.dtype))
            finite = np.abs(theirs[np.isfinite(theirs)])
            wrong = difference(ours, theirs, rtol, atol * max(1.0, finite.max(initial=0)))
            if wrong is None and theirs.dtype.kind == "f":
                both_zero = (ours == 0) & (theirs == 0)
                if (both_zero & (np.signbit(ours) != np.signbit(theirs))).any():
                    wrong = "a zero has another sign"
            if wrong is not None:
                return f"{self.spec!r}: result {k}: {wrong}"
        return None


def _comparable(name: str, results: Sequence) -> Sequence:
    """Results as they can be compared: attention is free in the size of what it keeps."""
    if name.endswith("attention"):
        out, shares, r = results
        return [out, shares * r]
    return results


def _as_computed(spec: Spec) -> Spec:
    """A spec whose operands have been cast already, as its function takes them."""
    if spec.compute is None:
        return spec
    metas = tuple(meta_of(m.shape, spec.compute, m.device) for m in spec.metas)
    cast = Spec(spec.op, metas, spec.attrs, spec.out, spec.fn, None)
    cast.asked = spec.asked
    return cast


class _Recorder:
    def __init__(self) -> None:
        self.found: list[Met] = []
        self.keys: set[tuple] = set()
        self.counts: Counter = Counter()

    def run(self, plan: Plan, arrays: list, params: list) -> None:
        """Interpret a plan's steps one by one, on the side."""
        env: dict[int, Any] = {~k: a for k, a in enumerate(arrays)}
        for step in plan.steps:
            args = [params[r - PARAM] if r >= PARAM else env[r] for r in step.refs]
            if isinstance(step.spec, Pick):
                env[step.number] = args[0][step.spec.k]
                continue
            env[step.number] = result = step.spec.fn(*args)
            self.meet(_as_computed(step.spec), args, result)

    def meet(self, spec: Spec, args: list, result: Any) -> None:
        name = spec.op.name
        arrays = [np.asarray(a) if isinstance(a, np.generic) else a for a in args]
        key = (
            spec,
            *[element_strides(a) if isinstance(a, np.ndarray) else type(a) for a in arrays],
        )
        if key in self.keys or self.counts[name] >= _MOST:
            return
        self.keys.add(key)
        self.counts[name] += 1
        results = result if isinstance(spec.out, tuple) else (result,)
        copies = [a.copy(order="K") if isinstance(a, np.ndarray) else a for a in arrays]
        if any(
            element_strides(c) != element_strides(a)
            for c, a in zip(copies, arrays)
            if hasattr(a, "shape")
        ):
            copies = arrays  # repeated elements: windows of what nobody writes to
        self.found.append(Met(spec, tuple(copies), tuple([np.array(r) for r in results])))


@contextlib.contextmanager
def _watched() -> Iterator[_Recorder]:
    recorder, run = _Recorder(), Plan.run

    def watched(plan: Plan, arrays: list, params: list) -> list:
        with np.errstate(all="ignore"), contextlib.suppress(Exception):
            recorder.run(plan, arrays, params)  # what raises here will raise there
        return run(plan, arrays, params)

    Plan.run = watched  # type: ignore[method-assign]
    try:
        yield recorder
    finally:
        Plan.run = run  # type: ignore[method-assign]


@functools.cache
def instructions() -> dict[str, list[Met]]:
    """All instructions, by their operator's name."""
    # single instructions on a few numbers would otherwise run without a plan
    with _watched() as recorder, warnings.catch_warnings(), config.override(compile="never"):
        warnings.simplefilter("ignore")
        for case, dtype in RUNS:
            with contextlib.suppress(Exception):
                run_case(torch, case, dtype)
        look(torch)
    found: dict[str, list[Met]] = {}
    for met in recorder.found:
        found.setdefault(met.spec.op.name, []).append(met)
    return found
