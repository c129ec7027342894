"""Text: one function in the making, as LLVM IR text: its lines, declarations and constants.

Room: codegen. The words that compute are `scalar`'s.
"""

from __future__ import annotations

from bital.base.extent import Extent
from bital.codegen.reg import LLVM_TYPES, Reg, literal, vector


class Text:
    """The lines of one function `define internal void @name(ptr %args, i64 %chunk)`.

    `masks` says that the target loads and stores under a mask at no cost (AVX-512).
    """

    def __init__(self, masks: bool = True) -> None:
        self.lines: list[str] = []
        self.entry: list[str] = []  # allocas and arguments
        self.arguments: set[int] = set()
        self.declared: set[str] = set()
        self.number = 0
        self.loops = 0
        self.masks = masks
        self.label = "entry"
        self.sizes: dict[Extent, Reg] = {}  # those that change
        self.size_argument: int | None = None  # the one that points to the n they depend on

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
        body = "\n".join(["entry:", *size, *self.entry, *self.lines, "  ret void"])
        return f"define internal void @{name}(ptr %args, i64 %chunk) #0 {{\n{body}\n}}\n"

    def forget(self) -> None:
        """Free what was written."""
        self.lines, self.entry, self.sizes = [], [], {}

    # writing

    def count(self) -> int:
        self.number += 1
        return self.number

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def open_block(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def line_value(self, text: str, kind: str, lanes: int, *operands: Reg) -> Reg:
        """Write one instruction whose `{}` are the operands' names; its result."""
        out = Reg(f"%v{self.count()}", kind, lanes)
        self.lines.append(f"  {out.name} = {text.format(*[r.name for r in operands])}")
        return out

    def call(self, name: str, kind: str, lanes: int, *operands: Reg) -> Reg:
        """Call an intrinsic or a function, declaring it."""
        types = ", ".join(r.type for r in operands)
        result = vector(kind, lanes)
        self.declared.add(f"declare {result} @{name}({types})")
        args = ", ".join(f"{r.type} {r.name}" for r in operands)
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
            text = f"splat ({LLVM_TYPES[kind]} {text})"
        return Reg(text, kind, lanes)

    def index(self, value: int | Extent | Reg) -> Reg:
        """An i64."""
        if isinstance(value, Extent):
            return self._size(value)
        return value if isinstance(value, Reg) else Reg(str(value), "i64")

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
        one = self.line_value(f"insertelement {vec} poison, {kind} {{}}, i32 0", x.kind, lanes, x)
        return self.line_value(
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
