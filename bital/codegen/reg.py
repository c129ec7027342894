"""Reg: one value in LLVM IR text, and how the text spells kinds, types and numbers.

Room: codegen.
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

import numpy as np

#: kind of element -> its LLVM type; signedness is a matter of the words, not of the type
LLVM_TYPES = {
    "f32": "float", "f64": "double", "f16": "half", "bf16": "bfloat", "i1": "i1", "i8": "i8",
    "u8": "i8", "i16": "i16", "u16": "i16", "i32": "i32", "u32": "i32", "i64": "i64", "u64": "i64",
    "ptr": "ptr",
}  # fmt: skip
BYTES = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2, "i1": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2,
         "i32": 4, "u32": 4, "i64": 8, "u64": 8, "ptr": 8}  # fmt: skip
FLOATS = frozenset(("f32", "f64", "f16", "bf16"))
UNSIGNED = frozenset(("u8", "u16", "u32", "u64", "i1"))
#: the integer as wide as a kind of float, for looking at its bits
BITS = {"f32": "i32", "f64": "i64", "f16": "i16", "bf16": "i16"}


class Reg(NamedTuple):
    """An SSA value or a constant: its name in the text, kind of element, and number of lanes."""

    name: str
    kind: str
    lanes: int = 1

    @property
    def type(self) -> str:
        """Its LLVM type."""
        return vector(self.kind, self.lanes)


@functools.cache
def vector(kind: str, lanes: int) -> str:
    """The LLVM type of `lanes` elements; of one, the scalar type."""
    scalar = LLVM_TYPES[kind]
    return scalar if lanes == 1 else f"<{lanes} x {scalar}>"


def literal(kind: str, value: float | int | bool) -> str:
    """A number as LLVM spells it; floats by their bits, so that they are exact."""
    if kind == "i1":
        return "true" if value else "false"
    if kind in ("f32", "f64"):
        number = float(np.float32(value)) if kind == "f32" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    if kind == "f16":
        return f"0xH{np.float16(value).view(np.uint16):04X}"
    if kind == "bf16":
        bits = np.float32(value).view(np.uint32)
        return f"0xR{(int(bits) + 0x7FFF + (int(bits) >> 16 & 1)) >> 16 & 0xFFFF:04X}"
    return str(int(value))


_NAMES = {"f32": "f32", "f64": "f64", "f16": "f16", "bf16": "bf16"}


def mangled(kind: str, lanes: int) -> str:
    """How an intrinsic's name spells a type: `v16f32`."""
    scalar = _NAMES.get(kind) or LLVM_TYPES[kind]
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


def whole(x: Reg) -> int | None:
    """The number that a constant i64 is; None for anything else."""
    name = x.name
    if name[0] == "%" or x.kind != "i64" or x.lanes != 1:
        return None
    return int(name) if name.removeprefix("-").isdecimal() else None
