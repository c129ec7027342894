"""Native: a whole plan as machine code, and the Python function that runs it.

Room: codegen. The kernels of a plan are called one after another by one function per stretch that
no opaque instruction interrupts. It is given the list of the plan's arrays, whose addresses it
reads from the Python objects themselves, and a table of what stays the same from run to run.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.codegen import gemm, jit, threads
from bital.codegen.epilogue import Epilogue
from bital.codegen.kernel import At, Kernel, Scratch
from bital.codegen.loops import loops
from bital.codegen.moves import concat, write
from bital.codegen.special import special
from bital.codegen.target import Target, host
from bital.plan.access import is_whole, root_of
from bital.plan.fuse import Fusion, Group
from bital.plan.graph import BYTES, DTYPES, Node
from bital.plan.lower import Program
from bital.plan.memory import Layout

ATTRIBUTES = (
    'attributes #0 = { nounwind "prefer-vector-width"="512" "no-builtins" '
    '"denormal-fp-math"="ieee" }\n'
)


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


class Native:
    """A compiled plan: `run(arrays, params)` as Plan's."""

    def __init__(
        self, code: list[tuple], held: tuple[int, ...], donated: tuple[bool, ...],
        layouts: list[tuple], absent: frozenset[int],
    ) -> None:  # fmt: skip
        target = host()
        program = Program(code, held, layouts, absent)
        self.program = program
        graph = program.graph
        results = [
            n if is_whole(n) else graph.node("map", (n,), ("copy",), n.shape, n.kind)
            for n in program.results
        ]
        #: the shapes of arrays that are results under another shape than their nodes'
        self.shapes = {root_of(n): n.shape for n in results}
        fusion = Fusion(list(graph.table.values()), results, program.required)
        self.layout = Layout(fusion, donated)
        in_memory = {n for g in fusion.groups for n in g.stored}
        self.kernels: dict[int, list[Kernel]] = {
            g.number: kernels_of(g, target, in_memory, self.layout)
            for g in self.layout.order if g.kind != "opaque"
        }  # fmt: skip
        self.layout.place(lambda g: [
            o for k in self.kernels.get(g.number, ()) for o in k.operands if isinstance(o, Scratch)
        ])  # fmt: skip
        self.overwrites = bool(self.layout.over)
        self.inputs = len(donated)
        self._assemble(results)

    def shape_of(self, root: Node) -> tuple[int, ...]:
        """The shape of a node's array."""
        return self.shapes.get(root, root.shape) if root in self.layout.arrays else root.shape

    # the table of arrays: inputs, arrays of results, the arena, what opaque instructions make

    def _assemble(self, results: list[Node]) -> None:
        layout = self.layout
        self.slots: dict[Node, int] = {}
        for node in self.program.inputs.values():
            self.slots[node] = node.attrs[0]
        fresh = list(layout.arrays)
        for k, node in enumerate(fresh):
            self.slots[node] = self.inputs + k
        self.arena_slot = self.inputs + len(fresh)
        for node, k in layout.over.items():
            self.slots[node] = k
        self.params: dict[Node, int] = {}
        self.size = self.arena_slot + 1
        segments: list[list[Group] | Group] = []
        for group in layout.order:
            if group.kind == "opaque":
                segments.append(group)
                for n in group.nodes:
                    self.slots[n] = self.size
                    self.size += 1
            elif segments and isinstance(segments[-1], list):
                segments[-1].append(group)
            else:
                segments.append([group])
        text = _Text(self)
        for k, segment in enumerate(segments):
            if isinstance(segment, list):
                text.segment(k, segment)
        self.text = text.whole()
        self.library = jit.build(self.text)
        self.run = _runner(self, segments, results, fresh)


def kernels_of(group: Group, target: Target, in_memory: set[Node], layout: Layout) -> list[Kernel]:
    """The kernels of a group that is not opaque."""
    if group.kind == "loop":
        return loops(group, target, in_memory)
    if group.kind == "product":
        epilogue = Epilogue(group, target, in_memory)
        builder, chunks = gemm.product(epilogue.product(), target, epilogue)
        return [epilogue.kernel(builder, chunks)] if chunks else []
    if group.kind == "concat":
        return concat(group, target, in_memory)
    if group.kind == "write":
        return write(group, target, in_memory, group.nodes[0] in layout.over)
    return special(group, target, in_memory)


class _Text:
    """The module: kernels, equal ones once, and the functions that call them."""

    def __init__(self, native: Native) -> None:
        self.native = native
        self.required = {root_of(n) for n in native.program.required}
        self.numbers = itertools.count()
        self.functions: dict[str, str] = {}
        self.declared: set[str] = set()
        self.segments: list[str] = []
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
        native = self.native
        lines: list[str] = []
        pointers: dict[Any, str] = {}
        most = 1
        for group in groups:
            for kernel in native.kernels[group.number]:
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
                    lines.append(f"  call void %parallel(ptr @{name}, ptr %args, "
                                 f"i64 {kernel.chunks})")  # fmt: skip
                else:
                    lines.append(f"  call void @{name}(ptr %args, i64 0)")
            lines += self._conditions(group, pointers)
        self.segments.append("\n".join([
            f"define i64 @segment{number}(ptr %list, ptr %table) #0 {{", "entry:",
            f"  %args = alloca [{most} x ptr], align 64",
            f"  %place = getelementptr i8, ptr %list, i64 {self.items}",
            "  %items = load ptr, ptr %place, align 8",
            "  %parallel = load ptr, ptr %table, align 8",
            *(self._check() if not self.segments else []),
            *lines, "  ret i64 0", "}", "",
        ]))  # fmt: skip

    def _pointer(self, operand: Any, lines: list[str], known: dict) -> str:
        """The name of a pointer to an operand's memory."""
        native = self.native
        if operand in known:
            return known[operand]
        n = next(self.numbers)
        if isinstance(operand, At):
            return self._moved(operand, lines, known)
        if isinstance(operand, Node) and operand.word == "param":
            k = native.params.setdefault(operand, len(native.params))
            lines.append(f"  %p{n} = getelementptr i64, ptr %table, i64 {k + 1}")
        else:
            offset = native.layout.offsets.get(operand)
            slot = native.arena_slot if offset is not None else native.slots[operand]
            lines += [
                f"  %o{n} = getelementptr ptr, ptr %items, i64 {slot}",
                f"  %q{n} = load ptr, ptr %o{n}, align 8",
                f"  %r{n} = getelementptr i8, ptr %q{n}, i64 {self.data}",
                f"  %s{n} = load ptr, ptr %r{n}, align 8",
                f"  %p{n} = getelementptr i8, ptr %s{n}, i64 {offset or 0}",
            ]
        known[operand] = f"%p{n}"
        return known[operand]

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
            param = self._pointer(_param(at.moved), lines, known)
            word = "fptosi double" if _param(at.moved).kind == "f64" else "add i64 0,"
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
        for node in self.native.program.inputs.values():
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
        declared = [line + "\n" for line in sorted(self.declared)]
        return "".join([*declared, *functions, *self.segments, ATTRIBUTES])


def _runner(
    native: Native, segments: list, results: list[Node], fresh: list[Node]
) -> Callable[[list, list], list | None]:
    """The Python function that runs a plan; it gives None where an input's layout is another."""

    def new_table() -> tuple[Any, int]:
        table = (ctypes.c_int64 * (1 + len(native.params)))()
        table[0] = threads.address()
        return table, ctypes.addressof(table)

    codes = "".join("d" if p.kind == "f64" else "q" for p in native.params)
    names: dict[str, Any] = {
        "empty": np.empty, "pack": struct.Struct(f"={codes}").pack_into, "tables": [new_table()],
        "new_table": new_table, "arenas": arenas,
    }  # fmt: skip
    # a table belongs to one run at a time, so that threads may run the same plan
    lines = [
        "def run(t, params):",
        "    try:",
        "        holder = tables.pop()",
        "    except IndexError:",
        "        holder = new_table()",
        "    table, fixed = holder",
    ]
    if native.params:
        values = ", ".join(f"params[{p.attrs[0]}]" for p in native.params)
        lines.append(f"    pack(table, 8, {values})")
    if fresh:
        made = []
        for k, node in enumerate(fresh):
            names[f"d{k}"] = DTYPES[node.kind]
            made.append(f"empty({tuple(native.shape_of(node))!r}, d{k})")
        lines.append(f"    t += ({', '.join(made)},)")
    lines.append(f"    arena = arenas.take({native.layout.arena_bytes})")
    lines.append("    t.append(arena)")
    rest = native.size - native.arena_slot - 1
    if rest:
        lines.append(f"    t += ({'None, ' * rest})")
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_size_t, ctypes.c_size_t)
    lines.append("    at = id(t)")
    for k, segment in enumerate(segments):
        if isinstance(segment, list):
            names[f"segment{k}"] = call(native.library.address(f"segment{k}"))
            lines += [f"    if segment{k}(at, fixed):", "        return None"]
        else:
            lines += _opaque_call(native, k, segment, names)
    lines += ["    arenas.give(arena)", "    tables.append(holder)"]
    shown = []
    for n in results:
        root = root_of(n)
        array = f"t[{native.slots[root]}]"
        shown.append(
            array if native.shape_of(root) == n.shape else f"{array}.reshape({tuple(n.shape)!r})"
        )
    lines.append(f"    return [{', '.join(shown)}]")
    exec(compile("\n".join(lines), "<bital native plan>", "exec"), names)
    return names["run"]


def _opaque_call(native: Native, k: int, group: Group, names: dict[str, Any]) -> list[str]:
    """The lines that run an opaque instruction and take its results apart."""
    whole, *picks = group.nodes
    names[f"f{k}"] = whole.attrs[0].fn
    args = []
    for m, x in enumerate(whole.inputs):
        if x.word == "scalar":
            args.append(f"params[{x.attrs[0]}]")
        else:
            args.append(_shown(native, x, names, f"{k}_{m}"))
    slot = native.slots[whole]
    lines = [f"    t[{slot}] = f{k}({', '.join(args)})"]
    if not picks and whole.kind != "many":
        names[f"e{k}"] = whole.attrs[0].out.np
        names["in_order"] = in_order
        lines[0] = f"    t[{slot}] = in_order(f{k}({', '.join(args)}), e{k})"
    for pick in picks:
        names["in_order"] = in_order
        names[f"e{k}_{pick.attrs[0]}"] = whole.attrs[0].out[pick.attrs[0]].np
        lines.append(
            f"    t[{native.slots[pick]}] = "
            f"in_order(t[{slot}][{pick.attrs[0]}], e{k}_{pick.attrs[0]})"
        )
    return lines


def in_order(x: Any, dtype: np.dtype) -> np.ndarray:
    """What an opaque instruction gave, as a contiguous array."""
    return np.ascontiguousarray(x, dtype).reshape(np.shape(x))


def _shown(native: Native, x: Node, names: dict[str, Any], key: str) -> str:
    """The expression of an array that shows what a node shows."""
    if x.word == "reshape":
        return f"{_shown(native, x.inputs[0], names, key)}.reshape({tuple(x.shape)!r})"
    if x.word == "axes":
        (mapping,) = x.attrs
        source = _shown(native, x.inputs[0], names, key)
        names["show_axes"] = show_axes
        return f"show_axes({source}, {mapping!r}, {tuple(x.shape)!r})"
    if x.word == "window":
        strides, offset = x.attrs
        source = _shown(native, x.inputs[0], names, key)
        names["show_window"] = show_window
        moved = f" + int(params[{_param(x.inputs[1]).attrs[0]}])" if len(x.inputs) > 1 else ""
        return f"show_window({source}, {tuple(x.shape)!r}, {strides!r}, {offset}{moved})"
    array = f"t[{native.slots[x]}]"
    return array if native.shape_of(x) == x.shape else f"{array}.reshape({tuple(x.shape)!r})"


def _param(moved: Node) -> Node:
    """The run-time scalar that an offset is."""
    while moved.word != "param":
        moved = moved.inputs[0]
    return moved


def show_axes(x: np.ndarray, mapping: tuple, shape: tuple) -> np.ndarray:
    """Axes permuted, added and repeated."""
    strides = [0 if m is None else x.strides[m] for m in mapping]
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def show_window(x: np.ndarray, shape: tuple, strides: tuple, offset: int) -> np.ndarray:
    """A strided look at a contiguous array; strides and offset in elements."""
    size = x.itemsize
    return np.ndarray(shape, x.dtype, x, offset * size, [s * size for s in strides])


class Arenas:
    """Memory that plans use while they run, handed from one to the next."""

    def __init__(self) -> None:
        self.free: list[np.ndarray] = []

    def take(self, nbytes: int) -> np.ndarray:
        """A block of at least so many bytes, at an address that vectors like."""
        while self.free:
            try:
                block = self.free.pop()
            except IndexError:  # another thread was quicker
                break
            if block.nbytes >= nbytes:
                return block
        whole = np.empty(max(nbytes, 1 << 16) + 64, np.uint8)
        start = -whole.ctypes.data % 64
        return whole[start : start + max(nbytes, 1 << 16)]

    def give(self, block: np.ndarray) -> None:
        """Give a block back."""
        if len(self.free) < 4:
            self.free.append(block)


arenas = Arenas()
