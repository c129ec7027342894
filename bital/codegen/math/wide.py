"""What AVX-512 has for f32 beyond the words of every processor: small tables, parts of a number.

Room: codegen. Each is one instruction of four cycles, two of which begin in a cycle (a table's:
three, and one). A function that is written in them says so by `by_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

from bital.codegen.lanes import shuffle
from bital.codegen.math.value import Value
from bital.codegen.reg import LLVM_TYPES, Reg, literal

_LANES = 16
_EVERY, _ROUNDED = Reg("-1", "i16"), Reg("4", "i32")  # no mask; as the processor rounds

Function = Callable[..., Value]


def by_table(wide: Function) -> Callable[[Function], Function]:
    """Decorates what every processor can do: where there is AVX-512, f32 is done by `wide`."""

    def choose(function: Function) -> Function:
        @wraps(function)
        def write(x: Value) -> Value:
            b, lanes = x.b, x.reg.lanes
            if not b.masks or x.wide or lanes > _LANES:
                return function(x)
            if lanes == _LANES:
                return wide(x)
            if lanes == 1:
                return Value(b, b.lane(wide(Value(b, b.splat(x.reg, _LANES))).reg, 0))
            spread = shuffle(b, x.reg, x.reg, [k % lanes for k in range(_LANES)])
            result = wide(Value(b, spread)).reg
            return Value(b, shuffle(b, result, result, range(lanes)))

        return write

    return choose


def _call(name: str, x: Value, *more: Reg) -> Value:
    return Value(x.b, x.b.call(f"llvm.x86.avx512.{name}.512", "f32", _LANES, x.reg, *more))


def _vector(table: Sequence[float]) -> Reg:
    kind = LLVM_TYPES["f32"]
    return Reg("<" + ", ".join(f"{kind} {literal('f32', c)}" for c in table) + ">", "f32", _LANES)


def lookup(table: Sequence[float], index: Value) -> Value:
    """table[index], of 16 or 32 numbers; the index is the low bits of an integer."""
    if len(table) == _LANES:
        low = Value(index.b, _vector(table))
        return _call("permvar.sf", low, index.reg)
    low, high = Value(index.b, _vector(table[:_LANES])), _vector(table[_LANES:])
    return _call("vpermi2var.ps", low, index.reg, high)


def times_power(p: Value, n: Value) -> Value:
    """p * 2**floor(n), rounded once."""
    return _call("mask.scalef.ps", p, n.reg, p.const(0.0).reg, _EVERY, _ROUNDED)


def mantissa(x: Value) -> Value:
    """m of x = 2**e * m, between 3/4 and 3/2; of 0 and infinity 1."""
    return _call("mask.getmant.ps", x, Reg("3", "i32"), x.const(0.0).reg, _EVERY, _ROUNDED)


def exponent(x: Value) -> Value:
    """floor(log2 |x|)."""
    return _call("mask.getexp.ps", x, x.const(0.0).reg, _EVERY, _ROUNDED)


def beyond(x: Value, bits: int) -> Value:
    """x without its nearest multiple of 2**-bits."""
    how = Reg(str(bits << 4 | 8), "i32")
    return _call("mask.reduce.ps", x, how, x.const(0.0).reg, _EVERY, _ROUNDED)


#: what `special` puts for an argument that is a quiet NaN, another NaN, 0, 1, -inf, inf, < 0, > 0
KEEP, ARGUMENT, QUIET, NAN, MINUS_INF, INF = range(6)


def special(result: Value, x: Value, *put: int) -> Value:
    """The result, or what is put for an argument x of a kind."""
    table = sum(what << 4 * k for k, what in enumerate(put))
    table -= (table >> 31) << 32
    kinds = x.b.const("i32", table, _LANES)
    return _call("mask.fixupimm.ps", result, x.reg, kinds, Reg("0", "i32"), _EVERY, _ROUNDED)
