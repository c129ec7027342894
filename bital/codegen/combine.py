"""Combine: how partial results of a reduction are one.

Room: codegen.
"""

from __future__ import annotations

from bital.base.extent import hint
from bital.codegen.kernel import Kernel, Operands, Scratch
from bital.codegen.scalar import FLOATS, Builder, Reg
from bital.plan.node import Node

#: how two partial results of a reduction are one
COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum", "any": "either",
           "all": "both"}  # fmt: skip
_LOWEST = {"i8": -(2**7), "i16": -(2**15), "i32": -(2**31), "i64": -(2**63), "u8": 0, "i1": 0}
_HIGHEST = {"i8": 2**7 - 1, "i16": 2**15 - 1, "i32": 2**31 - 1, "i64": 2**63 - 1, "u8": 255,
            "i1": 1}  # fmt: skip


def neutral(how: str, kind: str) -> float | int:
    """What changes nothing when it is combined with a value."""
    if how in ("sum", "any"):
        return 0
    if how in ("prod", "all"):
        return 1
    if kind in FLOATS:
        return float("-inf") if how == "max" else float("inf")
    return _LOWEST[kind] if how == "max" else _HIGHEST[kind]


def in_pairs(b: Builder, word: str, values: list[Reg]) -> Reg:
    """Several values as one."""
    while len(values) > 1:
        pairs = [values[k : k + 2] for k in range(0, len(values), 2)]
        values = [getattr(b, word)(*p) if len(p) == 2 else p[0] for p in pairs]
    return values[0]


def finish(n: Node, how: str, part: Scratch, chunks: int) -> Kernel:
    """The kernel that combines the parts of a node, in the order of their chunks."""
    b = Builder()
    operands = Operands(b)
    source, place = operands.pointer(part), operands.pointer(n)
    word = COMBINE[how]
    elems = b.loop(0, n.numel)
    start = b.const(n.kind, neutral(how, n.kind))
    sums = b.loop(0, chunks, 1, start)
    offset = b.add(b.mul(sums.index, b.const("i64", n.numel)), elems.index)
    value = getattr(b, word)(sums.values[0], b.load(source, n.kind, offset))
    (total,) = sums.end(value)
    b.store(total, place, elems.index)
    elems.end()
    return Kernel(b, 1, operands.order, 2.0 * chunks * hint(n.numel))
