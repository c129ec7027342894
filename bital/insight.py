"""Insight: what bital has recorded and compiled so far, to look at.

import bital
for plan in bital.plans():
    print(plan)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bital.runtime import executor

if TYPE_CHECKING:
    from bital.codegen.report import KernelReport


@dataclass(frozen=True)
class PlanReport:
    """A trace that was run, and how; traces that differ in a size n only may be one.

    runs         how often
    native_runs  how often as native code
    seconds      that the native runs have taken
    instructions that were recorded
    nbytes       of the memory that the native code works in, beside inputs and results
    state        "interpreted", "compiling", "native", or "failed"
    compile_s    that generating or loading the code took; `from_cache`: it was on the disk
    kernels      of the native code, see KernelReport
    opaque       (operator, reason) of the instructions that NumPy runs between kernels
    llvm_ir      the text that was compiled

    The last three are worked out when they are first asked for.
    """

    runs: int
    native_runs: int
    seconds: float
    instructions: int
    nbytes: int
    state: str
    compile_s: float
    from_cache: bool
    _native: Any = field(repr=False)
    _cycles: list[int] = field(repr=False)
    _lines: dict[int, tuple] = field(repr=False)

    @functools.cached_property
    def kernels(self) -> tuple[KernelReport, ...]:
        if self._native is None:
            return ()
        from bital.codegen import report

        return tuple(report.kernels(self._native, self._cycles, self._lines))

    @functools.cached_property
    def opaque(self) -> tuple[tuple[str, str], ...]:
        if self._native is None:
            return ()
        from bital.codegen import report

        return tuple(report.opaque(self._native))

    @property
    def llvm_ir(self) -> str:
        return self._native.text if self._native is not None else ""

    def assembly(self) -> str:
        """The processor's instructions, as assembly; RuntimeError where there are none."""
        if self._native is None:
            raise RuntimeError(f"this plan has no native code: it is {self.state}")
        from bital.codegen.report import assembly

        return assembly(self._native)

    def __str__(self) -> str:
        head = (
            f"{self.state} plan of {self.instructions} instructions, {self.runs} runs, "
            f"{self.native_runs} native in {self.seconds * 1e3:.3f} ms, "
            f"{len(self.kernels)} kernels, {self.nbytes} bytes of its own"
        )
        rest = [f"  {kernel}" for kernel in self.kernels]
        rest += [f"  through NumPy: {name} ({why})" for name, why in self.opaque]
        return "\n".join([head, *rest])


def plans() -> list[PlanReport]:
    """The plans that are kept, those that took longest first."""
    alike: dict[int, list] = {}  # those of a family are one
    for plan in list(executor.cache.plans.values()):
        alike.setdefault(id(plan.compiler.native or plan), []).append(plan)
    found = [_report(plans) for plans in alike.values()]
    return sorted(found, key=lambda r: (-r.seconds, -r.runs))


def _report(plans: list) -> PlanReport:
    compiler = plans[0].compiler
    native = compiler.native
    return PlanReport(
        runs=sum(plan.runs for plan in plans),
        native_runs=native.clock[0] if native is not None else 0,
        seconds=native.clock[1] / 1e9 if native is not None else 0.0,
        instructions=len(compiler.code),
        nbytes=native.nbytes if native is not None else 0,
        state=compiler.state,
        compile_s=native.seconds if native is not None else 0.0,
        from_cache=native.library.from_cache if native is not None else False,
        _native=native,
        _cycles=native.cycles() if native is not None else [],
        _lines=compiler.lines,
    )
