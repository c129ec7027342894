"""Symbolic arrays: handles on nodes of a graph that answer to NumPy's names.

Room: plan. What they do is done by the namespace they belong to (bital.plan.symbolic).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.extent import Extent
from bital.plan.node import DTYPES, KINDS, Ints, Node, Untraceable


class Dtype:
    """The dtype of a symbolic array: NumPy's, but `type` also takes symbolic numbers."""

    __slots__ = ("dtype", "kind", "itemsize", "name")

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.kind, self.itemsize, self.name = dtype.kind, dtype.itemsize, dtype.name

    def type(self, value: Any) -> Any:
        if isinstance(value, Extent):
            value = value.number()
        if isinstance(value, Array):
            return value.astype(self.dtype)
        return self.dtype.type(value)

    def __eq__(self, other: object) -> bool:
        return self.dtype == other

    def __hash__(self) -> int:
        return hash(self.dtype)


#: by kind of element
_DTYPES = {kind: Dtype(dtype) for kind, dtype in DTYPES.items()}


class Array:
    """A symbolic array: a handle on a node, which operations in place move on.

    An array and its views are a family, which counts the writes to any of them. After one the
    others would show what was written, which they cannot: they are of no use any more.
    """

    __slots__ = ("xp", "_node", "family", "seen")

    def __init__(self, xp: Any, node: Node, of: Array | None = None) -> None:
        self.xp = xp
        self._node = node
        self.family: list[int] | None = None
        self.seen = 0
        if of is not None:
            if of.family is None:
                of.family = [0]
            self.family, self.seen = of.family, of.seen

    @property
    def node(self) -> Node:
        if self.family is not None and self.family[0] != self.seen:
            raise Untraceable("what shares its elements was written to")
        return self._node

    def move(self, node: Node) -> None:
        """Be another node from now on: what writing in place does."""
        self._node = node
        if self.family is not None:
            self.family[0] += 1
            self.seen = self.family[0]

    @property
    def shape(self) -> Ints:
        return self._node.shape

    @property
    def ndim(self) -> int:
        return len(self._node.shape)

    @property
    def size(self) -> int:
        return self._node.numel

    @property
    def dtype(self) -> Dtype:
        return _DTYPES[self._node.kind]

    @property
    def T(self) -> Array:
        return self.transpose()

    @property
    def real(self) -> Array:
        return self

    def conj(self) -> Array:
        return self

    conjugate = conj

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
        whole = len(shape) == 1 and isinstance(shape[0], (tuple, list))
        return self.xp.reshape(self, shape[0] if whole else shape)

    def transpose(self, *order: Any) -> Array:
        order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        return self.xp.transpose(self, order or None)

    def swapaxes(self, a: int, b: int) -> Array:
        return self.xp.swapaxes(self, a, b)

    def astype(self, dtype: Any, order: Any = "K", copy: bool = True) -> Array:
        return self.xp.astype(self, dtype)

    def dot(self, other: Any) -> Array:
        return self.xp.matmul(self, other)

    def take(self, indices: Any, axis: int | None = None) -> Array:
        return self.xp.take(self, indices, axis)

    def ravel(self) -> Array:
        return self.xp.reshape(self, (-1,))

    def diagonal(self) -> Array:
        return self.xp.diagonal(self)

    def copy(self) -> Array:
        return Array(self.xp, self.node)

    def fill(self, value: Any) -> None:
        self.xp.copyto(self, value)

    def __getitem__(self, index: Any) -> Array:
        return self.xp.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.xp.setitem(self, index, value)


def _operators() -> None:
    names = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
        "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
        "pow": "power", "lshift": "left_shift", "rshift": "right_shift",
        "floordiv": "floor_divide", "mod": "remainder",
    }  # fmt: skip
    for short, name in names.items():

        def forward(self: Array, other: Any, name: str = name) -> Array:
            return getattr(self.xp, name)(self, other)

        def reflected(self: Array, other: Any, name: str = name) -> Array:
            return getattr(self.xp, name)(other, self)

        def in_place(self: Array, other: Any, name: str = name) -> Array:
            self.move(self.xp.fitted(getattr(self.xp, name)(self, other), self))
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
    for name in ("sum", "prod", "max", "min", "mean", "any", "all"):

        def method(self: Array, axis: Any = None, name: str = name, **options: Any) -> Array:
            return getattr(self.xp, name)(self, axis, **options)

        setattr(Array, name, method)
    Array.__hash__ = None  # type: ignore[assignment]


_operators()


def known_kind(dtype: Any) -> str | None:
    """The kind of element of a dtype; None where none is given, or there is no kind."""
    if dtype is None:
        return None
    return KINDS.get(dtype.dtype if isinstance(dtype, Dtype) else np.dtype(dtype))


def kind_for(dtype: Any) -> str:
    """The kind of element of a dtype that must have one."""
    kind = known_kind(dtype)
    if kind is None:
        raise Untraceable(f"a dtype without a kind: {dtype}")
    return kind
