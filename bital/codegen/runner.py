"""Runner: the Python function that runs a compiled plan.

Room: codegen. Native stretches and opaque instructions take turns; all arrays are in one list.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from bital.codegen import threads
from bital.codegen.module import param_of
from bital.plan.access import root_of
from bital.plan.fuse import Group
from bital.plan.graph import DTYPES, ROOM, SIZE, Node


def runner(
    native: Any, segments: list, results: list[Node], fresh: list[Node]
) -> Callable[[list, list], list | None]:
    """The Python function that runs a plan; it gives None where NumPy has to run it."""

    def new_table() -> tuple[Any, int]:
        table = (ctypes.c_int64 * (native.first_param + len(native.params)))()
        table[0] = threads.address()
        native.tables.append(table)
        return table, ctypes.addressof(table)

    names: dict[str, Any] = {
        "tables": [new_table()], "new_table": new_table, "arenas": _arenas,
        "new_arena": new_arena, "now": perf_counter_ns, "clock": native.clock,
    }  # fmt: skip
    # a table belongs to one run at a time, so that threads may run the same plan
    lines = [
        "def run(t, params):",
        "    begin = now()",
        "    try:",
        "        holder = tables.pop()",
        "    except IndexError:",
        "        holder = new_table()",
        "    table, fixed = holder",
        *_size(native),
        *_scalars(native, names),
        *_arrays(native, fresh, names),
        "    at = id(t)",
        "    try:",
    ]
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_size_t, ctypes.c_size_t)
    for k, segment in enumerate(segments):
        if isinstance(segment, list):
            names[f"segment{k}"] = call(native.library.address(f"segment{k}"))
            lines += [f"        if segment{k}(at, fixed):", "            return None"]
        else:
            number = native.program.numbers[segment.nodes[0]]
            lines += [
                "        try:",
                *[f"        {line}" for line in _opaque_call(native, k, segment, names)],
                "        except Exception as error:",
                f"            error.instruction = {number}",
                "            raise",
            ]
    lines += [
        "        pass",
        "    finally:",
        f"        if len(arenas) < {_ARENAS}: arenas.append(arena)",
        "        tables.append(holder)",
        "    clock[0] += 1",
        "    clock[1] += now() - begin",
        f"    return [{', '.join(_result(native, n) for n in results)}]",
    ]
    exec(compile("\n".join(lines), "<bital native plan>", "exec"), names)
    return names["run"]


def _size(native: Any) -> list[str]:
    """The lines that find the size that changes, and it in whole units of the arena."""
    if native.bounds is None:
        return []
    k, axis = native.bounds.place
    return [f"    n = t[{k}].shape[{axis}]", "    room = -(-n // 64) * 64"]


def _scalars(native: Any, names: dict[str, Any]) -> list[str]:
    """The lines that put the run-time scalars into the table."""
    if not native.params:
        return []
    codes = "".join("d" if p.kind == "f64" else "q" for p in native.params)
    names["pack"] = struct.Struct(f"={codes}").pack_into
    # None, a complex number, an integer beyond 64 bits: NumPy's
    names["no_number"] = (struct.error, OverflowError)
    of_size = {SIZE: "n", ROOM: "room"}
    values = ", ".join(of_size.get(p.attrs[0], f"params[{p.attrs[0]}]") for p in native.params)
    return [
        "    try:",
        f"        pack(table, {8 * native.first_param}, {values})",
        "    except no_number:",
        "        return None",
    ]


def _arrays(native: Any, fresh: list[Node], names: dict[str, Any]) -> list[str]:
    """The lines that add to the list of inputs: new arrays, the arena, room for more."""
    lines = []
    if fresh:
        names["empty"] = np.empty
        made = []
        for k, node in enumerate(fresh):
            names[f"d{k}"] = DTYPES[node.kind]
            made.append(f"empty({tuple(native.shape_of(node))!r}, d{k})")
        lines.append(f"    t += ({', '.join(made)},)")
    more = f" + room * {native.layout.arena_unit}" if native.layout.arena_unit else ""
    size = f"{native.layout.arena_bytes}{more}"
    lines += [
        "    try:",
        "        arena = arenas.pop()",
        "    except IndexError:",
        f"        arena = new_arena({size})",
        f"    if arena.nbytes < {size}: arena = new_arena({size})",
        "    t.append(arena)",
    ]
    rest = native.length - native.arena_slot - 1
    if rest:
        lines.append(f"    t += ({'None, ' * rest})")
    return lines


def _result(native: Any, n: Node) -> str:
    """The expression of a held result."""
    root = root_of(n)
    array = f"t[{native.slots[root]}]"
    return array if native.shape_of(root) == n.shape else f"{array}.reshape({tuple(n.shape)!r})"


def _opaque_call(native: Any, k: int, group: Group, names: dict[str, Any]) -> list[str]:
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


def _shown(native: Any, x: Node, names: dict[str, Any], key: str) -> str:
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
        moved = f" + int(params[{param_of(x.inputs[1]).attrs[0]}])" if len(x.inputs) > 1 else ""
        return f"show_window({source}, {tuple(x.shape)!r}, {strides!r}, {offset}{moved})"
    array = f"t[{native.slots[x]}]"
    return array if native.shape_of(x) == x.shape else f"{array}.reshape({tuple(x.shape)!r})"


def show_axes(x: np.ndarray, mapping: tuple, shape: tuple) -> np.ndarray:
    """Axes permuted, added and repeated."""
    strides = [0 if m is None else x.strides[m] for m in mapping]
    return np.lib.stride_tricks.as_strided(x, shape, strides)


def show_window(x: np.ndarray, shape: tuple, strides: tuple, offset: int) -> np.ndarray:
    """A strided look at a contiguous array; strides and offset in elements."""
    if 0 in shape:
        return np.empty(shape, x.dtype)
    size = x.itemsize
    return np.ndarray(shape, x.dtype, x, offset * size, [s * size for s in strides])


#: memory that plans use while they run, handed from one to the next; so many blocks at most
_arenas: list[np.ndarray] = []
_ARENAS = 4


def new_arena(nbytes: int) -> np.ndarray:
    """A block of at least so many bytes, at an address that vectors like; a free one if any."""
    while _arenas:
        try:
            block = _arenas.pop()
        except IndexError:  # another thread was quicker
            break
        if block.nbytes >= nbytes:
            return block
    whole = np.empty(max(nbytes, 1 << 16) + 64, np.uint8)
    start = -whole.ctypes.data % 64
    return whole[start : start + max(nbytes, 1 << 16)]
