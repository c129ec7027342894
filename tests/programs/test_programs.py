"""Every program prints under bital what it prints under torch, its numbers within 2e-3."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "programs"
PROGRAMS = sorted(
    path for path in HERE.glob("*.py") if path.stem not in ("__init__", Path(__file__).stem)
)
RTOL, ATOL = 2e-3, 2e-4
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|\binf\b|\bnan\b)")


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def words(text: str) -> str:
    """The text without its numbers, and without the spaces that depend on their width."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip()


def differences(printed: str, expected: str) -> list[str]:
    """The lines that differ in words, or in numbers beyond the tolerance."""
    wrong = []
    ours, theirs = printed.splitlines(), expected.splitlines()
    for mine, true in zip(ours, theirs, strict=False):
        close = all(
            a == b or abs(a - b) <= ATOL + RTOL * abs(b) or (a != a and b != b)
            for a, b in zip(numbers(mine), numbers(true), strict=False)
        )
        if words(mine) != words(true) or not close:
            wrong.append(f"printed  {mine}\nexpected {true}")
    if len(ours) != len(theirs):
        wrong.append(f"{len(ours)} lines for {len(theirs)}")
    return wrong


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(path):
    done = subprocess.run(
        [sys.executable, "-m", "bital", "run", str(path)],
        capture_output=True, text=True, cwd=HERE.parents[1], timeout=300,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    wrong = differences(done.stdout, (GOLDEN / f"{path.stem}.txt").read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


def test_every_program_has_a_golden_file_and_none_is_left_over():
    assert {path.stem for path in PROGRAMS} == {path.stem for path in GOLDEN.glob("*.txt")}


def test_a_wrong_number_word_or_line_is_found():
    assert not differences("loss 1.0001", "loss 1.0")
    assert differences("loss 1.01", "loss 1.0")
    assert differences("lost 1.0", "loss 1.0")
    assert differences("loss 1.0\n", "loss 1.0\nloss 0.5\n")
