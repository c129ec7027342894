"""Node: one value of a graph, and the kinds of element that compiled code knows.

Room: plan. A Node is a scalar word applied elementwise (`map`), a reduction, another way to look at
a node's elements, a product of matrices, a word with a kernel of its own, or an opaque instruction
that NumPy runs.
"""

from __future__ import annotations

from math import prod

import numpy as np

Ints = tuple[int, ...]

#: kinds of element by NumPy's dtype; others are left to NumPy
KINDS = {
    np.dtype(name): kind
    for name, kind in (
        ("float32", "f32"), ("float64", "f64"), ("bool", "i1"), ("int8", "i8"), ("uint8", "u8"),
        ("int16", "i16"), ("int32", "i32"), ("int64", "i64"),
    )
}  # fmt: skip
DTYPES = {kind: dtype for dtype, kind in KINDS.items()}
BYTES = {kind: dtype.itemsize for kind, dtype in DTYPES.items()}


#: in place of a run-time scalar's number: the size that changes, and that rounded up to 64
SIZE, ROOM = -1, -2


class Untraceable(Exception):
    """What an instruction does cannot be said in the words of a graph; NumPy will run it."""


class Node:
    """One value of a graph: `word` applied to `inputs` with `attrs`; its shape and kind.

    Words:
    input       (k, strides)    the k-th input of the plan, of any strides (in elements)
    param       (k)             the k-th run-time scalar, an f64, or an i64 for integers
    constant    (value)         a number
    iota        ()              0, 1, 2… along its one axis
    map         (scalar word, more)   elementwise, inputs broadcast as NumPy does
    reduce      (how, axes)     sum, max, min, prod, any, all over axes, which stay with size 1
    axes        (mapping)       per axis the input's axis it shows, None for a new one (size 1) or
                                a repeated one (the shape says how often)
    reshape     ()              the same elements in order under another shape
    window      (strides, offset)   a strided look at a contiguous node; perhaps a run-time offset
    write       (strides, offset)   a copy of the first input with a window replaced
    concat      (axis)          inputs one after another
    take        ()              rows of the first input by the second one's numbers
    product     (turn_a, turn_b)    (..., M, K) by (..., K, N), flags for transposed storage
                                of several pairs of inputs the sum of their products
    special     (name, attributes)  a word with a kernel writer of its own
    opaque      (spec)          an instruction that NumPy runs
    pick        (k)             one of the results of an opaque or special node
    """

    __slots__ = ("word", "inputs", "attrs", "shape", "kind", "uniform")

    def __init__(self, word: str, inputs: tuple, attrs: tuple, shape: Ints, kind: str) -> None:
        self.word = word
        self.inputs: tuple[Node, ...] = inputs
        self.attrs = attrs
        self.shape = shape
        self.kind = kind
        #: whether it is one number made of run-time scalars and constants, kept in no memory
        self.uniform: bool = word in ("param", "constant") or (
            word == "map" and not shape and attrs[0] != "copy" and all(x.uniform for x in inputs)
        )

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * BYTES.get(self.kind, 0)

    def __repr__(self) -> str:
        name = f"{self.word} {self.attrs}" if self.attrs else self.word
        return f"<{name} {self.kind}{list(self.shape)}>"
