"""Builder: the words in which scalar and vector code is written, as LLVM IR text.

Room: codegen. A Reg is one SSA value: a scalar, or a vector of `lanes` elements; a word that meets
both spreads the scalar over the lanes. A Builder writes one function; blocks, loops and phis are
made by `loop` and `when`, so that writers of kernels never spell labels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from bital.codegen.flow import Loop, When
from bital.codegen.reg import BYTES, FLOATS, LLVM_TYPES, UNSIGNED, Reg, mangled, vector, whole
from bital.codegen.text import Text


class Builder(Text):
    """Writes the body of one function, instruction by instruction."""

    # blocks

    def loop(self, begin: int | Reg, end: int | Reg, step: int = 1, *carried: Reg) -> Loop:
        """Open a loop over begin, begin + step… below end; close it by its `end`."""
        return Loop(self, self.index(begin), self.index(end), step, carried)

    def when(self, condition: Reg) -> When:
        """Open a branch for a scalar condition; close it by its `end`."""
        return When(self, condition)

    def outlined(self, name: str, write: Callable[..., Sequence[Reg]], *operands: Reg) -> list[Reg]:
        """Call a function that `write(b, *operands)` writes; equal ones are one in a module.

        It is marked as cold: for rare cases that would make the code around them long.
        """
        inner = Builder(self.masks, self.fused)
        parameters = [Reg(f"%x{k}", r.kind, r.lanes) for k, r in enumerate(operands)]
        results = write(inner, *parameters)
        struct = "{ " + ", ".join(r.type for r in results) + " }"
        whole = "poison"
        for k, r in enumerate(results):
            inner.line(f"%r{k} = insertvalue {struct} {whole}, {r.type} {inner.use(r)}, {k}")
            whole = f"%r{k}"
        self.declared |= inner.declared
        body = "\n".join(["entry:", *inner.written(), f"  ret {struct} {whole}"])
        types = ", ".join(f"{r.type} {r.name}" for r in parameters)
        self.declared.add(
            f"define internal {struct} @{name}({types}) cold noinline #0 {{\n{body}\n}}\n"
        )
        arguments = ", ".join(f"{r.type} {self.use(r)}" for r in operands)
        call = f"%v{self.count()}"
        self.line(f"{call} = call {struct} @{name}({arguments})")
        out = [Reg(f"{call}.{k}", r.kind, r.lanes) for k, r in enumerate(results)]
        for k, r in enumerate(out):
            self.line(f"{r.name} = extractvalue {struct} {call}, {k}")
        return out

    # casts

    def bits(self, x: Reg, kind: str) -> Reg:
        """The same bits as another kind of the same width."""
        to = vector(kind, x.lanes)
        return self.line_value(f"bitcast {x.type} {{}} to {to}", kind, x.lanes, x)

    def cast(self, x: Reg, kind: str) -> Reg:
        """The number as another kind, as C converts; to i1: whether it is not 0.

        A float beyond an integer's range becomes what PyTorch makes of it on x86.
        """
        if x.kind == kind:
            return x
        if kind == "i1":
            return self.ne(x, self.const(x.kind, 0, x.lanes))
        if x.kind in FLOATS and kind in FLOATS:
            if {x.kind, kind} == {"f16", "bf16"}:
                return self.cast(self.cast(x, "f32"), kind)
            word = "fpext" if BYTES[kind] > BYTES[x.kind] else "fptrunc"
        elif x.kind in FLOATS and BYTES[kind] < 4:
            # LLVM may saturate narrow integers: the low bits of a wider one are meant
            return self.cast(
                self.cast(x, "i64" if (x.kind, kind) == ("f64", "u8") else "i32"), kind
            )
        elif x.kind in FLOATS:
            word = "fptoui" if kind == "u64" else "fptosi"
        elif kind in FLOATS:
            word = "uitofp" if x.kind in UNSIGNED else "sitofp"
        elif LLVM_TYPES[x.kind] == LLVM_TYPES[kind]:
            return Reg(x.name, kind, x.lanes)
        elif x.kind != "i1" and BYTES[kind] < BYTES[x.kind]:
            word = "trunc"
        else:
            word = "zext" if x.kind in UNSIGNED else "sext"
        to = vector(kind, x.lanes)
        return self.line_value(f"{word} {x.type} {{}} to {to}", kind, x.lanes, x)

    def affine(self, constant: int, *terms: tuple[Reg, int]) -> Reg:
        """The i64 `constant` + the sum of register * factor."""
        parts = []
        for register, factor in terms:
            if register.name[0] != "%":
                constant += int(register.name) * factor
            elif factor:
                parts.append(self.mul(register, self.index(factor)) if factor != 1 else register)
        if constant or not parts:
            parts.append(self.index(constant))
        return functools.reduce(self.add, parts)

    # arithmetic

    def _binary(self, float_word: str, int_word: str, x: Reg, y: Reg) -> Reg:
        if x.kind == "i64" and x.lanes == y.lanes == 1:
            return self._parted(int_word, x, y)
        x, y = self.alike(x, y)
        word = float_word if x.kind in FLOATS else int_word
        return self.line_value(f"{word} {x.type} {{}}, {{}}", x.kind, x.lanes, x, y)

    def _parted(self, word: str, x: Reg, y: Reg) -> Reg:
        """A word of two i64. Constants of sums are kept apart: addresses take them as they are."""
        (p, c), (q, d) = self.parted(x), self.parted(y)
        if word == "add":
            return self.plus(self._both(word, p, q) if p and q else p or q, c + d)
        if word == "sub" and (p or not q):
            rest = None if p == q else self._both(word, p, q) if p and q else p
            return self.plus(rest, c - d)
        if word == "mul" and not (p and q):
            scale = d if p else c
            term = p or q
            if term and scale not in (0, 1):
                term = self._both(word, term, self.index(scale))
            return self.plus(term if scale else None, c * d)
        return self._both(word, x, y)

    def _both(self, word: str, x: Reg, y: Reg) -> Reg:
        return self.pure(f"{word} i64 {{}}, {{}}", "i64", 1, x, y)

    def add(self, x: Reg, y: Reg) -> Reg:
        return self._binary("fadd", "add", x, y)

    def sub(self, x: Reg, y: Reg) -> Reg:
        return self._binary("fsub", "sub", x, y)

    def mul(self, x: Reg, y: Reg) -> Reg:
        return self._binary("fmul", "mul", x, y)

    def div(self, x: Reg, y: Reg) -> Reg:
        """x / y of floats."""
        return self._binary("fdiv", "sdiv", x, y)

    def rem(self, x: Reg, y: Reg) -> Reg:
        """What the division of x by y leaves, with the sign of x."""
        word = "urem" if x.kind in UNSIGNED else "srem"
        return self._binary("frem", word, x, y)

    def fma(self, x: Reg, y: Reg, z: Reg) -> Reg:
        """x * y + z, rounded once.

        Without an instruction for it, which the C library makes up for in a microsecond, the
        product is exact, and rounding the sum differs only next to the middle of two numbers.
        """
        x, y, z = self.alike(x, y, z)
        if self.fused:
            return self.call(f"llvm.fma.{mangled(x.kind, x.lanes)}", x.kind, x.lanes, x, y, z)
        if x.kind == "f32":
            x, y, z = (self.cast(v, "f64") for v in (x, y, z))
            return self.cast(self.add(self.mul(x, y), z), "f32")
        product = self.mul(x, y)
        total = self.add(product, z)
        rest = self.add(self._lost_in_product(x, y, product), self._lost_in_sum(product, z, total))
        # NaN where something is infinite; zero has a sign that the sum need not have
        lost = self.compare("one", rest, self.const(x.kind, 0, x.lanes))
        return self.select(lost, self.add(total, rest), total)

    def _lost_in_product(self, x: Reg, y: Reg, product: Reg) -> Reg:
        """x * y - product, by halves of the factors (Dekker 1971)."""
        halves = []
        for factor in (x, y):
            far = self.mul(factor, self.const(x.kind, 2.0**27 + 1, x.lanes))
            high = self.sub(far, self.sub(far, factor))
            halves.append((high, self.sub(factor, high)))
        (a, b), (c, d) = halves
        rest = self.sub(self.mul(a, c), product)
        for p, q in ((a, d), (b, c), (b, d)):
            rest = self.add(rest, self.mul(p, q))
        return rest

    def _lost_in_sum(self, x: Reg, y: Reg, total: Reg) -> Reg:
        """x + y - total (Knuth)."""
        other = self.sub(total, x)
        return self.add(self.sub(x, self.sub(total, other)), self.sub(y, other))

    def muladd(self, x: Reg, y: Reg, z: Reg) -> Reg:
        """x * y + z, rounded once where that is one instruction, else twice."""
        x, y, z = self.alike(x, y, z)
        return self.call(f"llvm.fmuladd.{mangled(x.kind, x.lanes)}", x.kind, x.lanes, x, y, z)

    def neg(self, x: Reg) -> Reg:
        if x.kind in FLOATS:
            return self.line_value(f"fneg {x.type} {{}}", x.kind, x.lanes, x)
        return self.sub(self.const(x.kind, 0, x.lanes), x)

    def _intrinsic(self, word: str, x: Reg, *more: Reg) -> Reg:
        operands = self.alike(x, *more)
        x = operands[0]
        return self.call(f"llvm.{word}.{mangled(x.kind, x.lanes)}", x.kind, x.lanes, *operands)

    def abs(self, x: Reg) -> Reg:
        if x.kind in FLOATS:
            return self._intrinsic("fabs", x)
        if x.kind in UNSIGNED:
            return x
        return self.select(self.lt(x, self.const(x.kind, 0, x.lanes)), self.neg(x), x)

    def sqrt(self, x: Reg) -> Reg:
        return self._intrinsic("sqrt", x)

    def floor(self, x: Reg) -> Reg:
        return self._intrinsic("floor", x)

    def ceil(self, x: Reg) -> Reg:
        return self._intrinsic("ceil", x)

    def trunc(self, x: Reg) -> Reg:
        return self._intrinsic("trunc", x)

    def rint(self, x: Reg) -> Reg:
        """To the nearest integer, halves to the even one."""
        return self._intrinsic("rint", x)

    def copysign(self, x: Reg, y: Reg) -> Reg:
        return self._intrinsic("copysign", x, y)

    def maximum(self, x: Reg, y: Reg) -> Reg:
        """The larger one; NaN where either is NaN."""
        x, y = self.alike(x, y)
        if x.kind in FLOATS:
            # x > y, or x is NaN: x; else y, which may be NaN
            return self.select(self.either(self.compare("ogt", x, y), self.isnan(x)), x, y)
        p, q = whole(x), whole(y)
        if p is not None and q is not None:
            return x if p > q else y
        return self.select(self.gt(x, y), x, y)

    def minimum(self, x: Reg, y: Reg) -> Reg:
        """The smaller one; NaN where either is NaN."""
        x, y = self.alike(x, y)
        if x.kind in FLOATS:
            return self.select(self.either(self.compare("olt", x, y), self.isnan(x)), x, y)
        p, q = whole(x), whole(y)
        if p is not None and q is not None:
            return x if p < q else y
        return self.select(self.lt(x, y), x, y)

    # comparisons and logic: results are i1

    def compare(self, predicate: str, x: Reg, y: Reg) -> Reg:
        """fcmp by LLVM's own predicate, "ogt", "uno"…"""
        x, y = self.alike(x, y)
        return self.line_value(f"fcmp {predicate} {x.type} {{}}, {{}}", "i1", x.lanes, x, y)

    def _compare(self, float_word: str, int_word: str, x: Reg, y: Reg) -> Reg:
        x, y = self.alike(x, y)
        if x.kind in FLOATS:
            return self.compare(float_word, x, y)
        if x.kind in UNSIGNED and int_word[0] == "s":
            int_word = "u" + int_word[1:]
        return self.line_value(f"icmp {int_word} {x.type} {{}}, {{}}", "i1", x.lanes, x, y)

    def lt(self, x: Reg, y: Reg) -> Reg:
        return self._compare("olt", "slt", x, y)

    def le(self, x: Reg, y: Reg) -> Reg:
        return self._compare("ole", "sle", x, y)

    def gt(self, x: Reg, y: Reg) -> Reg:
        return self._compare("ogt", "sgt", x, y)

    def ge(self, x: Reg, y: Reg) -> Reg:
        return self._compare("oge", "sge", x, y)

    def eq(self, x: Reg, y: Reg) -> Reg:
        return self._compare("oeq", "eq", x, y)

    def ne(self, x: Reg, y: Reg) -> Reg:
        return self._compare("une", "ne", x, y)

    def isnan(self, x: Reg) -> Reg:
        return self.compare("uno", x, x)

    def both(self, x: Reg, y: Reg) -> Reg:
        """Bitwise and."""
        return self._binary("and", "and", x, y)

    def either(self, x: Reg, y: Reg) -> Reg:
        """Bitwise or."""
        return self._binary("or", "or", x, y)

    def xor(self, x: Reg, y: Reg) -> Reg:
        return self._binary("xor", "xor", x, y)

    def invert(self, x: Reg) -> Reg:
        """All bits turned over; of i1: not."""
        return self.xor(x, self.const(x.kind, 1 if x.kind == "i1" else -1, x.lanes))

    def shl(self, x: Reg, y: Reg) -> Reg:
        return self._binary("shl", "shl", x, y)

    def shr(self, x: Reg, y: Reg) -> Reg:
        """Shift right; the sign is kept where the kind is signed."""
        word = "lshr" if x.kind in UNSIGNED else "ashr"
        return self._binary(word, word, x, y)

    def select(self, condition: Reg, x: Reg, y: Reg) -> Reg:
        """x where the condition holds, else y."""
        condition, x, y = self.alike(condition, x, y)
        return self.line_value(
            f"select {condition.type} {{}}, {x.type} {{}}, {y.type} {{}}",
            x.kind, x.lanes, condition, x, y,
        )  # fmt: skip

    # memory: addresses are a pointer and an i64 that counts elements of `kind`

    def argument(self, k: int) -> Reg:
        """Pointer `k` of `%args`, loaded once, at the function's beginning."""
        out = Reg(f"%arg{k}", "ptr")
        if k not in self.arguments:
            self.arguments.add(k)
            self.entry.append(f"  %place{k} = getelementptr ptr, ptr %args, i64 {k}")
            self.entry.append(f"  {out.name} = load ptr, ptr %place{k}, align 8")
        return out

    def at(self, pointer: Reg, kind: str, offset: int | Reg) -> Reg:
        """The address `offset` elements on."""
        place, first = self.parted(pointer)
        base, constant = (
            (None, offset) if isinstance(offset, int) else self.parted(self.index(offset))
        )
        if base:
            memory = "i8" if kind == "i1" else LLVM_TYPES[kind]
            text = f"getelementptr {memory}, ptr {{}}, i64 {{}}"
            place = self.pure(text, "ptr", 1, place or pointer, base)
        return self.plus(place, first + constant * BYTES[kind])

    def load(
        self, pointer: Reg, kind: str, offset: int | Reg = 0, lanes: int = 1,
        mask: Reg | None = None,
    ) -> Reg:  # fmt: skip
        """Consecutive elements; those out of the mask are 0. Bools are bytes in memory."""
        place = self.at(pointer, kind, offset)
        stored = "i8" if kind == "i1" else kind
        of = vector(stored, lanes)
        if mask is None:
            got = self.line_value(
                f"load {of}, ptr {{}}, align {BYTES[stored]}", stored, lanes, place
            )
        else:
            name = f"llvm.masked.load.{mangled(stored, lanes)}.p0"
            self.declared.add(f"declare {of} @{name}(ptr, i32, <{lanes} x i1>, {of})")
            got = self.line_value(
                f"call {of} @{name}(ptr {{}}, i32 {BYTES[stored]}, <{lanes} x i1> {{}}, "
                f"{of} zeroinitializer)",
                stored, lanes, place, mask,
            )  # fmt: skip
        return self.cast(got, "i1") if kind == "i1" else got

    def store(self, x: Reg, pointer: Reg, offset: int | Reg = 0, mask: Reg | None = None) -> None:
        """Write consecutive elements, those of the mask only."""
        place = self.at(pointer, x.kind, offset)
        if x.kind == "i1":
            x = self.cast(x, "u8")
        there = [] if mask is None or mask.name[0] == "%" else mask.name.strip("<>").split(", ")
        if there.count("i1 true") == 1:
            # LLVM would store such a lane of a narrowed vector as wide as it was before
            k, mask = there.index("i1 true"), None
            x, place = self.lane(x, k), self.at(place, x.kind, k)
        if mask is None:
            self.line(f"store {x.type} {self.use(x)}, ptr {self.use(place)}, align {BYTES[x.kind]}")
            return
        name = f"llvm.masked.store.{mangled(x.kind, x.lanes)}.p0"
        self.declared.add(f"declare void @{name}({x.type}, ptr, i32, <{x.lanes} x i1>)")
        self.line(
            f"call void @{name}({x.type} {x.name}, ptr {self.use(place)}, i32 {BYTES[x.kind]}, "
            f"<{x.lanes} x i1> {mask.name})"
        )

    def gather(self, pointer: Reg, kind: str, offsets: Reg, mask: Reg | None = None) -> Reg:
        """Elements at `offsets`, a vector of i64; those out of the mask are 0."""
        lanes = offsets.lanes
        if lanes == 1:
            return self.load(pointer, kind, offsets)
        stored = "i8" if kind == "i1" else kind
        of = vector(stored, lanes)
        places = self._places(pointer, stored, offsets)
        mask = mask or self.const("i1", True, lanes)
        name = f"llvm.masked.gather.{mangled(stored, lanes)}.v{lanes}p0"
        self.declared.add(f"declare {of} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {of})")
        got = self.line_value(
            f"call {of} @{name}(<{lanes} x ptr> {{}}, i32 {BYTES[stored]}, <{lanes} x i1> {{}}, "
            f"{of} zeroinitializer)",
            stored, lanes, places, mask,
        )  # fmt: skip
        return self.cast(got, "i1") if kind == "i1" else got

    def prefetch(self, pointer: Reg, kind: str, offset: int | Reg, write: bool = False) -> None:
        """Ask for the cache line of an element that will be read, or written; it need not exist."""
        place = self.at(pointer, kind, offset)
        self.declared.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.line(
            f"call void @llvm.prefetch.p0(ptr {self.use(place)}, i32 {int(write)}, i32 3, i32 1)"
        )

    def scatter(self, x: Reg, pointer: Reg, offsets: Reg, mask: Reg | None = None) -> None:
        """Write elements at `offsets`, a vector of i64, those of the mask only."""
        if x.kind == "i1":
            x = self.cast(x, "u8")
        if offsets.lanes == 1:
            self.store(x, pointer, offsets)
            return
        lanes = offsets.lanes
        x = self.splat(x, lanes)
        places = self._places(pointer, x.kind, offsets)
        mask = mask or self.const("i1", True, lanes)
        name = f"llvm.masked.scatter.{mangled(x.kind, lanes)}.v{lanes}p0"
        self.declared.add(f"declare void @{name}({x.type}, <{lanes} x ptr>, i32, <{lanes} x i1>)")
        self.line(
            f"call void @{name}({x.type} {x.name}, <{lanes} x ptr> {places.name}, "
            f"i32 {BYTES[x.kind]}, <{lanes} x i1> {mask.name})"
        )

    def _places(self, pointer: Reg, kind: str, offsets: Reg) -> Reg:
        return self.line_value(
            f"getelementptr {LLVM_TYPES[kind]}, ptr {{}}, {offsets.type} {{}}",
            "ptr", offsets.lanes, pointer, offsets,
        )  # fmt: skip

    def mask_below(self, count: int | Reg, lanes: int) -> Reg:
        """The mask of the first `count` lanes."""
        count = self.index(count)
        if count.name[0] != "%":
            there = ["true" if k < int(count.name) else "false" for k in range(lanes)]
            return Reg(f"<{', '.join(f'i1 {word}' for word in there)}>", "i1", lanes)
        # narrow numbers: a comparison of one vector
        bound = self.cast(self.minimum(count, self.index(lanes)), "i32")
        return self.lt(self.iota("i32", lanes), self.splat(bound, lanes))

    def lane(self, x: Reg, k: int) -> Reg:
        """One lane as a scalar."""
        if x.lanes == 1:
            return x
        return self.line_value(f"extractelement {x.type} {{}}, i32 {k}", x.kind, 1, x)

    def freeze(self, x: Reg) -> Reg:
        """The same value, of which code generation forgets where it comes from.

        Of an index or address of a loop: LLVM's loop strength reduction then leaves the many
        addresses made of it alone, on which it would spend most of the time of compiling. Pointers
        that a loop carries are frozen by it.
        """
        return self.line_value(f"freeze {x.type} {{}}", x.kind, x.lanes, x)

    def join(self, parts: Sequence[Reg]) -> Reg:
        """Vectors of as many lanes one after the other, as one."""
        x = parts[0]
        lanes = x.lanes * len(parts)
        if len(parts) == 1:
            return x
        of = mangled(x.kind, lanes)
        joined = Reg("poison", x.kind, lanes)
        name = f"llvm.vector.insert.{of}.{mangled(x.kind, x.lanes)}"
        self.declared.add(f"declare {joined.type} @{name}({joined.type}, {x.type}, i64)")
        for k, part in enumerate(parts):
            joined = self.line_value(
                f"call {joined.type} @{name}({joined.type} {{}}, {x.type} {{}}, "
                f"i64 {k * x.lanes})",
                x.kind, lanes, joined, part,
            )  # fmt: skip
        return joined

    def any(self, x: Reg) -> Reg:
        """Whether a bool holds in any lane."""
        if x.lanes == 1:
            return x
        return self.call(f"llvm.vector.reduce.or.{mangled('i1', x.lanes)}", "i1", 1, x)

    def across(self, word: str, x: Reg) -> Reg:
        """A vector folded into a scalar by a word of two operands: halves, quarters…

        Factors are taken one by one: their order decides what overflows.
        """
        if word == "mul" and x.kind in FLOATS:
            return functools.reduce(self.mul, [self.lane(x, k) for k in range(x.lanes)])
        while x.lanes > 1:
            half = x.lanes // 2
            low, high = (
                self.line_value(
                    f"shufflevector {x.type} {{}}, {x.type} poison, <{half} x i32> <"
                    + ", ".join(f"i32 {k}" for k in range(first, first + half)) + ">",
                    x.kind, half, x,
                )
                for first in (0, half)
            )  # fmt: skip
            # a vector of one lane is a scalar here
            if half == 1:
                low, high = self.lane(x, 0), self.lane(x, 1)
            x = getattr(self, word)(low, high)
        return x
