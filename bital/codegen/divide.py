"""Divide: kernels as parts of a module that are compiled while others are still being written.

Room: codegen. Two threads can be at it, and as LLVM cannot be stopped within a module, a fork and
the end of the program need not wait for more than a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bital.codegen.kernel import Kernel

ATTRIBUTES = (
    'attributes #0 = { nounwind "prefer-vector-width"="512" "no-builtins" '
    '"denormal-fp-math"="ieee" }\n'
)
#: lines of a part: each costs about as much as 50, so they grow with what has been written
LEAST, MOST, SHARE = 400, 3000, 6


class Functions:
    """The functions of kernels, equal ones once. `use` is given the text of every part.

    Parts are linked by the names of kernels. What refers to other functions is in the last one.
    """

    def __init__(self, use: Callable[[str], object]) -> None:
        self._use = use
        self._names: dict[str, str] = {}  # by text
        self._needs: set[str] = set()  # declarations, and what is defined for kernels
        self._part = _Part()
        self._last = _Part()
        self._written = 0

    def name(self, kernel: Kernel) -> str:
        """The name of a kernel's function, which may be compiled from now on."""
        body, needs = kernel.builder.text("@"), kernel.builder.declared
        name = self._names.get(body)
        if name is None:
            name = self._names[body] = f"k{len(self._names)}"
            self._needs |= needs
            part = self._part if all(map(_is_declaration, needs)) else self._last
            part.add(_named(body, name), needs)
            if self._part.lines >= min(max(LEAST, self._written // SHARE), MOST):
                self._give()
        return name

    def _give(self) -> None:
        part, self._part = self._part, _Part()
        self._use(part.text().replace(_OWN, "define hidden void @k"))
        self._written += part.lines
        self._last.functions += [
            f"declare hidden void @{function[len(_OWN) - 1 : function.index('(')]}(ptr, i64)\n"
            for function in part.functions
        ]

    def end(self, data: str) -> str:
        """Give the last part, which has the plan's data as well; the text of all in one."""
        self._last.functions += self._part.functions
        self._use(self._last.text(self._part.needs, data))
        functions = [_named(body, name) for body, name in self._names.items()]
        return "".join([*_lines(self._needs), data, *functions, ATTRIBUTES])


class _Part:
    """Functions, and what they need."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.needs: set[str] = set()
        self.lines = 0

    def add(self, function: str, needs: set[str]) -> None:
        self.functions.append(function)
        self.needs |= needs
        self.lines += function.count("\n")

    def text(self, needs: Iterable[str] = (), data: str = "") -> str:
        return "".join([*_lines(self.needs | {*needs}), data, *self.functions, ATTRIBUTES])


_OWN = "define internal void @k"


def _named(body: str, name: str) -> str:
    return body.replace("@@", f"@{name}", 1)


def _is_declaration(need: str) -> bool:
    return need.startswith("declare ")


def _lines(needs: set[str]) -> list[str]:
    return [need + "\n" for need in sorted(needs)]
