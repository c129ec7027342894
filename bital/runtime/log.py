"""Log: BITAL_LOG=trace,plan prints what was recorded, where it was cut and why, and its kernels.

Room: runtime. Lines go to standard error, prefixed so that they can be told from the program's.
"""

from __future__ import annotations

import sys
from typing import Any

from bital.base import config
from bital.ir import trace as ir
from bital.ir.trace import PARAM, Pick

trace_wanted = "trace" in config.log
plan_wanted = "plan" in config.log
enabled = trace_wanted or plan_wanted
if enabled:
    ir.hooks.keep_lines = True


def cut(code: list, inputs: dict, held: list, lines: dict, reason: str, known: bool) -> None:
    """Print one cut: the instructions if traces are asked for, one line if plans are."""
    place = ir.place_of(ir.user_line())
    if trace_wanted:
        alive = set(held)
        for number, (spec, *operands) in enumerate(code):
            _print(_instruction(number, spec, operands, number in alive, lines.get(number)))
    _print(
        f"cut: {reason} at {place}; {len(code)} instructions, "
        f"{len(inputs)} inputs, {len(held)} results kept; "
        f"plan {'known' if known else 'new'}"
    )


def compiled(native: Any, lines: dict[int, tuple]) -> None:
    """Print what a plan has become: its kernels, and what stays with NumPy."""
    from bital.codegen import report

    how = "from the cache" if native.library.from_cache else "compiled"
    bounds = native.bounds
    of = f", n from {bounds.least} to {bounds.most}" if bounds else ""
    _print(f"native from now on{of} ({how} in {native.seconds * 1e3:.0f} ms):")
    for kernel in report.kernels(native, native.cycles(), lines):
        _print(f"  {kernel.describe()}")
    for name, why in report.opaque(native):
        _print(f"  through NumPy: {name} ({why})")


def _instruction(number: int, spec: object, operands: list, kept: bool, line: tuple | None) -> str:
    names = ", ".join(_operand(r) for r in operands)
    if isinstance(spec, Pick):
        text = f"{spec!r} of {names}"
    else:
        attrs = "".join(f" {k}={v!r}" for k, v in spec.attrs.items())  # type: ignore[attr-defined]
        text = f"{spec.op.name}({names}){attrs} -> {spec.out!r}"  # type: ignore[attr-defined]
    source = f"   # {ir.place_of(line)}" if line else ""
    return f"%{number} = {text}{'  kept' if kept else ''}{source}"


def _operand(r: int) -> str:
    return f"scalar {r - PARAM}" if r >= PARAM else f"%{r}" if r >= 0 else f"input {~r}"


def _print(text: str) -> None:
    print(f"bital: {text}", file=sys.stderr)
