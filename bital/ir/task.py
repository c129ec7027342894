"""Task: what is compiled, a trace and all that its code depends on beside the processor.

Room: ir.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bital.base.extent import Bounds


class Task(NamedTuple):
    """A trace to be compiled.

    code      its instructions
    held      the numbers of those whose results are wanted
    donated   per input whether nobody else holds it, so that it may be overwritten
    layouts   per input its strides in elements, as it will come
    absent    the run-time scalars that are None
    bounds    of the size that changes, if one does
    """

    code: list[tuple]
    held: tuple[int, ...]
    donated: tuple[bool, ...]
    layouts: list[tuple]
    absent: frozenset[int] = frozenset()
    bounds: Bounds | None = None


def absent_of(params: list[Any]) -> frozenset[int]:
    """Which run-time scalars are None."""
    return frozenset(k for k, p in enumerate(params) if p is None)
