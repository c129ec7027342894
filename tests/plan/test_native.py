"""Every instruction that can be traced gives, traced, what it gives under NumPy.

`traceable.txt` lists what must be traceable, by operator and kinds of the operands, so that it
cannot become less unseen. `python -m tests.plan.test_native` writes it anew.
"""

from pathlib import Path

import pytest

from bital.ir.op import REGISTRY
from bital.plan.node import Node
from tests.plan.evaluate import Evaluator
from tests.plan.instructions import Met, instructions

LISTED = Path(__file__).with_name("traceable.txt")

#: words that compute nothing new: what is made of them alone must be equal to the bit
_MOVES = {"input", "param", "constant", "iota", "axes", "reshape", "window", "write", "concat",
          "take", "pick"}  # fmt: skip
_CHOICES = {"copy", "select", "neg", "abs", "maximum", "minimum", "eq", "ne", "lt", "le", "gt",
            "ge", "both", "either", "xor", "invert"}  # fmt: skip


def listed() -> dict[str, list[str]]:
    """By operator the kinds of operands for which it must be traceable."""
    found = {}
    for line in LISTED.read_text(encoding="utf-8").splitlines():
        name, _, kinds = line.partition(": ")
        found[name] = kinds.split(", ")
    return found


def traced(mets: list[Met]) -> dict[str, bool]:
    """By kinds of operands whether all instructions of an operator can be traced."""
    found: dict[str, bool] = {}
    for met in mets:
        if met.kinds is not None:
            found[met.kinds] = found.get(met.kinds, True) and not met.program()[0].opaque
    return found


def moves_only(node: Node) -> bool:
    if node.word == "map":
        return node.attrs[0] in _CHOICES and all(map(moves_only, node.inputs))
    return node.word in _MOVES and all(map(moves_only, node.inputs))


def complaint(met: Met) -> str | None:
    """What is wrong with a traced instruction's results, or None."""
    program, arrays, params = met.program()
    if program.opaque:
        return None
    evaluate = Evaluator(arrays, params)
    if not all(evaluate(node) for node in program.required):
        return f"{met.spec!r}: it is refused what NumPy could do"
    value = program.values[0]
    nodes = value if isinstance(value, tuple) else (value,)
    return met.complaint([evaluate(node) for node in nodes], all(map(moves_only, nodes)))


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_traced_instructions_give_what_numpy_gives(name):
    mets = instructions().get(name, [])
    wrong = [c for c in map(complaint, mets) if c is not None]
    assert not wrong, "\n".join(wrong)


def test_what_was_traceable_still_is():
    found = instructions()
    lost = [
        f"{name} of {kinds}"
        for name, all_kinds in listed().items()
        for kinds in all_kinds
        if not traced(found.get(name, [])).get(kinds)
    ]
    assert not lost, "\n".join(lost)


def write_list() -> None:
    lines = []
    for name, mets in sorted(instructions().items()):
        kinds = sorted(k for k, whole in traced(mets).items() if whole)
        if kinds:
            lines.append(f"{name}: {', '.join(kinds)}\n")
    LISTED.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write_list()
