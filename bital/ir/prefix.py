"""Prefix: the tree of the programs that come back, along which traces are recorded.

Room: ir. A loop records the same instructions in every iteration. Once a program was seen to come
back, its instructions are kept as a path in this tree, shared by all threads; a trace that records
them again walks along the path, so that nothing has to be made, hashed or compared as a whole: two
traces that stand at the same Prefix have the same code.
"""

from __future__ import annotations

from typing import Any

#: a tree that outgrows this many instructions starts afresh
_MAX_SIZE = 100_000


class Prefix:
    """The instructions of a path, of which `instruction` is the last, and what may follow.

    `op`, `first` and `second` (the metas of its operands), `attrs` and the operand numbers `i` and
    `j` are parts of the instruction: what recording compares. `number` is the instruction's,
    `spent` what the path costs of a trace's room, `likely` what followed last. `kind` says which
    inputs needed gradients last, and what the node was. The runtime keeps at `ending` how a trace
    that ended here was run, and autograd at `passages` the backward passes that began here.
    """

    __slots__ = ("parent", "instruction", "spec", "op", "first", "second", "attrs", "i", "j",
                 "number", "spent", "likely", "others", "ending", "passages", "kind",
                 "tiny")  # fmt: skip

    def __init__(self, parent: Prefix | None = None, instruction: tuple = (None,)) -> None:
        self.parent, self.instruction = parent, instruction
        self.number: int = -1 if parent is None else parent.number + 1
        self.spent: int = 0 if parent is None else parent.spent
        self.spec: Any = instruction[0]
        metas = getattr(self.spec, "metas", ())
        operands = instruction[1:]
        if getattr(self.spec, "compute", None) is not None:
            metas = operands = ()  # they are cast first: they are not what the operator was given
        self.op = getattr(self.spec, "op", None)
        self.attrs = getattr(self.spec, "asked", None)
        self.first, self.second = (*metas, None, None)[:2]
        self.i, self.j = (*operands, None, None)[:2]
        self.spent += getattr(self.spec, "cost", 0)
        self.likely: Prefix = UNKNOWN
        self.others: dict[tuple, Prefix] = {}  # by instruction, all that may follow
        self.ending: Any = None
        self.passages: dict[tuple, Any] | None = None
        self.kind: tuple = (0, None, None)
        self.tiny: bool | None = None  # whether it alone is run without a plan, once that is asked

    def then(self, instruction: tuple, learning: bool) -> Prefix:
        """This prefix and one more instruction; UNKNOWN where no known program goes on so.

        With `learning` the tree grows.
        """
        found = self.likely
        if found.instruction == instruction:
            return found
        found = self.others.get(instruction)  # type: ignore[assignment]
        if found is None:
            if not learning or self is UNKNOWN:
                return UNKNOWN
            tree.grow()
            found = self.others.setdefault(instruction, Prefix(self, instruction))
        self.likely = found
        return found

    def code(self) -> list[tuple]:
        """The instructions of the path."""
        found = []
        at: Prefix = self
        while at.parent is not None:
            found.append(at.instruction)
            at = at.parent
        found.reverse()
        return found


UNKNOWN: Any = None
UNKNOWN = Prefix()  # where a trace stands that is like no known program
UNKNOWN.likely = UNKNOWN


class _Tree:
    """The tree: its root, where every trace begins, and its size."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget every program."""
        self.root = Prefix()
        self.size = 0

    def grow(self) -> None:
        """Count one more instruction; traces under way keep the path that they are on."""
        self.size += 1
        if self.size > _MAX_SIZE:
            self.clear()


tree = _Tree()
