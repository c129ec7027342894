"""Symbolic namespace: what an operator's implementation does, found out by letting it do it.

Room: plan. An implementation is written against an array namespace. Given this one instead of
NumPy, and Arrays instead of NumPy's, it builds a graph. Whatever this namespace lacks raises
Untraceable, and the instruction stays with NumPy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.extent import Extent
from bital.plan.graph import Graph
from bital.plan.node import DTYPES, KINDS, Node, Untraceable
from bital.plan.spatial import Spatial
from bital.plan.steps import through
from bital.plan.symbolic_array import Array, kind_for, known_kind
from bital.plan.symbolic_reduce import Reductions
from bital.plan.symbolic_shape import Shapes

#: NumPy's names of functions of floats that keep their kind
_FLOAT_WORDS = frozenset((
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "sqrt", "arctan2",
    "hypot", "logaddexp", "logaddexp2", "copysign", "erf", "erfc", "erfinv", "sigmoid",
))  # fmt: skip
#: those that leave integers as they are
_ROUNDING = frozenset(("floor", "ceil", "trunc", "rint"))
#: NumPy's names of functions of any kind, and the words they are
_WORDS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "negative": "neg", "absolute": "abs",
    "abs": "abs", "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip
#: what some of these mean for bools
_OF_BOOLS = {"add": "either", "multiply": "both", "maximum": "either", "minimum": "both"}
_COMPARISONS = {
    "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge",
}  # fmt: skip
_BITWISE = {"bitwise_and": "both", "bitwise_or": "either", "bitwise_xor": "xor"}
_LOGICAL = {"logical_and": "both", "logical_or": "either", "logical_xor": "xor"}
_FLOATS = frozenset(("f32", "f64"))
_BITS = {"i8": 8, "u8": 8, "i16": 16, "i32": 32, "i64": 64}


class Namespace(Shapes, Reductions, Spatial):
    """What an implementation calls `xp`: NumPy's names on Arrays."""

    newaxis = None
    inf, nan, pi, e = np.inf, np.nan, np.pi, np.e

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        #: what must hold for the data met; where it does not, the instruction is to be run by NumPy
        self.required: list[Node] = []

    def __getattr__(self, name: str) -> Any:
        if name in _FLOAT_WORDS or name in _WORDS or name in _ROUNDING:
            call = self._function(name, name, self._arithmetic)
        elif name in _COMPARISONS:
            call = self._function(name, _COMPARISONS[name], self._comparison)
        elif name in _BITWISE:
            call = self._function(name, _BITWISE[name], self._bitwise)
        elif name in _LOGICAL:
            call = self._function(name, _LOGICAL[name], self._logical)
        else:
            found = getattr(np, name, None)
            if not (isinstance(found, type) and issubclass(found, np.generic)):
                raise Untraceable(name)
            call = found
        setattr(self, name, call)
        return call

    def _function(self, name: str, word: str, family: Callable) -> Callable:
        def call(
            *args: Any, out: Any = None, dtype: Any = None, where: Any = True, **k: Any
        ) -> Any:
            if k.keys() - {"order", "casting"} or where is not True:
                raise Untraceable(f"{word}({', '.join(k)})")
            return self.into(out, family(word, args, dtype))

        call.reduce = functools.partial(self.reduce_by, name)  # type: ignore[attr-defined]
        return call

    def require(self, condition: Array) -> None:
        """Everywhere `condition` must hold, or the implementation raises its error."""
        node = self.graph.cast(condition.node, "i1")
        whole = self.graph.reduce("all", node, tuple(range(len(node.shape))))
        if node.numel:
            self.required.append(self.graph.reshape(whole, ()))

    def into(self, out: Any, result: Array) -> Array:
        """The result, in the handle that was given for it."""
        if isinstance(out, tuple):
            (out,) = out
        if out is None or out is Ellipsis:
            return result
        out.move(self.fitted(result, out))
        return out

    def fitted(self, result: Any, place: Array) -> Node:
        """A result as the array that it is written into has it."""
        node = self.graph.cast(self.asarray(result).node, place.node.kind)
        return self.graph.broadcast(node, place.shape)

    # operands

    def nodes(self, args: tuple, kind: str | None = None) -> tuple[list[Node], str]:
        """Operands promoted as NumPy does: Python's numbers give way to arrays."""
        kind = kind or _promoted(tuple([_rank(a) for a in args]))
        return [self.operand(a, kind) for a in args], kind

    def operand(self, a: Any, kind: str) -> Node:
        """One operand as a node of a kind."""
        if isinstance(a, Array):
            return self.graph.cast(a.node, kind)
        if isinstance(a, Extent):
            return self.operand(a.number(), kind)
        if isinstance(a, np.ndarray) and a.ndim:
            return self.uniform(a, kind)
        return self.graph.constant(a, kind)

    def uniform(self, a: np.ndarray, kind: str) -> Node:
        """An array of the implementation's own, all of one number."""
        first = a.reshape(-1)[:1]
        if not a.size or not (a == first).all():
            raise Untraceable("an array of the implementation's own")
        return self.graph.broadcast(self.graph.constant(first[0], kind), a.shape)

    # families

    def _arithmetic(self, name: str, args: tuple, dtype: Any) -> Array:
        nodes, kind = self.nodes(args, known_kind(dtype))
        if kind not in _FLOATS:
            if name in _FLOAT_WORDS:
                raise Untraceable(f"{name} of {kind}")
            if name in _ROUNDING:
                return Array(self, nodes[0])
            if kind == "i1":
                word = _OF_BOOLS.get(name)
                if word is None:
                    raise Untraceable(f"{name} of bools")
                return Array(self, self.graph.map(word, *nodes))
        return Array(self, self.graph.map(_WORDS.get(name, name), *nodes))

    def _comparison(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes, _ = self.nodes(args)
        return Array(self, self.graph.map(word, *nodes, kind="i1"))

    def _bitwise(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes, kind = self.nodes(args)
        if kind in _FLOATS:
            raise Untraceable(f"{word} of floats")
        return Array(self, self.graph.map(word, *nodes))

    def _logical(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes = [self.truth(a) for a in args]
        return Array(self, self.graph.map(word, *nodes, kind="i1"))

    def truth(self, a: Any) -> Node:
        """Whether something is not 0."""
        if isinstance(a, Array):
            return self.graph.cast(a.node, "i1")
        return self.graph.constant(bool(a), "i1")

    # functions with a rule of their own

    def invert(self, x: Array, out: Any = None) -> Array:
        if x.node.kind in _FLOATS:
            raise Untraceable("invert of floats")
        return self.into(out, Array(self, self.graph.map("invert", x.node)))

    bitwise_not = invert

    def logical_not(self, x: Array, out: Any = None) -> Array:
        return self.into(out, Array(self, self.graph.map("invert", self.truth(x))))

    def true_divide(self, x: Any, y: Any, out: Any = None) -> Array:
        nodes, kind = self.nodes((x, y))
        if kind not in _FLOATS:
            raise Untraceable(f"division of {kind}")
        return self.into(out, Array(self, self.graph.map("div", *nodes)))

    divide = true_divide

    def truncated(self, x: Any, y: Any) -> Array:
        """x / y of signed integers towards 0; y is not 0."""
        nodes, kind = self.nodes((x, y))
        if kind not in _BITS or kind == "u8":
            raise Untraceable(f"whole division of {kind}")
        return Array(self, self.graph.map("div", *nodes))

    def fmod(self, x: Any, y: Any) -> Array:
        """What is left of x in whole steps of y, exactly: floats of single precision.

        In double precision a quotient below 2^29 times y is exact, and so is what is left; the
        quotient is off by one at most. For larger ones the data is refused.
        """
        nodes, kind = self.nodes((x, y))
        if kind != "f32":
            raise Untraceable(f"fmod of {kind}")
        numbers = [Array(self, self.graph.cast(n, "f64")) for n in nodes]
        size, step = (self.absolute(n) for n in numbers)
        none = self.logical_or(self.logical_not(self.less(size, np.inf)), self.isnan(step))
        none = self.logical_or(none, self.equal(step, 0))
        idle = self.logical_or(none, self.equal(step, np.inf))  # where there are no steps
        whole = self.floor(self.where(idle, 0.0, self.true_divide(size, step)))
        self.require(self.less(whole, 2.0**29))
        rest = self.subtract(size, self.multiply(whole, self.where(idle, 0.0, step)))
        rest = self.where(self.less(rest, 0), self.add(rest, step), rest)
        over = self.logical_and(self.greater_equal(rest, step), self.logical_not(idle))
        rest = self.where(over, self.subtract(rest, step), rest)
        rest = self.copysign(self.where(none, np.nan, rest), numbers[0])
        return self.astype(rest, np.float32)

    def remainder(self, x: Array, n: int) -> Array:
        """What is left of integers divided by n > 0, from 0 to n - 1."""
        if isinstance(n, Array) or n <= 0:
            raise Untraceable("a remainder")
        rest = self.subtract(x, self.multiply(self.truncated(x, n), n))
        return self.where(self.less(rest, 0), self.add(rest, n), rest)

    def square(self, x: Array, out: Any = None) -> Array:
        return self.into(out, self.multiply(x, x))

    def real(self, x: Any) -> Any:
        return x

    def positive(self, x: Array, out: Any = None) -> Array:
        return self.into(out, Array(self, x.node))

    def reciprocal(self, x: Array, out: Any = None) -> Array:
        return self.true_divide(1, x, out=out)

    def isnan(self, x: Array) -> Array:
        return self.not_equal(x, x)

    def isinf(self, x: Array) -> Array:
        if x.node.kind not in _FLOATS:
            return self.full(x.shape, False)
        return self.equal(self.absolute(x), np.inf)

    def isfinite(self, x: Array) -> Array:
        if x.node.kind not in _FLOATS:
            return self.full(x.shape, True)
        return self.less(self.absolute(x), np.inf)

    def signbit(self, x: Array) -> Array:
        if x.node.kind not in _FLOATS:
            return self.less(x, 0)
        return self.less(self.copysign(1, x), 0)

    def sign(self, x: Array, out: Any = None) -> Array:
        if x.node.kind == "i1":
            raise Untraceable("sign of bools")
        below = self.where(self.less(x, 0), -1, x) if x.node.kind != "u8" else x
        got = self.where(self.greater(x, 0), 1, below)
        return self.into(out, self.where(self.equal(x, 0), 0, got))

    def fmax(self, x: Any, y: Any, out: Any = None) -> Array:
        return self.into(out, self._not_nan(x, y, self.maximum(x, y)))

    def fmin(self, x: Any, y: Any, out: Any = None) -> Array:
        return self.into(out, self._not_nan(x, y, self.minimum(x, y)))

    def _not_nan(self, x: Any, y: Any, both: Array) -> Array:
        x, y = self.asarray(x), self.asarray(y)
        return self.where(self.isnan(x), y, self.where(self.isnan(y), x, both))

    def power(self, x: Any, y: Any, out: Any = None) -> Array:
        nodes, kind = self.nodes((x, y))
        if kind not in _FLOATS:
            raise Untraceable(f"power of {kind}")
        return self.into(out, Array(self, self.graph.map("power", *nodes)))

    def left_shift(self, x: Any, y: Any, out: Any = None) -> Array:
        """0 where all bits are shifted out, as NumPy has it."""
        return self.into(out, self._shift("shl", x, y, lambda value: 0))

    def right_shift(self, x: Any, y: Any, out: Any = None) -> Array:
        """The sign everywhere where all bits are shifted out, as NumPy has it."""
        return self.into(out, self._shift("shr", x, y, lambda value: self._sign_bits(value)))

    def _sign_bits(self, value: Array) -> Any:
        if value.node.kind == "u8":
            return 0
        return self.where(self.less(value, 0), value.dtype.type(-1), value.dtype.type(0))

    def _shift(self, word: str, x: Any, y: Any, beyond: Callable) -> Array:
        (value, by), kind = self.nodes((x, y))
        if kind not in _BITS:
            raise Untraceable(f"shift of {kind}")
        number, count = Array(self, value), Array(self, by)
        fits = self.less(count, _BITS[kind])
        fits = fits if kind == "u8" else self.logical_and(fits, self.greater_equal(count, 0))
        kept = self.where(fits, count, count.dtype.type(0))
        shifted = Array(self, self.graph.map(word, value, kept.node))
        return self.where(fits, shifted, beyond(number))

    def where(self, condition: Any, x: Any, y: Any) -> Array:
        nodes, kind = self.nodes((x, y))
        return Array(self, self.graph.map("select", self.truth(condition), *nodes, kind=kind))

    def clip(self, x: Array, low: Any, high: Any, out: Any = None) -> Array:
        if low is not None:
            x = self.maximum(x, low)
        if high is not None:
            x = self.minimum(x, high)
        return self.into(out, x)

    def copyto(self, place: Array, value: Any, where: Any = True) -> None:
        if where is not True:
            value = self.where(where, self.asarray(value, place.dtype), place)
        place.move(self.fitted(value, place))

    # making arrays

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        if isinstance(x, Array):
            return x if dtype is None else self.astype(x, dtype)
        if isinstance(x, Extent):
            return self.asarray(x.number(), dtype)
        if isinstance(x, (tuple, list)):
            return self.asarray(self.stack([self.asarray(a) for a in x]), dtype)
        kind = kind_for(dtype if dtype is not None else np.result_type(x))
        if isinstance(x, np.ndarray) and x.ndim:
            return Array(self, self.uniform(x, kind))
        return Array(self, self.graph.constant(x, kind))

    def array(self, x: Any, dtype: Any = None, **_: Any) -> Array:
        return self.asarray(x, dtype).copy()

    def steps(
        self, cell: Callable, sequences: list, states: list, fixed: list, reverse: bool
    ) -> tuple[list[Array], list[Array]]:
        """Where a cell's way through sequences leads: see `bital.plan.steps.through`."""
        return through(self, cell, sequences, states, fixed, reverse)

    def ascontiguousarray(self, x: Array) -> Array:
        return x

    def astype(self, x: Array, dtype: Any) -> Array:
        kind = kind_for(dtype)
        if kind == "u8" and x.node.kind in _FLOATS:
            raise Untraceable(f"a cast to {dtype}")
        return Array(self, self.graph.cast(x.node, kind))

    def full(self, shape: Any, value: Any, dtype: Any = None) -> Array:
        shape = (shape,) if isinstance(shape, (int, Extent)) else tuple(shape)
        return Array(self, self.graph.broadcast(self.asarray(value, dtype).node, shape))

    def zeros(self, shape: Any, dtype: Any = np.float64, order: Any = None) -> Array:
        return self.full(shape, 0, dtype)

    def ones(self, shape: Any, dtype: Any = np.float64, order: Any = None) -> Array:
        return self.full(shape, 1, dtype)

    empty = zeros

    def zeros_like(self, x: Array, dtype: Any = None) -> Array:
        return self.full(x.shape, 0, dtype or x.dtype)

    empty_like = zeros_like

    def ones_like(self, x: Array, dtype: Any = None) -> Array:
        return self.full(x.shape, 1, dtype or x.dtype)

    def full_like(self, x: Array, value: Any, dtype: Any = None) -> Array:
        return self.full(x.shape, value, dtype or x.dtype)


def _rank(a: Any) -> Any:
    """What an operand counts as when dtypes are promoted: a kind, a type of Python's, a dtype."""
    if isinstance(a, Array):
        return (float if a.node.kind == "f64" else int) if _weak(a.node) else a.node.kind
    kind = type(a)
    if kind is float or kind is int or kind is bool:
        return kind
    if isinstance(a, (np.generic, np.ndarray)):
        return a.dtype
    if kind is Extent:
        return int
    raise Untraceable(f"an operand of {kind.__name__}")


_ONES: dict[Any, Any] = {float: 1.0, int: 1, bool: True}


@functools.lru_cache(maxsize=4096)
def _promoted(ranks: tuple) -> str:
    """The kind that operands promote to."""
    kind = KINDS.get(np.result_type(*[_ONES[r] if r in _ONES else DTYPES.get(r, r) for r in ranks]))
    if kind is None:
        raise Untraceable("a dtype without a kind")
    return kind


def _weak(node: Node) -> bool:
    """Whether a node stands for a Python number: run-time scalars and what is made of them."""
    if node.shape or node.kind not in ("f64", "i64"):
        return False
    if node.word == "map":
        return any(_weak(i) for i in node.inputs) and all(
            i.word == "constant" or i.kind == "i1" or _weak(i) for i in node.inputs
        )
    return node.word == "param"
