"""Module: the LLVM IR text of a plan: its kernels, and the functions that call them in order.

Room: codegen. A function is given the list of the plan's arrays, whose addresses it reads from the
Python objects themselves, and a table: the address of `parallel`, the cycles that each kernel has
taken so far, then the run-time scalars.
"""

from __future__ import annotations

import ctypes
import itertools
from typing import Any, NamedTuple

import numpy as np

from bital.codegen.kernel import At, Kernel
from bital.codegen.target import host
from bital.plan.access import root_of
from bital.plan.fuse import Group
from bital.plan.graph import BYTES, Node

ATTRIBUTES = (
    'attributes #0 = { nounwind "prefer-vector-width"="512" "no-builtins" '
    '"denormal-fp-math"="ieee" }\n'
)


class Call(NamedTuple):
    """A kernel as it is called: its group, and the name of its function in the text."""

    group: Group
    kernel: Kernel
    function: str


def _probe(array: np.ndarray, address: int) -> int:
    """Where in an object lies a pointer to `address`, in bytes."""
    words = (ctypes.c_size_t * 16).from_address(id(array))
    return next(8 * k for k, word in enumerate(words) if word == address)


def _offsets() -> tuple[int, int, int, int]:
    """Where a list keeps the pointer to its items, and an array its data, shape and strides."""
    array = np.zeros((3, 5), np.float32)
    data = _probe(array, array.ctypes.data)
    shape = next(
        8 * k
        for k, word in enumerate((ctypes.c_size_t * 16).from_address(id(array)))
        if k * 8 > data + 8 and word > 4096
        and (ctypes.c_ssize_t * 2).from_address(word)[:] == [3, 5]
    )  # fmt: skip
    marker = object()
    held = [marker]
    words = (ctypes.c_size_t * 6).from_address(id(held))
    items = next(
        8 * k for k, word in enumerate(words)
        if k > 2 and word > 4096 and ctypes.c_size_t.from_address(word).value == id(marker)
    )  # fmt: skip
    return items, data, shape, shape + 8


class Module:
    """The module: kernels, equal ones once, and the functions that call them."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.required = {root_of(n) for n in plan.program.required}
        self.numbers = itertools.count()
        self.functions: dict[str, str] = {}
        self.declared: set[str] = set()
        self.segments: list[str] = []
        self.calls: list[Call] = []
        self.clocked = host().is_x86  # elsewhere a program may not read the counter
        self.cycles = "%tstart"
        self.items, self.data, self.shape, self.strides = _offsets()

    def _function(self, kernel: Kernel) -> str:
        body = kernel.builder.text("@")
        name = self.functions.get(body)
        if name is None:
            name = self.functions[body] = f"k{len(self.functions)}"
            self.declared |= kernel.builder.declared
        return name

    def segment(self, number: int, groups: list[Group]) -> None:
        """The function that runs the kernels of some groups: (list, table) -> i64."""
        plan = self.plan
        lines: list[str] = []
        pointers: dict[Any, str] = {}
        most = 1
        self.cycles = "%tstart"
        for group in groups:
            for kernel in plan.kernels[group.number]:
                name = self._function(kernel)
                most = max(most, len(kernel.operands))
                for k, operand in enumerate(kernel.operands):
                    pointer = self._pointer(operand, lines, pointers)
                    n = next(self.numbers)
                    lines += [
                        f"  %a{n} = getelementptr ptr, ptr %args, i64 {k}",
                        f"  store ptr {pointer}, ptr %a{n}, align 8",
                    ]
                if kernel.chunks > 1:
                    chunks = f"ptr @{name}, ptr %args, i64 {kernel.chunks}"
                    lines.append(f"  call void %parallel({chunks})")
                else:
                    lines.append(f"  call void @{name}(ptr %args, i64 0)")
                lines += self._clock(Call(group, kernel, name))
            lines += self._conditions(group, pointers)
        self.segments.append("\n".join([
            f"define i64 @segment{number}(ptr %list, ptr %table) #0 {{", "entry:",
            f"  %args = alloca [{most} x ptr], align 64",
            f"  %place = getelementptr i8, ptr %list, i64 {self.items}",
            "  %items = load ptr, ptr %place, align 8",
            "  %parallel = load ptr, ptr %table, align 8",
            *(self._check() if not self.segments else []),
            *(["  %tstart = call i64 @llvm.readcyclecounter()"] if self.clocked else []),
            *lines, "  ret i64 0", "}", "",
        ]))  # fmt: skip

    def _pointer(self, operand: Any, lines: list[str], known: dict) -> str:
        """The name of a pointer to an operand's memory."""
        plan = self.plan
        if operand in known:
            return known[operand]
        n = next(self.numbers)
        if isinstance(operand, At):
            return self._moved(operand, lines, known)
        if isinstance(operand, Node) and operand.word == "param":
            k = plan.params.setdefault(operand, len(plan.params))
            lines.append(f"  %p{n} = getelementptr i64, ptr %table, i64 {plan.first_param + k}")
        else:
            offset = plan.layout.offsets.get(operand)
            slot = plan.arena_slot if offset is not None else plan.slots[operand]
            lines += [
                f"  %o{n} = getelementptr ptr, ptr %items, i64 {slot}",
                f"  %q{n} = load ptr, ptr %o{n}, align 8",
                f"  %r{n} = getelementptr i8, ptr %q{n}, i64 {self.data}",
                f"  %s{n} = load ptr, ptr %r{n}, align 8",
                f"  %p{n} = getelementptr i8, ptr %s{n}, i64 {offset or 0}",
            ]
        known[operand] = f"%p{n}"
        return known[operand]

    def _clock(self, call: Call) -> list[str]:
        """Add the cycles since the last kernel to those of this one."""
        self.calls.append(call)
        if not self.clocked:
            return []
        n = next(self.numbers)
        before, self.cycles = self.cycles, f"%tb{n}"
        return [
            f"  %tb{n} = call i64 @llvm.readcyclecounter()",
            f"  %td{n} = sub i64 %tb{n}, {before}",
            f"  %tp{n} = getelementptr i64, ptr %table, i64 {len(self.calls)}",
            f"  %ts{n} = load i64, ptr %tp{n}, align 8",
            f"  %tt{n} = add i64 %ts{n}, %td{n}",
            f"  store i64 %tt{n}, ptr %tp{n}, align 8",
        ]

    def _conditions(self, group: Group, pointers: dict) -> list[str]:
        """Return 1 where a condition that the group has computed does not hold."""
        lines: list[str] = []
        for n in group.stored:
            if n in self.required:
                pointer = self._pointer(n, lines, pointers)
                k = next(self.numbers)
                lines += [
                    f"  %x{k} = load i8, ptr {pointer}, align 1",
                    f"  %y{k} = icmp ne i8 %x{k}, 0",
                    f"  br i1 %y{k}, label %z{k}, label %wrong{k}",
                    f"wrong{k}:", "  ret i64 1", f"z{k}:",
                ]  # fmt: skip
        return lines

    def _moved(self, at: At, lines: list[str], known: dict) -> str:
        """The name of a pointer to a place within an operand."""
        size = BYTES[at.root.kind]
        pointer = self._pointer(at.root, lines, known)
        n = next(self.numbers)
        if at.offset:
            lines.append(f"  %f{n} = getelementptr i8, ptr {pointer}, i64 {at.offset * size}")
            pointer = f"%f{n}"
        if at.moved is not None:
            param = self._pointer(param_of(at.moved), lines, known)
            word = "fptosi double" if param_of(at.moved).kind == "f64" else "add i64 0,"
            lines += [
                f"  %g{n} = load {'double' if 'double' in word else 'i64'}, ptr {param}, align 8",
                f"  %h{n} = {word} %g{n}" + (" to i64" if "double" in word else ""),
                f"  %j{n} = mul i64 %h{n}, {size}",
                f"  %m{n} = getelementptr i8, ptr {pointer}, i64 %j{n}",
            ]
            pointer = f"%m{n}"
        known[at] = pointer
        return pointer

    def _check(self) -> list[str]:
        """Return 1 where an input does not lie in memory as it did when this was compiled."""
        lines: list[str] = []
        for node in self.plan.program.inputs.values():
            k, strides = node.attrs
            itemsize = BYTES.get(node.kind)
            wanted = [(a, s) for a, (s, n) in enumerate(zip(strides, node.shape)) if n > 1]
            if itemsize is None or not wanted or 0 in node.shape:
                continue
            n = next(self.numbers)
            lines += [
                f"  %co{n} = getelementptr ptr, ptr %items, i64 {k}",
                f"  %cq{n} = load ptr, ptr %co{n}, align 8",
                f"  %cr{n} = getelementptr i8, ptr %cq{n}, i64 {self.strides}",
                f"  %cs{n} = load ptr, ptr %cr{n}, align 8",
            ]
            for axis, stride in wanted:
                m = f"{n}.{axis}"
                lines += [
                    f"  %ct{m} = getelementptr i64, ptr %cs{n}, i64 {axis}",
                    f"  %cu{m} = load i64, ptr %ct{m}, align 8",
                    f"  %cv{m} = icmp eq i64 %cu{m}, {stride * itemsize}",
                    f"  br i1 %cv{m}, label %cw{m}, label %other",
                    f"cw{m}:",
                ]
        if lines:
            lines += ["  br label %begin", "other:", "  ret i64 1", "begin:"]
        return lines

    def whole(self) -> str:
        """The text of the module."""
        functions = [body.replace("@@", f"@{name}", 1) for body, name in self.functions.items()]
        clock = ["declare i64 @llvm.readcyclecounter()"] if self.clocked else []
        declared = [line + "\n" for line in (*clock, *sorted(self.declared))]
        return "".join([*declared, *functions, *self.segments, ATTRIBUTES])


def param_of(moved: Node) -> Node:
    """The run-time scalar that an offset is."""
    while moved.word != "param":
        moved = moved.inputs[0]
    return moved
