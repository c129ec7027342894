"""The usual mistakes raise what PyTorch raises: from stored messages, and live where it is."""

import functools
import json
import re
import warnings
from pathlib import Path

import pytest

from tests.parity.errors import Refusal, complaints, refuse
from tests.parity.more_errors import MISTAKES

PATH = Path(__file__).parents[1] / "golden" / "errors.json"


@functools.cache
def golden() -> dict[str, list[str]]:
    return json.loads(PATH.read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.key)
def test_mistake(torch, mistake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = refuse(torch, mistake)
    wrong = complaints(ours, Refusal(*golden()[mistake.key]), mistake.word)
    assert not wrong, wrong[0]


@pytest.mark.parity
def test_the_stored_messages_are_torchs(oracle):
    different = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mistake in MISTAKES:
            theirs = refuse(oracle, mistake)
            kind, message = golden()[mistake.key]
            seen = re.sub(r"0x[0-9a-f]+", "0x0", theirs.message.strip()) if theirs else ""
            if theirs is None or theirs.kind != kind or not seen.startswith(message[:200]):
                different.append(mistake.key)
    assert not different, "run `python -m tests.golden.make_errors`"


def test_the_file_holds_the_mistakes_and_no_others():
    assert set(golden()) == {mistake.key for mistake in MISTAKES}


@pytest.mark.parametrize(
    ("ours", "wrong"),
    [
        (None, True),
        (
            Refusal("ValueError", "mm: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
            True,
        ),
        (Refusal("RuntimeError", "bad shapes"), True),
        (Refusal("RuntimeError", "mm: bad shapes (2x3 and 4x5)"), False),
        (Refusal("RuntimeError", "mm: bad shapes (2x3 and 4x6)"), True),
        (Refusal("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), False),
    ],
)
def test_what_counts_as_the_same_refusal(ours, wrong):
    theirs = Refusal("RuntimeError", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
    assert bool(complaints(ours, theirs, "mm")) is wrong
