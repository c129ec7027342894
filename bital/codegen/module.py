"""Module: the LLVM IR text of a plan: its kernels, and the functions that call them in order.

Room: codegen. A function is given the list of the plan's arrays, whose addresses are read from the
Python objects themselves, and a table: the address of `walk`, the cycles that each region has taken
so far, then the run-time scalars. A region is a kernel, or several that need nothing of each
other and run side by side. Which kernels are called, and with what, is data that `walk` reads:
instructions for hundreds of calls would take long to compile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bital.base.extent import Extent
from bital.codegen.divide import Functions
from bital.codegen.kernel import At, Kernel
from bital.codegen.walk import SEGMENT, TYPES
from bital.plan.access import root_of
from bital.plan.fuse import Group
from bital.plan.node import BYTES, Node


class Call(NamedTuple):
    """A kernel as it is called: its group, the name of its function, and its region.

    The kernels of a region run side by side and are clocked together; `share` is this one's part.
    """

    group: Group
    kernel: Kernel
    function: str
    region: int
    share: float


#: a region weighs as much as it has chunks, or more where they are long (see team)
_WEIGHT_NS = 20_000
#: a track is so many kernels long: then threads wait for one another
_MOST_IN_TRACK = 512
#: kernels that need nothing of each other share the threads if they take longer than this together
_TOGETHER_NS = 6000


class Module:
    """The module: kernels, and the functions that call them."""

    def __init__(self, plan: Any, functions: Functions) -> None:
        self.plan = plan
        self.required = {root_of(n) for n in plan.program.required}
        self.functions = functions
        self.movers: dict[str, int] = {}
        self.segments: list[str] = []
        self.calls: list[Call] = []
        self.regions = 0
        self.chunks: list[str] = []

    def segment(self, number: int, batches: list[list[Group]]) -> None:
        """The function that runs the kernels of some batches of groups: (list, table) -> i64."""
        steps: list[str] = []
        operands: list[str] = []
        first, most = 1 + self.regions, 1
        for batch in batches:
            for region in self._regions(batch):
                mine = self._region(region, steps)
                operands += mine
                most = max(most, len(mine))
            for n in [n for group in batch for n in group.stored if n in self.required]:
                steps.append("ptr null, i64 0, i64 1, i64 0")
                operands.append(self._operand(n))
        inputs = self._layouts() if not self.segments else []
        size = self._param(self.plan.size) if self.plan.bounds else 0
        arrays = [f"{name}{number}" for name in ("inputs", "steps", "operands")]
        stretch = ", ".join([
            *[f"ptr @{name}" for name in (*arrays, "movers", "chunks")],
            *[f"i64 {n}" for n in (len(inputs), len(steps), most, 8 * first, size)],
        ])  # fmt: skip
        self.segments.append(
            _array(arrays[0], "input", inputs)
            + _array(arrays[1], "step", steps)
            + _array(arrays[2], "operand", operands)
            + f"@stretch{number} = internal constant %stretch {{ {stretch} }}\n"
            + SEGMENT.substitute(number=number)
        )

    def _regions(self, batch: list[Group]) -> list[list[tuple[Group, Kernel]]]:
        """The kernels of a batch, or of parts of a chain, that are called as one."""
        if batch[0].tracks:
            whole = [(g, kernel) for g in batch for kernel in self.plan.kernels[g.number]]
            return [whole[k : k + _MOST_IN_TRACK] for k in range(0, len(whole), _MOST_IN_TRACK)]
        return [region for stage in self._stages(batch) for region in _regions(stage)]

    def _stages(self, batch: list[Group]) -> list[list[tuple[Group, Kernel]]]:
        """The kernels of a batch: the first of every group, the second ones, and so on.

        Those of a concatenation, or of steps, need nothing of each other.
        """
        found: list[list[tuple[Group, Kernel]]] = []
        for group in batch:
            for k, kernel in enumerate(self.plan.kernels[group.number]):
                apart = group.kind == "concat" or group.nodes[0].attrs[:1] == ("steps",)
                stage = 0 if apart else k
                while len(found) <= stage:
                    found.append([])
                found[stage].append((group, kernel))
        return found

    def _region(self, region: list[tuple[Group, Kernel]], steps: list[str]) -> list[str]:
        """Add the step that runs kernels side by side, or one after another; its operands."""
        tracks = region[0][0].tracks
        whole = sum(map(_ns, [kernel for _, kernel in region]))
        several = len(region) > 1 or tracks > 0
        operands: list[str] = []
        if several:  # the first says which chunk is whose
            operands.append(f"i64 {24 * len(self.chunks)}, i32 -2, i32 -1")
        chunks: list[tuple[float, str]] = []  # in which part of its kernel each is
        for group, kernel in region:
            name = self.functions.name(kernel)
            self.calls.append(Call(group, kernel, name, self.regions, _ns(kernel) / whole))
            first = len(operands)
            chunks += [
                (c if tracks else _quarter(c, kernel.chunks), f"ptr @{name}, i64 {first}, i64 {c}")
                for c in range(kernel.chunks)
            ]
            operands += map(self._operand, kernel.operands)
        if several:
            # a thread takes neighbours: the same part of each kernel, which often reads the same
            self.chunks.append(f"ptr null, i64 {len(region) if tracks else 1}, i64 0")
            self.chunks += [text for _, text in sorted(chunks, key=lambda chunk: chunk[0])]
        fn = "null" if several else f"@{name}"
        count = tracks or len(chunks)
        weight = max(count, int(whole / _WEIGHT_NS))
        steps.append(f"ptr {fn}, i64 {count}, i64 {len(operands)}, i64 {weight}")
        self.regions += 1
        return operands

    def _operand(self, operand: Any) -> str:
        """Where an operand's memory is: bytes on from an item of the list, and what moves it."""
        plan, offset, mover = self.plan, 0, -1
        if isinstance(operand, At):
            size = BYTES[operand.root.kind]
            offset = operand.offset * size
            if operand.moved is not None:
                mover = self._mover(param_of(operand.moved), size)
            if isinstance(offset, Extent):
                if mover >= 0:
                    raise TypeError("a window that moves from a place of changing size")
                mover, offset = self._mover(plan.size, offset.a), offset.b
            operand = operand.root
        if isinstance(operand, Node) and operand.word == "param":
            item, offset = -1, offset + self._param(operand)
        elif operand in plan.layout.offsets:
            item, offset = plan.arena_slot, offset + plan.layout.offsets[operand]
        elif operand in plan.layout.units:
            if mover >= 0:
                raise TypeError("a window that moves in memory of changing size")
            item, offset = plan.arena_slot, offset + plan.layout.arena_bytes
            mover = self._mover(plan.room, plan.layout.units[operand])
        else:
            item = plan.slots[operand]
        return f"i64 {offset}, i32 {item}, i32 {mover}"

    def _param(self, param: Node) -> int:
        """Where a run-time scalar is in the table, in bytes."""
        params = self.plan.params
        return 8 * (self.plan.first_param + params.setdefault(param, len(params)))

    def _mover(self, param: Node, size: int) -> int:
        """The number of: a run-time scalar times so many bytes."""
        text = f"i64 {self._param(param)}, i64 {size}, i64 {int(param.kind == 'f64')}"
        return self.movers.setdefault(text, len(self.movers))

    def _layouts(self) -> list[str]:
        """Per axis that matters of an input its number and the axis's, and the stride in bytes.

        And how many more for each of a size that changes.
        """
        found = []
        for node in self.plan.program.inputs.values():
            if node.kind not in BYTES or 0 in node.shape:
                continue
            for axis, (stride, n) in enumerate(zip(node.attrs[1], node.shape)):
                if n > 1:
                    step: Any = stride * BYTES[node.kind]
                    fixed, more = (step.b, step.a) if isinstance(step, Extent) else (step, 0)
                    found.append(f"i64 {node.attrs[0]}, i64 {axis}, i64 {fixed}, i64 {more}")
        return found

    def end(self) -> str:
        """Give the functions the rest of the module; its text."""
        movers = _array("movers", "mover", list(self.movers))
        chunks = _array("chunks", "chunk", self.chunks)
        return self.functions.end("".join([TYPES, movers, chunks, *self.segments]))


def _array(name: str, kind: str, rows: list[str]) -> str:
    """A constant array of structs."""
    value = "[ " + ", ".join(f"%{kind} {{ {row} }}" for row in rows) + " ]"
    if not rows:
        value = "zeroinitializer"
    return f"@{name} = internal constant [{len(rows)} x %{kind}] {value}\n"


def param_of(moved: Node) -> Node:
    """The run-time scalar that an offset is."""
    while moved.word != "param":
        moved = moved.inputs[0]
    return moved


def _quarter(chunk: int, chunks: int) -> float:
    """In which quarter of a kernel a chunk is; 1.5 for the one in the middle."""
    return 1.5 if 2 * chunk + 1 == chunks else (4 * chunk + 2) // chunks


def _ns(kernel: Kernel) -> float:
    """About how long a kernel takes on one core."""
    return kernel.ns or 10_000.0 * kernel.chunks


def _regions(stage: list[tuple[Group, Kernel]]) -> list[list[tuple[Group, Kernel]]]:
    """The kernels of a stage that run side by side, where that is worth the threads' meeting."""
    if sum(_ns(kernel) for _, kernel in stage) < _TOGETHER_NS:
        return [[each] for each in stage]
    return [stage]
