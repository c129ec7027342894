"""Every instruction that can be compiled gives, compiled alone, what it gives under NumPy."""

import numpy as np
import pytest

from bital.ir.op import REGISTRY
from bital.ir.trace import Pick
from bital.plan.lower import Program
from tests.plan.instructions import Met, instructions

pytest.importorskip("llvmlite")

from bital.codegen.math import FUNCTIONS
from bital.codegen.native import Native
from bital.codegen.scalar import Builder
from bital.ir.task import Task

#: how many instructions of an operator are compiled, of each choice of kinds one
_MOST = 4


def chosen(name: str) -> list[Met]:
    """A few instructions of an operator that can be traced."""
    found: dict[object, Met] = {}
    for met in instructions().get(name, []):
        key = (met.kinds, any(0 in m.shape for m in met.spec.metas))
        if key not in found and met.kinds is not None and can_be_compiled(met.program()[0]):
            found[key] = met
    return list(found.values())[:_MOST]


def can_be_compiled(program: Program) -> bool:
    """Whether there are words for all that a program does."""
    words = {n.attrs[0] for n in program.graph.table.values() if n.word == "map"}
    known = {"cast", "copy", "select"}
    return not program.opaque and all(
        w in known or w in FUNCTIONS or hasattr(Builder, w) for w in words
    )


def compiled(met: Met) -> list[np.ndarray] | None:
    """An instruction's results by machine code; None where the code refuses the data."""
    program, arrays, params = met.program()
    code, held = [program.code[0]], (0,)
    if isinstance(met.spec.out, tuple):
        code += [(Pick(k), 0) for k in range(len(met.spec.out))]
        held = tuple(range(1, len(code)))
    native = Native(Task(code, held, (False,) * len(arrays), program.layouts))
    return native.run(list(arrays), list(params))


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_compiled_instructions_give_what_numpy_gives(name):
    wrong = []
    for met in chosen(name):
        arrays = [a for a in met.args if isinstance(a, np.ndarray)]
        before = [a.tobytes() for a in arrays]
        results = compiled(met)
        if results is None:
            wrong.append(f"{met.spec!r}: refused")
        else:
            wrong.append(met.complaint([np.asarray(r) for r in results]))
        if before != [a.tobytes() for a in arrays]:
            wrong.append(f"{met.spec!r}: an operand was written to")
    wrong = [w for w in wrong if w is not None]
    assert not wrong, "\n".join(wrong)
