"""Runner: the Python function that runs a compiled plan.

Room: codegen. Native stretches and opaque instructions take turns; all arrays are in one list.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from bital.base.extent import Bounds
from bital.base.lines import BY_LINES, allocator, worth_it
from bital.base.window import strided
from bital.codegen import threads
from bital.codegen.form import Form, Opaque
from bital.codegen.jit import Library
from bital.plan.node import ROOM, SIZE


def runner(
    form: Form,
    library: Library,
    code: list[tuple],
    bounds: Bounds | None,
    clock: list[int],
    tables: list[Any],
) -> Callable[[list, list], list | None]:
    """The Python function that runs a plan; it gives None where NumPy has to run it.

    `code` has the opaque instructions, `bounds` are those of a size that changes. Runs and their
    nanoseconds are added to `clock`, and tables that are made to `tables`. The function has an
    attribute `at_once`, None where there are opaque instructions: see `_at_once`. That has
    an attribute `unchanged`: see `threads.unchanged`.
    """

    def new_table() -> tuple[Any, int]:
        table = (ctypes.c_int64 * (form.first_param + len(form.params)))()
        table[0] = threads.address("walk")
        tables.append(table)
        return table, ctypes.addressof(table)

    names: dict[str, Any] = {
        "tables": [new_table()], "new_table": new_table, "arenas": _arenas, "most_arenas": _ARENAS,
        "new_arena": new_arena, "now": perf_counter_ns, "clock": clock, "empty": np.empty,
        "in_order": in_order, "show_axes": show_axes, "strided": strided,
    }  # fmt: skip
    # a table belongs to one run at a time, so that threads may run the same plan
    begin = [
        "    begin = now()",
        "    try:",
        "        holder = tables.pop()",
        "    except IndexError:",
        "        holder = new_table()",
        "    table, fixed = holder",
        *_size(bounds),
        *_scalars(form, names),
        *_arrays(form, names),
    ]
    lines = [
        "def run(t, params):",
        *begin,
        "    at = id(t)",
        "    try:",
        *_stretches(form, library, code, names),
        "        pass",
        *_END,
        *[f"    {line}" for line in _COUNT],
        f"    return [{', '.join(map(_shown, form.results))}]",
        "run.at_once = None",
    ]
    if form.stretches == [None] and all(_root(result) == "array" for result in form.results):
        lines += ["def at_once(t, params, values):", *begin, *_at_once(form), *_END]
        lines += ["run.at_once = at_once", "at_once.unchanged = unchanged"]
        names["unchanged"] = threads.unchanged()
    exec(compile("\n".join(lines), "<bital native plan>", "exec"), names)
    return names["run"]


_END = [
    "    finally:",
    "        if len(arenas) < most_arenas: arenas.append(arena)",
    "        tables.append(holder)",
]
_COUNT = ["clock[0] += 1", "clock[1] += now() - begin"]


def _at_once(form: Form) -> list[str]:
    """The lines that run the one native stretch and give `values` its results; True if it ran.

    Ctrl-C must not come between, when inputs are overwritten and results are nobody's. CPython
    looks for signals after calls, when a function begins and when a loop goes back; a loop over
    `map` makes the call without looking, and what follows it in the loop is straight.
    """
    each = range(len(form.results))
    lines = [f"    {', '.join([f'v{k}' for k in each])}, = values"] if each else []
    lines += [f"    r{k} = {_shown(result)}" for k, result in enumerate(form.results)]
    lines += ["    try:", "        for failed in map(segment0, (id(t),), (fixed,)):"]
    lines += ["            if failed: return False"]
    for k in each:  # another thread that needed a value may have given it an array
        lines += [f"            if v{k}.buf is None:"]
        lines += [f"                v{k}.buf = r{k}", f"                v{k}.trace = None"]
    return [*lines, *[f"        {line}" for line in _COUNT], "        return True"]


def _root(operand: list) -> str:
    """What the operand is a look at."""
    return operand[0] if operand[0] in ("array", "scalar") else _root(operand[1])


def _size(bounds: Bounds | None) -> list[str]:
    """The lines that find the size that changes, and it in whole units of the arena."""
    if bounds is None:
        return []
    k, axis = bounds.place
    return [f"    n = t[{k}].shape[{axis}]", "    room = -(-n // 64) * 64"]


def _scalars(form: Form, names: dict[str, Any]) -> list[str]:
    """The lines that put the run-time scalars into the table."""
    if not form.params:
        return []
    names["pack"] = struct.Struct("=" + "".join(code for _, code in form.params)).pack_into
    # None, a complex number, an integer beyond 64 bits: NumPy's
    names["no_number"] = (struct.error, OverflowError)
    of_size = {SIZE: "n", ROOM: "room"}
    values = ", ".join(of_size.get(k) or f"params[{int(k)}]" for k, _ in form.params)
    return [
        "    try:",
        f"        pack(table, {8 * int(form.first_param)}, {values})",
        "    except no_number:",
        "        return None",
    ]


def _arrays(form: Form, names: dict[str, Any]) -> list[str]:
    """The lines that add to the list of inputs: new arrays, the arena, room for more."""
    lines = []
    if form.arrays:
        made = []
        for k, (shape, dtype) in enumerate(form.arrays):
            names[f"d{k}"] = np.dtype(dtype)
            made.append(f"empty({_sizes(shape)}, d{k})")
        arrays = [f"    t += ({', '.join(made)},)"]
        if worth_it(_bytes(shape, dtype) for shape, dtype in form.arrays):
            names |= {"allocator": allocator, "by_lines": BY_LINES}
            arrays = [
                "    before = allocator.set(by_lines)", *arrays, "    allocator.reset(before)",
            ]  # fmt: skip
        lines += arrays
    more = f" + room * {int(form.arena_unit)}" if form.arena_unit else ""
    size = f"{int(form.arena_bytes)}{more}"
    lines += [
        "    try:",
        "        arena = arenas.pop()",
        "    except IndexError:",
        f"        arena = new_arena({size})",
        f"    if arena.nbytes < {size}: arena = new_arena({size})",
        "    t.append(arena)",
    ]
    rest = form.items - form.inputs - len(form.arrays) - 1
    if rest:
        lines.append(f"    t += ({'None, ' * rest})")
    return lines


def _bytes(shape: list, dtype: str) -> int:
    """The bytes of an array; none where a size changes."""
    changes = any(isinstance(size, list) for size in shape)
    return 0 if changes else math.prod(shape) * np.dtype(dtype).itemsize


def _stretches(form: Form, library: Library, code: list[tuple], names: dict[str, Any]) -> list[str]:
    """The lines that compute."""
    # two words each; ctypes takes numbers for addresses at a third of what it takes for integers
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    lines = []
    for k, stretch in enumerate(form.stretches):
        if stretch is None:
            names[f"segment{k}"] = call(library.address(f"segment{k}"))
            lines += [f"        if segment{k}(at, fixed):", "            return None"]
        else:
            lines += [
                "        try:",
                *[f"        {line}" for line in _opaque_call(stretch, code, names)],
                "        except Exception as error:",
                f"            error.instruction = {int(stretch.number)}",
                "            raise",
            ]
    return lines


def _opaque_call(opaque: Opaque, code: list[tuple], names: dict[str, Any]) -> list[str]:
    """The lines that run an opaque instruction and take its results apart."""
    k, item = int(opaque.number), int(opaque.item)
    spec = code[k][0]
    names[f"f{k}"] = spec.fn
    call = f"f{k}({', '.join(map(_shown, opaque.operands))})"
    if not isinstance(spec.out, tuple):
        names[f"e{k}"] = spec.out.np
        return [f"    t[{item}] = in_order({call}, e{k})"]
    lines = [f"    t[{item}] = {call}"]
    for pick, place in opaque.picks:
        names[f"e{k}_{int(pick)}"] = spec.out[pick].np
        lines.append(f"    t[{int(place)}] = in_order(t[{item}][{int(pick)}], e{k}_{int(pick)})")
    return lines


def in_order(x: Any, dtype: np.dtype) -> np.ndarray:
    """What an opaque instruction gave, as a contiguous array."""
    return np.ascontiguousarray(x, dtype).reshape(np.shape(x))


def _shown(operand: list) -> str:
    """The expression of an operand."""
    word, first, *rest = operand
    if word == "array":
        return f"t[{int(first)}]"
    if word == "scalar":
        return f"params[{int(first)}]"
    if word == "reshape":
        return f"{_shown(first)}.reshape({_sizes(rest[0])})"
    if word == "axes":
        mapping = tuple(None if m is None else int(m) for m in rest[0])
        return f"show_axes({_shown(first)}, {mapping!r}, {_sizes(rest[1])})"
    if word == "window":
        shape, strides, offset, moved = rest
        more = "" if moved is None else f" + int(params[{int(moved)}])"
        return f"strided({_shown(first)}, {offset:d}{more}, {_sizes(shape)}, {_sizes(strides)})"
    raise ValueError(f"no operand is {word!r}")


def _sizes(sizes: list) -> str:
    """A tuple of sizes, as Python spells it."""
    words = [f"{s[0]:d} * n + {s[1]:d}" if isinstance(s, list) else f"{s:d}" for s in sizes]
    return f"({', '.join(words)}{',' * (len(words) == 1)})"


def show_axes(x: np.ndarray, mapping: tuple, shape: tuple) -> np.ndarray:
    """Axes permuted, added and repeated."""
    strides = [0 if m is None else x.strides[m] for m in mapping]
    return np.lib.stride_tricks.as_strided(x, shape, strides)


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
