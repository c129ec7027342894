"""Text: one function in the making, as LLVM IR text: its lines, declarations and constants.

Room: codegen. The words that compute are `scalar`'s.
"""

from __future__ import annotations

import itertools

from bital.base.extent import Extent
from bital.codegen.reg import LLVM_TYPES, Reg, literal, vector

_ZEROS = {"0", "false", literal("f32", 0.0)}


class _Sum(str):
    """A line that adds a constant; it is written where somebody `needs` the sum itself."""

    needs = False


class Text:
    """The lines of one function `define internal void @name(ptr %args, i64 %chunk)`.

    `masks` says that the target loads and stores under a mask at no cost (AVX-512), `fused` that it
    multiplies and adds in one instruction.
    """

    def __init__(self, masks: bool = True, fused: bool = True) -> None:
        self.lines: list[str] = []
        self.entry: list[str] = []  # allocas and arguments
        self.arguments: set[int] = set()
        self.declared: set[str] = set()
        self.number = 0
        self.loops = 0
        self.masks, self.fused = masks, fused
        self.label = "entry"
        self.sizes: dict[Extent, Reg] = {}  # those that change
        self.size_argument: int | None = None  # the one that points to the n they depend on
        self.known: dict[tuple, Reg] = {}  # what the open block has computed
        self.sums: dict[str, tuple[Reg, int]] = {}  # those with a constant: x + 3 -> x and 3
        self._waiting: dict[str, _Sum] = {}  # sums that nobody needs yet

    def text(self, name: str) -> str:
        """The whole function; the declarations it needs are in `declared`."""
        size = []
        if self.sizes:
            if self.size_argument is None:
                raise TypeError("a size that changes in a kernel that is given none")
            size = [
                f"  %n.at.at = getelementptr ptr, ptr %args, i64 {self.size_argument}",
                "  %n.at = load ptr, ptr %n.at.at, align 8", "  %n = load i64, ptr %n.at, align 8",
            ]  # fmt: skip
        body = "\n".join(["entry:", *size, *self.written(), "  ret void"])
        return f"define internal void @{name}(ptr %args, i64 %chunk) #0 {{\n{body}\n}}\n"

    def written(self) -> list[str]:
        """The lines, but for sums that nobody needs."""
        lines = itertools.chain(self.entry, self.lines)
        return [line for line in lines if not isinstance(line, _Sum) or line.needs]

    def forget(self) -> None:
        """Free what was written."""
        self.lines, self.entry, self.sizes = [], [], {}
        self.known, self.sums, self._waiting = {}, {}, {}

    # writing

    def count(self) -> int:
        self.number += 1
        return self.number

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def open_block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label, self.known = label, {}

    def use(self, x: Reg) -> str:
        """A register's name, for a line that needs its value."""
        name = x.name
        if name in self._waiting:
            self._waiting.pop(name).needs = True
        return name

    def line_value(self, text: str, kind: str, lanes: int, *operands: Reg) -> Reg:
        """Write one instruction whose `{}` are the operands' names; its result."""
        self.number += 1
        name = f"%v{self.number}"
        self.lines.append(f"  {name} = {text.format(*map(self.use, operands))}")
        return Reg(name, kind, lanes)

    def pure(self, text: str, kind: str, lanes: int, *operands: Reg) -> Reg:
        """`line_value` of what depends on nothing but its operands: once in a block."""
        key = text, kind, operands
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.line_value(text, kind, lanes, *operands)
        return found

    def parted(self, x: Reg) -> tuple[Reg | None, int]:
        """An i64, or a pointer, as a register and a constant that is added to it, in bytes."""
        name = x.name
        if name[0] in "%@":  # a register, or a table
            return self.sums.get(name) or (x, 0)
        return None, int(name)

    def plus(self, x: Reg | None, constant: int) -> Reg:
        """An i64, or a pointer, + a constant (which wraps around)."""
        if not -(2**63) <= constant < 2**63:
            constant = (constant + 2**63) % 2**64 - 2**63
        if x is None or not constant:
            return x or self.index(constant)
        found = self.known.get((x, constant))
        if found is None:
            self.number += 1
            name, kind = f"%v{self.number}", x.kind
            found = self.known[x, constant] = Reg(name, kind)
            self.sums[name] = x, constant
            word = "add i64 {}, {}" if kind == "i64" else "getelementptr i8, ptr {}, i64 {}"
            self._waiting[name] = waiting = _Sum(f"  {name} = {word.format(x.name, constant)}")
            self.lines.append(waiting)
        return found

    def call(self, name: str, kind: str, lanes: int, *operands: Reg) -> Reg:
        """Call an intrinsic or a function, declaring it."""
        types = ", ".join(r.type for r in operands)
        result = vector(kind, lanes)
        self.declared.add(f"declare {result} @{name}({types})")
        args = ", ".join(f"{r.type} {self.use(r)}" for r in operands)
        return self.line_value(f"call {result} @{name}({args})", kind, lanes)

    def alloca(self, kind: str, count: int) -> Reg:
        """`count` elements of scratch that live as long as the call."""
        out = Reg(f"%v{self.count()}", "ptr")
        self.entry.append(f"  {out.name} = alloca [{count} x {LLVM_TYPES[kind]}], align 64")
        return out

    # constants

    def const(self, kind: str, value: float | int | bool | Extent, lanes: int = 1) -> Reg:
        """A constant of a kind, the same in every lane."""
        if isinstance(value, Extent):
            if kind != "i64":
                raise TypeError("a size that changes is no constant")
            return self.splat(self._size(value), lanes)
        text = literal(kind, value)
        if lanes > 1:
            text = "zeroinitializer" if text in _ZEROS else f"splat ({LLVM_TYPES[kind]} {text})"
        return Reg(text, kind, lanes)

    def index(self, value: int | Extent | Reg) -> Reg:
        """An i64."""
        if isinstance(value, Reg):
            return value
        return self._size(value) if isinstance(value, Extent) else Reg(str(value), "i64")

    def _size(self, size: Extent) -> Reg:
        """A size that changes, computed at the function's beginning."""
        found = self.sizes.get(size)
        if found is None:
            name = f"%size{len(self.sizes)}"
            self.entry += [
                f"  {name}.n = mul i64 %n, {size.a}", f"  {name} = add i64 {name}.n, {size.b}",
            ]  # fmt: skip
            found = self.sizes[size] = Reg(name, "i64")
        return found

    def splat(self, x: Reg, lanes: int) -> Reg:
        """A scalar in every lane."""
        if x.lanes == lanes:
            return x
        kind = LLVM_TYPES[x.kind]
        if x.name[0] != "%":
            return Reg(f"splat ({kind} {x.name})", x.kind, lanes)
        vec = vector(x.kind, lanes)
        one = self.pure(f"insertelement {vec} poison, {kind} {{}}, i32 0", x.kind, lanes, x)
        return self.pure(
            f"shufflevector {vec} {{}}, {vec} poison, <{lanes} x i32> zeroinitializer",
            x.kind, lanes, one,
        )  # fmt: skip

    def alike(self, *operands: Reg) -> tuple[Reg, ...]:
        """The operands with as many lanes as the widest has."""
        lanes = operands[0].lanes
        for r in operands:
            if r.lanes != lanes:
                lanes = max(r.lanes for r in operands)
                return tuple([self.splat(r, lanes) for r in operands])
        return operands

    def iota(self, kind: str, lanes: int) -> Reg:
        """0, 1, 2… in the lanes."""
        if lanes == 1:
            return self.const(kind, 0)
        scalar = LLVM_TYPES[kind]
        return Reg(
            "<" + ", ".join(f"{scalar} {literal(kind, k)}" for k in range(lanes)) + ">", kind, lanes
        )
