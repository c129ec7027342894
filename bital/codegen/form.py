"""Form: what a run of a compiled plan needs beside its machine code, as numbers and words only.

Room: codegen. It is kept on disk with the code, and the function that runs a plan is made of it.
All arrays of a run are in one list: the inputs, arrays that are made for results, the arena, and
what opaque instructions give. An operand of those, or a result, is how it is had from that list:

["array", k]                                       an item of the list
["scalar", k]                                      a run-time scalar
["reshape", operand, shape]                        under another shape
["axes", operand, mapping, shape]                  axes permuted, added and repeated
["window", operand, shape, strides, offset, k]     a strided look, moved by a scalar or None

A size is a number, or [a, b] for a * n + b where n is a size that changes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple


class Opaque(NamedTuple):
    """An instruction that NumPy runs, by its number: the item that it gives, and its operands.

    `picks` are (k, item) for those of several results that are used.
    """

    number: int
    item: int
    operands: list
    picks: list


class Form(NamedTuple):
    """A compiled plan.

    inputs       arrays that come
    arrays       (shape, dtype) of those that are made for results
    arena_bytes  of memory that kernels share, and how many more for each unit of n
    items        of the list altogether
    first_param  the word of the table where run-time scalars begin
    params       (k, code of `struct`) of those, k as in plan.graph for n
    stretches    in order, an Opaque, or None for a native one
    results      operands, in order
    bounds       for which n it holds: the least, the most, what is left out; [] where none changes
    texts        the keys under which its machine code is kept
    """

    inputs: int
    arrays: list
    arena_bytes: int
    arena_unit: int
    items: int
    first_param: int
    params: list
    stretches: list
    results: list
    bounds: list
    texts: Sequence[str] = ()

    def pack(self) -> bytes:
        """As bytes."""
        return json.dumps(self).encode()

    @staticmethod
    def unpack(packed: bytes) -> Form:
        """From bytes."""
        form = Form(*json.loads(packed))
        return form._replace(stretches=[None if s is None else Opaque(*s) for s in form.stretches])
