"""Divide: a module's text in parts that are compiled by themselves.

Room: codegen. Two threads can be at it, and as LLVM cannot be stopped within a module, a fork and
the end of the program need not wait for more than a part.
"""

from __future__ import annotations

import re

#: of a part that is not one long function; each part costs about as much as 50 lines
LEAST, MOST = 400, 3000
#: parts there are otherwise
PARTS = 6

_KERNEL = re.compile(
    r"^define internal (void @([\w.$-]+)\(ptr %args, i64 %chunk\).*?^\}\n)",
    re.MULTILINE | re.DOTALL,
)
_SHARED = re.compile(r"^(?:declare|attributes|%[\w.]+ = type) [^\n]*\n", re.MULTILINE)
_NAMES = re.compile(r"@([\w.$-]+)")
_DEFINED = re.compile(r"^(?:define [^@\n]*)?@([\w.$-]+)", re.MULTILINE)


def parts(text: str) -> list[str]:
    """The text in parts that are linked by name; kernels that refer to nothing else are apart."""
    lines = text.count("\n")
    if lines <= LEAST:
        return [text]
    most, lines = min(max(lines // PARTS, LEAST), MOST), 0
    defined = set(_DEFINED.findall(text))
    found: list[list[str]] = [[]]

    def moved(kernel: re.Match) -> str:
        nonlocal lines
        body, name = kernel[1], kernel[2]
        if defined & (set(_NAMES.findall(body)) - {name}):
            return kernel[0]
        lines += body.count("\n")
        if lines > most and found[-1]:
            found.append([])
            lines = body.count("\n")
        found[-1].append(f"define hidden {body}")
        return f"declare hidden void @{name}(ptr, i64)\n"

    rest = _KERNEL.sub(moved, text)
    shared = "".join(_SHARED.findall(text))
    return ["".join([shared, *part]) for part in found if part] + [rest]
