"""Identity: what a trace is, in words that mean the same in every process.

Room: codegen. Operators are named, attributes written out by value, and nothing depends on where an
object lies or in which order a set was filled: equal words, equal compiled plans.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bital.base.device import Batched, device
from bital.base.dtype import default, dtype
from bital.base.extent import Extent
from bital.base.size import Size
from bital.ir.meta import Meta
from bital.ir.op import Spec
from bital.ir.task import Task
from bital.ir.trace import Pick


def words_of(task: Task) -> str:
    """The words of a trace and of how it is to be run; TypeError where an attribute has none."""
    code, held, donated, layouts, absent, bounds = task
    known: dict[Spec | Pick, str] = {}
    lines = [default.dtype.name, f"{held} {donated} {layouts} {sorted(absent)}"]
    if bounds is not None:
        reach = bounds.least, bounds.most, sorted(bounds.left_out)
        lines.append(f"{bounds.place} {bounds.hint} {reach}")
    for spec, *refs in code:
        word = known.get(spec)
        if word is None:
            word = known[spec] = _instruction(spec)
        lines.append(f"{word} {refs}")
    return "\n".join(lines)


def _instruction(spec: Spec | Pick) -> str:
    if isinstance(spec, Pick):
        return f"pick {spec.k}"
    # of attributes that were asked for a rule makes what an implementation is given
    attrs = spec.asked or tuple(sorted(spec.attrs.items()))
    return f"{spec.op.name} {_word((spec.metas, attrs, spec.out, spec.compute))}"


def _word(value: Any) -> str:
    """The word of an attribute."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    kind = type(value)
    if kind.__module__.startswith("bital.") and issubclass(kind, tuple):
        return _sequence(kind.__qualname__, value)
    if isinstance(value, np.dtype):
        return f"{value.name} {value.str}"
    if isinstance(value, np.generic):
        return f"{_word(value.dtype)} {value.tobytes().hex()}"
    raise TypeError(f"{kind.__name__} has no words")


def _sequence(name: str, values: Any) -> str:
    return f"{name}({','.join(map(_word, values))})"


def _float(x: float) -> str:
    return struct.pack("<d", x).hex()  # of NaN and zero the sign, too


#: by type; ASCII, in quotes, so that nothing in a string reads like something else
_WRITERS: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys((type(None), bool, int, type(Ellipsis), device, Batched, Extent), repr),
    float: _float,
    complex: lambda x: f"{_float(x.real)} {_float(x.imag)}",
    str: ascii,
    tuple: partial(_sequence, ""),
    Size: partial(_sequence, "Size"),
    slice: lambda x: _sequence("slice", (x.start, x.stop, x.step)),
    Meta: lambda x: f"{x.dtype.name}{tuple(x.shape)}{x.device!r}",
    dtype: repr,
    type: lambda x: f"{x.__module__}.{x.__qualname__}",
}
