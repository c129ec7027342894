"""Loops and branches: they spell labels and phis, so that writers of kernels need not.

Room: codegen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bital.codegen.reg import Reg, whole

if TYPE_CHECKING:
    from bital.codegen.scalar import Builder


class Loop:
    """An open loop: `index` counts from begin by step; `values` are what it carries along.

    A single turn is written as it is, without a loop.
    """

    def __init__(self, b: Builder, begin: Reg, end: Reg, step: int, carried: Sequence[Reg]) -> None:
        first, stop = whole(begin), whole(end)
        self.once = first is not None and stop is not None and first < stop <= first + step
        if self.once:
            self.index, self.values = begin, list(carried)
            return
        self.b, self.step, self.last = b, step, end
        b.loops += 1
        self.nth = b.loops
        self.number = b.count()
        self.entry = b.label
        self.begin, self.carried = begin, carried
        b.line(f"br label %L{self.number}.head")
        b.open_block(f"L{self.number}.head")
        self.index = Reg(f"%i{self.number}", "i64")
        self.values = [Reg(f"%c{self.number}.{k}", c.kind, c.lanes) for k, c in enumerate(carried)]
        # the phis name values known only at the end: a place is kept for them
        self.place = len(b.lines)
        more = b.line_value("icmp slt i64 {}, {}", "i1", 1, self.index, end)
        b.line(f"br i1 {more.name}, label %L{self.number}.body, label %L{self.number}.exit")
        b.open_block(f"L{self.number}.body")

    def end(self, *values: Reg) -> list[Reg]:
        """Close the body, giving what the next turn carries; what the last turn left."""
        if self.once:
            return list(values)
        b = self.b
        following = b.line_value("add nsw i64 {}, " + str(self.step), "i64", 1, self.index)
        pointers = any(v.kind == "ptr" for v in values)
        if pointers or b.loops > self.nth:  # addresses are made of these, or farther in
            values = tuple(b.freeze(v) if v.kind == "ptr" else v for v in values)
            following = b.freeze(following)
        back = b.label
        b.line(f"br label %L{self.number}.head")
        phis = [(self.index, self.begin, following), *zip(self.values, self.carried, values)]
        b.lines[self.place : self.place] = [
            f"  {reg.name} = phi {reg.type} "
            f"[ {b.use(first)}, %{self.entry} ], [ {b.use(after)}, %{back} ]"
            for reg, first, after in phis
        ]
        b.open_block(f"L{self.number}.exit")
        return list(self.values)


class When:
    """An open branch, taken where a scalar condition holds."""

    def __init__(self, b: Builder, condition: Reg) -> None:
        self.b, self.before = b, b.label
        self.number = b.count()
        b.line(f"br i1 {condition.name}, label %W{self.number}.then, label %W{self.number}.after")
        b.open_block(f"W{self.number}.then")

    def end(self, taken: Sequence[Reg], passed: Sequence[Reg]) -> list[Reg]:
        """Close the branch; the values it leaves, or others where it is passed by."""
        b = self.b
        back = b.label
        b.line(f"br label %W{self.number}.after")
        b.open_block(f"W{self.number}.after")
        return [
            b.line_value(
                f"phi {x.type} [ {{}}, %{back} ], [ {{}}, %{self.before} ]",
                x.kind, x.lanes, x, y,
            )
            for x, y in zip(taken, passed)
        ]  # fmt: skip
