"""Value: a Reg that remembers its Builder, so that formulas read as formulas.

Room: codegen. `x * y + 1` writes two instructions and rounds twice; a product and a sum are rounded
once where a formula says `fma`, and take one instruction, if there is one, where it says `muladd`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeAlias

import numpy as np

from bital.codegen.reg import BITS, BYTES, FLOATS, Reg
from bital.codegen.scalar import Builder

Operand: TypeAlias = "Value | float"
#: a word's name, NumPy's, -> what writes it
FUNCTIONS: dict[str, Callable[..., Reg]] = {}


class Value:
    """A scalar or vector that is being written, with Python's operators."""

    __slots__ = ("b", "reg")

    def __init__(self, b: Builder, reg: Reg) -> None:
        self.b, self.reg = b, reg

    @property
    def kind(self) -> str:
        return self.reg.kind

    @property
    def wide(self) -> bool:
        """Whether it is of double precision."""
        return self.reg.kind == "f64"

    def const(self, value: float) -> Value:
        """A constant of the same kind and lanes."""
        return Value(self.b, self.b.const(self.reg.kind, value, self.reg.lanes))

    def _meet(self, word: str, other: Operand) -> Value:
        reg = other.reg if isinstance(other, Value) else self.const(other).reg
        return Value(self.b, getattr(self.b, word)(self.reg, reg))

    def _after(self, word: str, other: float) -> Value:
        return self.const(other)._meet(word, self)

    def _alone(self, word: str) -> Value:
        return Value(self.b, getattr(self.b, word)(self.reg))

    def __add__(self, other: Operand) -> Value:
        return self._meet("add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._meet("sub", other)

    def __mul__(self, other: Operand) -> Value:
        return self._meet("mul", other)

    def __truediv__(self, other: Operand) -> Value:
        return self._meet("div", other)

    def __radd__(self, other: float) -> Value:
        return self._after("add", other)

    def __rsub__(self, other: float) -> Value:
        return self._after("sub", other)

    def __rmul__(self, other: float) -> Value:
        return self._after("mul", other)

    def __rtruediv__(self, other: float) -> Value:
        return self._after("div", other)

    def __neg__(self) -> Value:
        return self._alone("neg")

    def __abs__(self) -> Value:
        return self._alone("abs")

    def __lt__(self, other: Operand) -> Value:
        return self._meet("lt", other)

    def __le__(self, other: Operand) -> Value:
        return self._meet("le", other)

    def __gt__(self, other: Operand) -> Value:
        return self._meet("gt", other)

    def __ge__(self, other: Operand) -> Value:
        return self._meet("ge", other)

    def equals(self, other: Operand) -> Value:
        return self._meet("eq", other)

    def isnan(self) -> Value:
        return self._alone("isnan")

    def __and__(self, other: Operand) -> Value:
        return self._meet("both", other)

    def __or__(self, other: Operand) -> Value:
        return self._meet("either", other)

    def __xor__(self, other: Operand) -> Value:
        return self._meet("xor", other)

    def __invert__(self) -> Value:
        return self._alone("invert")

    def __lshift__(self, other: Operand) -> Value:
        return self._meet("shl", other)

    def __rshift__(self, other: Operand) -> Value:
        return self._meet("shr", other)

    def sqrt(self) -> Value:
        return self._alone("sqrt")

    def rint(self) -> Value:
        return self._alone("rint")

    def floor(self) -> Value:
        return self._alone("floor")

    def any(self) -> Value:
        """Whether a bool holds in any lane."""
        return self._alone("any")

    def copysign(self, other: Value) -> Value:
        return self._meet("copysign", other)

    def cast(self, kind: str) -> Value:
        """The number as another kind."""
        return Value(self.b, self.b.cast(self.reg, kind))

    def bits(self) -> Value:
        """A float's bits as a signed integer."""
        return Value(self.b, self.b.bits(self.reg, BITS[self.kind]))

    def as_float(self) -> Value:
        """The float whose bits an integer is."""
        return Value(self.b, self.b.bits(self.reg, f"f{BYTES[self.kind] * 8}"))


def word(name: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Enter a function of Values in the table, as one of a Builder and Regs."""

    def enter(function: Callable[..., Value]) -> Callable[..., Value]:
        @wraps(function)
        def write(b: Builder, *operands: Reg) -> Reg:
            return function(*(Value(b, reg) for reg in b.alike(*operands))).reg

        FUNCTIONS[name] = write
        return function

    return enter


def fma(x: Value, y: Operand, z: Operand) -> Value:
    """x * y + z, rounded once."""
    y, z = (v if isinstance(v, Value) else x.const(v) for v in (y, z))
    return Value(x.b, x.b.fma(x.reg, y.reg, z.reg))


def muladd(x: Value, y: Operand, z: Operand) -> Value:
    """x * y + z, rounded once where that is one instruction, else twice."""
    y, z = (v if isinstance(v, Value) else x.const(v) for v in (y, z))
    return Value(x.b, x.b.muladd(x.reg, y.reg, z.reg))


def select(condition: Value, x: Operand, y: Operand) -> Value:
    """x where the condition holds, else y; one of the two is a Value."""
    like = x if isinstance(x, Value) else y
    assert isinstance(like, Value)
    x, y = (v if isinstance(v, Value) else like.const(v) for v in (x, y))
    return Value(like.b, like.b.select(condition.reg, x.reg, y.reg))


def at_most(x: Value, bound: float) -> Value:
    """The smaller one of x and a bound; NaN stays NaN."""
    return select(x.const(bound) < x, bound, x)


def at_least(x: Value, bound: float) -> Value:
    """The larger one of x and a bound; NaN stays NaN."""
    return select(x.const(bound) > x, bound, x)


def parts(x: Value, value: float, rest: float) -> tuple[float, float]:
    """A constant of more than double precision, value + rest, as two numbers of x's kind."""
    if x.wide:
        return value, rest
    high = float(np.float32(value))
    return high, value - high


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """The sum of coefficients[k] * x**k, by Horner's scheme."""
    *more, last = coefficients[1:]
    total: Operand = last
    for coefficient in reversed(more):
        total = muladd(x, total, coefficient)
    total = fma(x, total, coefficients[0])
    assert isinstance(total, Value) and total.kind in FLOATS
    return total
