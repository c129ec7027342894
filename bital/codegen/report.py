"""Report: what a compiled plan is made of, for people: its kernels, their sizes and times.

Room: codegen.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from bital.base.extent import hint
from bital.codegen import jit
from bital.codegen.kernel import At, Scratch
from bital.codegen.module import Call
from bital.codegen.target import host
from bital.ir.trace import place_of
from bital.plan.node import Node


@dataclass(frozen=True)
class KernelReport:
    """One kernel of a plan.

    name      the operators that it is made of: "mm + relu"
    kind      "loop", "product", …
    shape     the sizes that it runs over, one that changes as an expression of n; `reduced` the
              axes that it sums or compares over
    nbytes    of the arrays that it reads and writes, each counted once; for a size that changes
              those of one it was met with
    chunks    the pieces it is divided into for threads
    seconds   that it has taken so far (0 where the processor's counter cannot be read)
    lines     the user's lines that it comes from, where they are kept (BITAL_LOG=plan)
    function  its name in the LLVM IR
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    nbytes: int
    chunks: int
    seconds: float
    lines: tuple[str, ...]
    function: str

    def __str__(self) -> str:
        return f"{self.seconds * 1e6:10.1f} µs  {self.describe()}"

    def describe(self) -> str:
        """All but the time."""
        over = f" over {list(self.reduced)}" if self.reduced else ""
        lines = f"   # {', '.join(self.lines)}" if self.lines else ""
        return f"{self.kind} {list(self.shape)}{over}, {_bytes(self.nbytes)}: {self.name}{lines}"


def _bytes(n: int) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 10_000:
            return f"{n} {unit}"
        n //= 1000
    return f"{n} GB"


def kernels(
    native: Any, cycles: list[int], lines: dict[int, tuple] | None = None
) -> list[KernelReport]:
    """The kernels of a compiled plan, in the order in which they run.

    `cycles` are those of its regions, see `Native.cycles`.
    """
    rate = cycles_per_second()
    return [
        _kernel(native, call, call.share * cycles[call.region] / rate, lines or {})
        for call in native.calls
    ]


def _kernel(native: Any, call: Call, seconds: float, lines: dict[int, tuple]) -> KernelReport:
    program = native.generated.program
    code, numbers = program.code, program.numbers
    names: list[str] = []
    places: list[str] = []
    for node in call.group.nodes:
        number = numbers.get(node)
        if number is None:
            continue
        op = getattr(code[number][0], "op", None)
        if op is not None and op.name not in names:
            names.append(op.name)
        line = lines.get(number)
        if line is None or line[0].startswith("<"):  # a gradient's: nobody wrote it
            continue
        if place_of(line) not in places:
            places.append(place_of(line))
    roots = {o.root if isinstance(o, At) else o for o in call.kernel.operands}
    nbytes = sum(hint(r.nbytes) for r in roots if isinstance(r, Node | Scratch))
    return KernelReport(
        " + ".join(names) or "copy", call.group.kind, tuple(call.group.domain),
        tuple(call.group.reduced or ()), nbytes, call.kernel.chunks, seconds, tuple(places),
        call.function,
    )  # fmt: skip


def opaque(native: Any) -> list[tuple[str, str]]:
    """The instructions that NumPy runs between the kernels, and why."""
    program = native.generated.program
    return [(program.code[number][0].op.name, why) for number, why in program.opaque]


def assembly(native: Any) -> str:
    """The host's assembly of a compiled plan."""
    return jit.assembly(native.text, host())


@functools.cache
def cycles_per_second() -> float:
    """How fast the processor's counter runs, measured against the clock for 2 ms."""
    text = (
        "declare i64 @llvm.readcyclecounter()\n"
        "define i64 @cycles() { %n = call i64 @llvm.readcyclecounter() ret i64 %n }\n"
    )
    if not host().is_x86:
        return 1.0
    library = jit.build(text)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(library.address("cycles"))
    begin, start = read(), perf_counter_ns()
    while perf_counter_ns() - start < 2_000_000:
        pass
    return (read() - begin) / (perf_counter_ns() - start) * 1e9
