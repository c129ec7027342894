"""Scans: sums, products and linear recurrences along an axis, one element after another.

Room: codegen. A node is (outer, n, inner). Where the axis is not the last, neighbours side by side
go on in one vector, which at the end of a row overlaps the one before. Floats accumulate in double
precision, as PyTorch does on the CPU.
"""

from __future__ import annotations

from bital.codegen.kernel import Kernel, Operands, chunks_of
from bital.codegen.scalar import BYTES, Builder, Reg
from bital.codegen.target import Target
from bital.plan.access import root_of
from bital.plan.fuse import Group
from bital.plan.node import Node

#: what one step of a vector takes
_STEP_NS = 2.0
#: what changes nothing: -0, for 0 would take the sign of a -0
_FIRST = {"sum": -0.0, "prod": 1.0, "recur": 0.0}


def scan(group: Group, target: Target, in_memory: set[Node]) -> list[Kernel]:
    """The kernel of a node ("scan", how, reverse): x, or what is added and what is multiplied by.

    "recur" is y[k] = x[k] + a[k] y[k - 1].
    """
    node = group.nodes[0]
    _, how, reverse = node.attrs
    outer, n, inner = node.shape
    kind = node.kind
    wide = "f64" if kind == "f32" else kind
    lanes = target.lanes(BYTES[kind])
    lanes = lanes if inner >= lanes else 1
    strips = -(-inner // lanes)
    units = outer * strips
    chunks = min(chunks_of(units * n * _STEP_NS), units)
    share = -(-units // chunks)
    b = Builder()
    operands = Operands(b)
    sources = [operands.pointer(root_of(x)) for x in node.inputs]
    out = operands.pointer(node)
    first = b.mul(Reg("%chunk", "i64"), b.index(share))
    last = b.minimum(b.add(first, b.index(share)), b.index(units))
    unit = b.loop(first, last)
    row = b.div(unit.index, b.index(strips))
    column = b.mul(b.sub(unit.index, b.mul(row, b.index(strips))), b.index(lanes))
    column = b.minimum(column, b.index(inner - lanes))
    start = b.add(b.mul(row, b.index(n * inner)), column)
    begin = b.const(wide, _FIRST[how] if wide == "f64" else int(_FIRST[how]), lanes)
    turn = b.loop(0, n, 1, begin)
    step = b.sub(b.index(n - 1), turn.index) if reverse else turn.index
    place = b.add(start, b.mul(step, b.index(inner)))
    x, *factor = (b.cast(b.load(s, kind, place, lanes), wide) for s in sources)
    total = turn.values[0]
    if how == "recur":
        total = b.add(x, b.mul(factor[0], total))
    else:
        total = b.add(total, x) if how == "sum" else b.mul(total, x)
    b.store(b.cast(total, kind), out, place)
    turn.end(total)
    unit.end()
    return [Kernel(b, -(-units // share), operands.order)]
