"""Holding two sides of a program against each other."""

import numpy as np

from tests.property.program import Program, Side

FLOATS = ("float64", "float32")


class Disagreement(AssertionError):
    """Two sides differ; the message ends with the program."""


def step(program: Program, line: str, ours: Side, theirs: Side) -> None:
    """Run one line on both sides; they must be refused alike.

    Of a view that may not be used any more PyTorch says so before it sees what else is wrong.
    """
    here, there = ours.run(line), theirs.run(line)
    ours.settle()
    theirs.settle()
    if here != there and not (here and "has been modified inplace" in str(theirs.error)):
        detail = ours.error or theirs.error
        raise Disagreement(f"raised {here} for {there} ({detail})\n\n{program.text()}")


def metadata(program: Program, ours: Side, theirs: Side) -> None:
    """Compare the tensors alive without looking at their values."""
    if ours.tensors() != theirs.tensors():
        raise Disagreement(f"{ours.tensors()} for {theirs.tensors()}\n\n{program.text()}")
    for name in theirs.tensors():
        mine, true = ours.look(name), theirs.look(name)
        if theirs.is_gradient(name):
            mine["version"] = true["version"]
        if mine != true:
            wrong = ", ".join(f"{k} {mine[k]} for {true[k]}" for k in true if mine[k] != true[k])
            raise Disagreement(f"{name}: {wrong}\n\n{program.text()}")


def values(program: Program, ours: Side, theirs: Side, bitwise: bool = False) -> None:
    """Compare the numbers of everything alive: tensors, gradients, NumPy arrays."""
    # what went through float32 anywhere, as integers do, is no better than that where it ends up
    single = any(name in program.text() for name in ("float32", "int64"))
    rtol = 0.0 if bitwise else 1e-4 if single else 1e-9
    for name in theirs.tensors():
        dtype = str(theirs.names[name].dtype).removeprefix("torch.")
        for mine, true in zip(ours.values(name), theirs.values(name), strict=True):
            _same(program, name, mine, true, rtol if dtype in FLOATS else 0.0)
    for name in theirs.arrays():
        mine, true = ours.names[name], theirs.names[name]
        _same(program, name, mine, true, rtol if str(true.dtype) in FLOATS else 0.0)


def _same(program: Program, name: str, mine: np.ndarray, true: np.ndarray, rtol: float) -> None:
    if rtol == 0.0 or mine.dtype.kind not in "fc":
        same = mine.shape == true.shape and np.array_equal(mine, true, equal_nan=True)
    else:
        scale = np.abs(true[np.isfinite(true)]).max(initial=1.0)
        same = mine.shape == true.shape and np.allclose(
            mine, true, rtol=rtol, atol=rtol * scale, equal_nan=True
        )
    if not same:
        raise Disagreement(f"{name} is\n{mine.tolist()}\nfor\n{true.tolist()}\n\n{program.text()}")
