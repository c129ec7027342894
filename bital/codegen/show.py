"""Show: LLVM IR text and the instructions it becomes, function by function, to look at.

Room: codegen.
"""

from __future__ import annotations

import re

from bital.codegen import jit
from bital.codegen.target import Target, host

_FUNCTION = re.compile(r'^define [^@\n]*@"?([\w.$-]+)"?\(.*?^\}\n?', re.MULTILINE | re.DOTALL)


def ir(text: str) -> dict[str, str]:
    """The LLVM IR of each function of a module's text, by name.

    >>> ir("declare void @g()\\ndefine void @f() {\\n  call void @g()\\n  ret void\\n}\\n")
    {'f': 'define void @f() {\\n  call void @g()\\n  ret void\\n}\\n'}
    """
    return {found[1]: found[0] for found in _FUNCTION.finditer(text)}


def assembly(text: str, target: Target | None = None) -> dict[str, str]:
    """The instructions of each function of a module's text, by name, without directives."""
    labels = {f"{prefix}{name}:": name for name in ir(text) for prefix in ("", "_")}
    found: dict[str, list[str]] = {}
    name = None
    for line in jit.assembly(text, target or host()).splitlines():
        if line in labels:
            name = labels[line]
            found[name] = []
        elif line.startswith((".Lfunc_end", "Lfunc_end", "\t.section")):
            name = None
        elif name is not None and line and not line.startswith("\t."):
            found[name].append(line + "\n")
    return {name: "".join(lines) for name, lines in found.items()}


def spills(instructions: str) -> int:
    """How many instructions of a function move vectors to the stack: registers that it lacks.

    Scratch that a kernel asks for is on the stack as well, so the number is an upper bound.
    """
    x86 = re.findall(
        r"^\tv?mov[ua]p[sd]\t%[xyz]mm\d+, -?\d*\(%r[sb]p\)", instructions, re.MULTILINE
    )
    arm = re.findall(r"^\tst[rp]\tq\d+,.*\[(?:sp|x29)", instructions, re.MULTILINE)
    return len(x86) + len(arm)
