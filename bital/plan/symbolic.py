"""Symbolic arrays: what an operator's implementation does, found out by letting it do it.

Room: plan. An implementation is written against an array namespace. Given this one instead of
NumPy, and Arrays instead of NumPy's, it builds a graph. Whatever this namespace lacks raises
Untraceable, and the instruction stays with NumPy.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from bital.plan.graph import DTYPES, KINDS, Graph, Ints, Node, Untraceable, contiguous

#: NumPy's names of functions of floats that keep their kind
_FLOAT_WORDS = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh sqrt arctan2 hypot logaddexp logaddexp2 floor ceil trunc rint copysign "
    "erf erfc erfinv sigmoid".split()
)
#: NumPy's names of functions of any kind, and the words they are
_WORDS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "negative": "neg", "absolute": "abs",
    "abs": "abs", "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip
_COMPARISONS = {
    "equal": "eq", "not_equal": "ne", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge",
}  # fmt: skip
_BITWISE = {"bitwise_and": "both", "bitwise_or": "either", "bitwise_xor": "xor"}
_LOGICAL = {"logical_and": "both", "logical_or": "either", "logical_xor": "xor"}


class Array:
    """A symbolic array: a handle on a node, which operations in place move on."""

    __slots__ = ("xp", "node")

    def __init__(self, xp: Namespace, node: Node) -> None:
        self.xp = xp
        self.node = node

    @property
    def shape(self) -> Ints:
        return self.node.shape

    @property
    def ndim(self) -> int:
        return len(self.node.shape)

    @property
    def size(self) -> int:
        return self.node.numel

    @property
    def dtype(self) -> np.dtype:
        return DTYPES[self.node.kind]

    @property
    def T(self) -> Array:
        return self.transpose()

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        return iter([self[k] for k in range(len(self))])

    def __bool__(self, *_: Any, **__: Any) -> bool:
        raise Untraceable("a branch on a value")

    __index__ = __int__ = __float__ = __array__ = __bool__  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "reduce":
            return self.xp.reduce_by(ufunc.__name__, *args, **kwargs)
        if method != "__call__":
            raise Untraceable(f"{ufunc.__name__}.{method}")
        return getattr(self.xp, ufunc.__name__)(*args, **kwargs)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        return getattr(self.xp, function.__name__)(*args, **kwargs)

    def reshape(self, *shape: Any) -> Array:
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return self.xp.reshape(self, shape)

    def transpose(self, *order: Any) -> Array:
        order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        return self.xp.transpose(self, order or None)

    def swapaxes(self, a: int, b: int) -> Array:
        return self.xp.swapaxes(self, a, b)

    def astype(self, dtype: Any, copy: bool = True) -> Array:
        return self.xp.astype(self, dtype)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Array:
        return self.xp.sum(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Array:
        return self.xp.max(self, axis=axis, keepdims=keepdims)

    def dot(self, other: Any) -> Array:
        return self.xp.matmul(self, other)

    def copy(self) -> Array:
        return Array(self.xp, self.node)

    def __getitem__(self, index: Any) -> Array:
        return self.xp.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.xp.setitem(self, index, value)


def _operators() -> None:
    names = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
        "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    }  # fmt: skip
    for short, name in names.items():

        def forward(self: Array, other: Any, name: str = name) -> Array:
            return getattr(self.xp, name)(self, other)

        def reflected(self: Array, other: Any, name: str = name) -> Array:
            return getattr(self.xp, name)(other, self)

        def in_place(self: Array, other: Any, name: str = name) -> Array:
            result = getattr(self.xp, name)(self, other)
            self.node = self.xp.fitted(result, self).node
            return self

        setattr(Array, f"__{short}__", forward)
        setattr(Array, f"__r{short}__", reflected)
        setattr(Array, f"__i{short}__", in_place)
    for short, name in {
        "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
        "ge": "greater_equal",
    }.items():  # fmt: skip
        setattr(Array, f"__{short}__", lambda self, o, name=name: getattr(self.xp, name)(self, o))
    for short, name in {"neg": "negative", "abs": "absolute", "invert": "invert"}.items():
        setattr(Array, f"__{short}__", lambda self, name=name: getattr(self.xp, name)(self))
    Array.__hash__ = None  # type: ignore[assignment]


_operators()


class Namespace:
    """What an implementation calls `xp`: NumPy's names on Arrays."""

    newaxis = None
    inf, nan, pi, e = np.inf, np.nan, np.pi, np.e

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __getattr__(self, name: str) -> Any:
        if name in _FLOAT_WORDS or name in _WORDS:
            return self._function(name, name, self._arithmetic)
        if name in _COMPARISONS:
            return self._function(name, _COMPARISONS[name], self._comparison)
        if name in _BITWISE:
            return self._function(name, _BITWISE[name], self._bitwise)
        if name in _LOGICAL:
            return self._function(name, _LOGICAL[name], self._logical)
        found = getattr(np, name, None)
        if isinstance(found, type) and issubclass(found, np.generic):
            return found
        raise Untraceable(name)

    def _function(self, name: str, word: str, family: Callable) -> Callable:
        def call(
            *args: Any, out: Any = None, dtype: Any = None, where: Any = True, **k: Any
        ) -> Any:
            if k.keys() - {"order", "casting"} or where is not True:
                raise Untraceable(f"{word}({', '.join(k)})")
            result = family(word, args, dtype)
            return self.into(out, result)

        call.reduce = functools.partial(self.reduce_by, name)  # type: ignore[attr-defined]
        return call

    def into(self, out: Any, result: Array) -> Array:
        """The result, in the handle that was given for it."""
        if isinstance(out, tuple):
            (out,) = out
        if out is None or out is Ellipsis:
            return result
        out.node = self.fitted(result, out).node
        return out

    def fitted(self, result: Array, place: Array) -> Array:
        """A result as the array that it is written into has it."""
        return Array(
            self, self.graph.broadcast(self.graph.cast(result.node, place.node.kind), place.shape)
        )

    # operands

    def nodes(self, args: tuple, kind: str | None = None) -> tuple[list[Node], str]:
        """Operands promoted as NumPy does: Python's numbers give way to arrays."""
        if kind is None:
            weak = [a.dtype if isinstance(a, Array) and not _weak(a) else _plain(a) for a in args]
            kind = KINDS.get(np.result_type(*weak))
            if kind is None:
                raise Untraceable("a dtype without a kind")
        return [self.operand(a, kind) for a in args], kind

    def operand(self, a: Any, kind: str) -> Node:
        """One operand as a node of a kind."""
        if isinstance(a, Array):
            return self.graph.cast(a.node, kind)
        if isinstance(a, np.ndarray) and a.ndim:
            raise Untraceable("an array of the implementation's own")
        return self.graph.constant(a, kind)

    # families

    def _arithmetic(self, name: str, args: tuple, dtype: Any) -> Array:
        nodes, kind = self.nodes(args, _kind(dtype))
        if name in _FLOAT_WORDS and kind not in ("f32", "f64"):
            raise Untraceable(f"{name} of {kind}")
        if kind == "i1":
            raise Untraceable(f"{name} of bools")
        return Array(self, self.graph.map(_WORDS.get(name, name), *nodes))

    def _comparison(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes, _ = self.nodes(args)
        return Array(self, self.graph.map(word, *nodes, kind="i1"))

    def _bitwise(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes, kind = self.nodes(args)
        if kind in ("f32", "f64"):
            raise Untraceable(f"{word} of floats")
        return Array(self, self.graph.map(word, *nodes))

    def _logical(self, word: str, args: tuple, dtype: Any) -> Array:
        nodes = [self.graph.cast(self.truth(a), "i1") for a in args]
        return Array(self, self.graph.map(word, *nodes, kind="i1"))

    def truth(self, a: Any) -> Node:
        return a.node if isinstance(a, Array) else self.graph.constant(bool(a), "i1")

    # functions with a rule of their own

    def invert(self, x: Array) -> Array:
        if x.node.kind in ("f32", "f64"):
            raise Untraceable("invert of floats")
        return Array(self, self.graph.map("invert", x.node))

    def logical_not(self, x: Array, **_: Any) -> Array:
        return Array(self, self.graph.map("invert", self.graph.cast(x.node, "i1")))

    def true_divide(self, x: Any, y: Any, out: Any = None) -> Array:
        nodes, kind = self.nodes((x, y))
        if kind not in ("f32", "f64"):
            raise Untraceable(f"division of {kind}")
        return self.into(out, Array(self, self.graph.map("div", *nodes)))

    divide = true_divide

    def square(self, x: Array, out: Any = None) -> Array:
        return self.into(out, self.multiply(x, x))

    def positive(self, x: Array) -> Array:
        return Array(self, x.node)

    def reciprocal(self, x: Array, out: Any = None) -> Array:
        return self.true_divide(1, x, out=out)

    def isnan(self, x: Array) -> Array:
        return self.not_equal(x, x)

    def isinf(self, x: Array) -> Array:
        return self.equal(self.absolute(x), np.inf)

    def isfinite(self, x: Array) -> Array:
        return self.less(self.absolute(x), np.inf)

    def sign(self, x: Array) -> Array:
        raise Untraceable("sign")

    def power(self, x: Any, y: Any, out: Any = None) -> Array:
        nodes, kind = self.nodes((x, y))
        if kind not in ("f32", "f64"):
            raise Untraceable(f"power of {kind}")
        return self.into(out, Array(self, self.graph.map("power", *nodes)))

    def where(self, condition: Any, x: Any, y: Any) -> Array:
        nodes, _ = self.nodes((x, y))
        chosen = self.graph.cast(self.truth(condition), "i1")
        return Array(self, self.graph.map("select", chosen, *nodes, kind=nodes[0].kind))

    def clip(self, x: Array, low: Any, high: Any, out: Any = None) -> Array:
        if low is not None:
            x = self.maximum(x, low)
        if high is not None:
            x = self.minimum(x, high)
        return self.into(out, x)

    def copyto(self, place: Array, value: Any, where: Any = True) -> None:
        if where is not True:
            value = self.where(where, value, place)
        place.node = self.fitted(self.asarray(value, place.dtype), place).node

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        if isinstance(x, Array):
            return x if dtype is None else self.astype(x, dtype)
        kind = _kind(dtype) or KINDS.get(np.result_type(x))
        if kind is None or (isinstance(x, np.ndarray) and x.ndim):
            raise Untraceable("an array of the implementation's own")
        return Array(self, self.graph.constant(x, kind))

    def array(self, x: Any, dtype: Any = None, **_: Any) -> Array:
        return self.asarray(x, dtype).copy()

    def ascontiguousarray(self, x: Array) -> Array:
        return x

    def astype(self, x: Array, dtype: Any) -> Array:
        kind = _kind(dtype)
        if kind is None or (kind == "u8" and x.node.kind in ("f32", "f64")):
            raise Untraceable(f"a cast to {dtype}")
        return Array(self, self.graph.cast(x.node, kind))

    def full(self, shape: Any, value: Any, dtype: Any = None) -> Array:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        one = self.asarray(value, dtype if dtype is not None else np.result_type(value))
        return Array(self, self.graph.broadcast(one.node, shape))

    def zeros(self, shape: Any, dtype: Any = np.float64) -> Array:
        return self.full(shape, 0, dtype)

    def ones(self, shape: Any, dtype: Any = np.float64) -> Array:
        return self.full(shape, 1, dtype)

    empty = zeros

    def zeros_like(self, x: Array, dtype: Any = None) -> Array:
        return self.full(x.shape, 0, dtype or x.dtype)

    empty_like = zeros_like

    def ones_like(self, x: Array, dtype: Any = None) -> Array:
        return self.full(x.shape, 1, dtype or x.dtype)

    def full_like(self, x: Array, value: Any, dtype: Any = None) -> Array:
        return self.full(x.shape, value, dtype or x.dtype)

    # shapes

    def reshape(self, x: Array, shape: Any) -> Array:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if -1 in shape:
            known = -prod(shape)
            shape = tuple(x.size // known if n == -1 else n for n in shape) if known else shape
        return Array(self, self.graph.reshape(x.node, tuple(map(int, shape))))

    def transpose(self, x: Array, order: Any = None) -> Array:
        order = tuple(reversed(range(x.ndim))) if order is None else tuple(order)
        return Array(self, self.graph.permute(x.node, tuple(k % x.ndim for k in order)))

    def swapaxes(self, x: Array, a: int, b: int) -> Array:
        order = list(range(x.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(x, order)

    def moveaxis(self, x: Array, source: int, target: int) -> Array:
        order = [k for k in range(x.ndim) if k != source % x.ndim]
        order.insert(target % x.ndim, source % x.ndim)
        return self.transpose(x, order)

    def broadcast_to(self, x: Any, shape: Any) -> Array:
        return Array(self, self.graph.broadcast(self.asarray(x).node, tuple(shape)))

    def expand_dims(self, x: Array, axis: Any) -> Array:
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        n = x.ndim + len(axes)
        places = {a % n for a in axes}
        sizes = iter(x.shape)
        return x.reshape(tuple(1 if k in places else next(sizes) for k in range(n)))

    def squeeze(self, x: Array, axis: Any = None) -> Array:
        if axis is None:
            return x.reshape(tuple(n for n in x.shape if n != 1))
        places = {a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis)}
        return x.reshape(tuple(n for k, n in enumerate(x.shape) if k not in places))

    def window(self, x: Array, shape: Ints, strides: Ints, offset: Any) -> Array:
        """A strided look at x's elements in order; strides and offset in elements."""
        moved = offset.node if isinstance(offset, Array) else None
        if moved is not None:
            moved = self.graph.cast(moved, "i64")
        return Array(
            self,
            self.graph.window(x.node, shape, strides, 0 if moved is not None else offset, moved),
        )

    def written(self, x: Array, value: Array, shape: Ints, strides: Ints, offset: Any) -> Array:
        """A copy of x with a window of its elements replaced."""
        graph = self.graph
        value_node = graph.broadcast(graph.cast(value.node, x.node.kind), shape)
        moved = (graph.cast(offset.node, "i64"),) if isinstance(offset, Array) else ()
        start = 0 if moved else offset
        inputs = (x.node, value_node, *moved)
        return Array(self, graph.node("write", inputs, (strides, start), x.shape, x.node.kind))

    def getitem(self, x: Array, index: Any) -> Array:
        """Basic indexing: integers, slices, None and the ellipsis."""
        index = index if isinstance(index, tuple) else (index,)
        used = sum(1 for i in index if i is not None and i is not Ellipsis)
        if Ellipsis in [i for i in index if not isinstance(i, Array)]:
            at = [k for k, i in enumerate(index) if i is Ellipsis][0]
            index = (*index[:at], *[slice(None)] * (x.ndim - used), *index[at + 1 :])
        else:
            index = (*index, *[slice(None)] * (x.ndim - used))
        shape: list[int] = []
        strides: list[int] = []
        offset = 0
        whole = True
        axes = iter(zip(x.shape, contiguous(x.shape)))
        for i in index:
            if i is None:
                shape.append(1)
                strides.append(0)
                continue
            size, stride = next(axes)
            if isinstance(i, slice):
                start, stop, step = i.indices(size)
                count = len(range(start, stop, step))
                whole = whole and count == size and step == 1
                shape.append(count)
                strides.append(stride * step)
                offset += start * stride
            elif isinstance(i, (int, np.integer)):
                whole = whole and size == 1
                offset += range(size)[i] * stride
            else:
                raise Untraceable("indexing by an array")
        if whole:
            return x.reshape(tuple(shape))
        return self.window(x, tuple(shape), tuple(strides), offset)

    def setitem(self, x: Array, index: Any, value: Any) -> None:
        if isinstance(index, Array) and index.node.kind == "i1" and index.shape == x.shape:
            self.copyto(x, value, where=index)
        elif index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
            self.copyto(x, value)
        else:
            raise Untraceable("assignment to a part")

    def concatenate(self, arrays: Any, axis: int = 0) -> Array:
        nodes, kind = self.nodes(tuple(arrays))
        axis %= len(nodes[0].shape)
        shape = list(nodes[0].shape)
        shape[axis] = sum(n.shape[axis] for n in nodes)
        return Array(self, self.graph.node("concat", tuple(nodes), (axis,), tuple(shape), kind))

    def stack(self, arrays: Any, axis: int = 0) -> Array:
        return self.concatenate([self.expand_dims(a, axis) for a in arrays], axis)

    def take_rows(self, x: Array, numbers: Array) -> Array:
        """x[numbers] along the first axis; the numbers are known to be in range."""
        shape = (*numbers.shape, *x.shape[1:])
        index = self.graph.cast(numbers.node, "i64")
        return Array(self, self.graph.node("take", (x.node, index), (), shape, x.node.kind))

    def special(self, name: str, operands: tuple, results: tuple, *attrs: Any) -> Any:
        """A word with a kernel writer of its own; `results` are (shape, dtype) of each result."""
        nodes = tuple(o.node for o in operands)
        kinds = [_kind(dtype) for _, dtype in results]
        if None in kinds:
            raise Untraceable(f"{name} of a dtype without a kind")
        shape, kind = tuple(results[0][0]), str(kinds[0])
        if len(results) == 1:
            return Array(self, self.graph.node("special", nodes, (name, *attrs), shape, kind))
        whole = self.graph.node(
            "special", nodes, (name, *attrs, tuple(tuple(s) for s, _ in results)), (), "many"
        )
        return tuple(
            Array(
                self, self.graph.node("pick", (whole,), (k,), tuple(results[k][0]), str(kinds[k]))
            )
            for k in range(len(results))
        )

    # reductions and products

    def reduce_by(self, name: str, x: Array, axis: Any = 0, dtype: Any = None, out: Any = None,
                  keepdims: bool = False) -> Array:  # fmt: skip
        how = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod",
               "logical_and": "all", "logical_or": "any"}.get(name)  # fmt: skip
        if how is None:
            raise Untraceable(f"{name}.reduce")
        return self.into(out, self.reduced(how, x, axis, keepdims, dtype))

    def reduced(self, how: str, x: Array, axis: Any, keepdims: bool, dtype: Any = None) -> Array:
        if axis is None:
            axes = tuple(range(x.ndim))
        else:
            axes = (axis,) if isinstance(axis, int) else tuple(axis)
        axes = tuple(operator.index(a) % x.ndim for a in axes) if x.ndim else ()
        node = x.node
        if dtype is not None:
            node = self.graph.cast(node, self._known(dtype))
        elif how in ("sum", "prod") and node.kind not in ("f32", "f64"):
            node = self.graph.cast(node, "i64")
        if how in ("any", "all"):
            node = self.graph.cast(node, "i1")
        if how in ("max", "min") and not prod(x.shape[a] for a in axes):
            raise Untraceable("an extreme of nothing")
        got = Array(self, self.graph.reduce(how, node, axes))
        if keepdims:
            return got
        return got.reshape(tuple(n for k, n in enumerate(x.shape) if k not in axes))

    def _known(self, dtype: Any) -> str:
        kind = _kind(dtype)
        if kind is None:
            raise Untraceable(f"a dtype without a kind: {dtype}")
        return kind

    def sum(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("sum", x, axis, keepdims, dtype)

    def max(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("max", x, axis, keepdims)

    def min(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("min", x, axis, keepdims)

    amax, amin = max, min

    def any(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("any", x, axis, keepdims)

    def all(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        return self.reduced("all", x, axis, keepdims)

    def mean(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        total = self.sum(x, axis, keepdims=keepdims)
        if total.node.kind not in ("f32", "f64"):
            raise Untraceable("a mean of integers")
        return self.true_divide(total, x.size // total.size if total.size else 1)

    def matmul(self, a: Array, b: Array, **_: Any) -> Array:
        nodes, kind = self.nodes((a, b))
        if kind not in ("f32", "f64"):
            raise Untraceable(f"a product of {kind}")
        x, y = nodes
        if len(x.shape) < 2 or len(y.shape) < 2:
            one = self.reshape(Array(self, x), (1, -1)) if len(x.shape) == 1 else Array(self, x)
            two = self.reshape(Array(self, y), (-1, 1)) if len(y.shape) == 1 else Array(self, y)
            got = Array(self, self.graph.product(one.node, two.node))
            shape = (*got.shape[:-2], *x.shape[-2:-1], *(y.shape[-1:] if len(y.shape) > 1 else ()))
            return got.reshape(shape)
        return Array(self, self.graph.product(x, y))

    dot = matmul


def _weak(a: Array) -> bool:
    """Whether an array stands for a Python number: a run-time scalar."""
    return a.node.word == "param"


def _plain(a: Any) -> Any:
    if isinstance(a, Array):
        return 1.0 if a.node.kind == "f64" else 1
    if isinstance(a, (bool, int, float, np.generic)) or (isinstance(a, np.ndarray) and not a.ndim):
        return a
    raise Untraceable(f"an operand of {type(a).__name__}")


def _kind(dtype: Any) -> str | None:
    return None if dtype is None else KINDS.get(np.dtype(dtype))
