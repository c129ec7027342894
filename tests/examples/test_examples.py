"""The example programs, run by `bital run`, print what they print under PyTorch.

The expected numbers were recorded by tests/golden/make_examples.py.
"""

import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path

import pytest

from tests.golden.make_examples import DIGITS_SEEDS, FILE, MLP_SEEDS, ROOT, every_loss, run

BITAL = [sys.executable, "-m", "bital", "run"]
EXAMPLES = ROOT / "examples"
GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))

# Losses agree this far, relatively, as long as they are above this part of the first loss;
# below, rounding decides.
LOSS_TOLERANCE = 1e-3
COMPARED_PART = 1e-3

NUMBER = re.compile(r"\d+\.\d+")


@pytest.mark.parametrize("seed", MLP_SEEDS)
def test_losses_of_autograd_mlp(tmp_path, seed):
    expected = GOLDEN["autograd_mlp"][str(seed)]
    losses = every_loss(BITAL, tmp_path, len(expected), seed)
    assert len(losses) == len(expected)
    compared = [i for i, loss in enumerate(expected) if loss > COMPARED_PART * expected[0]]
    assert len(compared) > 20
    for i in compared:
        assert losses[i] == pytest.approx(expected[i], rel=LOSS_TOLERANCE), f"iteration {i + 1}"
    assert losses[-1] < COMPARED_PART * expected[0]


@pytest.mark.parametrize("name", ["autograd_mlp.py", "autograd_mlp.ko.py"])
def test_output_of_autograd_mlp(name):
    lines = run(BITAL, EXAMPLES / name, 200, 7).splitlines()
    assert lines[0] == "Device:  cpu"
    assert lines[1] == "100th Iteration: "
    assert lines[2].startswith(">>>> Loss:  ")
    assert lines[3] == "200th Iteration: "
    assert float(lines[4].removeprefix(">>>> Loss:  ")) < float(lines[2].split()[-1])
    assert len(lines) == 5


@pytest.mark.parametrize("seed", DIGITS_SEEDS)
def test_output_of_digits_mlp(seed):
    """The same epochs, the same errors; losses to the printed digit, give or take its rounding."""
    pytest.importorskip("sklearn")
    lines = run(BITAL, EXAMPLES / "digits_mlp.py", seed).splitlines()
    expected = GOLDEN["digits_mlp"][str(seed)]
    assert [NUMBER.sub("#", line) for line in lines] == [NUMBER.sub("#", line) for line in expected]
    for line, wanted in zip(lines, expected, strict=True):
        numbers, wanted_numbers = NUMBER.findall(line), NUMBER.findall(wanted)
        for number, wanted_number in zip(numbers, wanted_numbers, strict=True):
            assert float(number) == pytest.approx(float(wanted_number), abs=2e-4), line


@pytest.mark.parametrize("name", ["autograd_mlp", "digits_mlp"])
def test_korean_twin_is_the_same_program(name):
    """Only comments and docstrings differ."""
    english, korean = (code_of(EXAMPLES / f"{name}{end}") for end in (".py", ".ko.py"))
    assert english == korean
    assert comment_count(EXAMPLES / f"{name}.py") == comment_count(EXAMPLES / f"{name}.ko.py")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_know_nothing_of_bital(path):
    assert "bital" not in path.read_text(encoding="utf-8")


def code_of(path: Path) -> str:
    """A program without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def comment_count(path: Path) -> int:
    """How many blocks of comments a program has: runs of full-line comments, and trailing ones."""
    blocks, previous = 0, None
    source = io.StringIO(path.read_text(encoding="utf-8"))
    for token in tokenize.generate_tokens(source.readline):
        if token.type == tokenize.COMMENT:
            full_line = token.line.lstrip().startswith("#")
            blocks += not (full_line and previous == token.start[0] - 1)
            previous = token.start[0] if full_line else None
    return blocks
