"""Every entry of PyTorch's table of optimizers, one test per entry and question."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's own tests import it")

from tests.parity.databases import gaps, optimizers
from tests.parity.databases.entry import QUESTIONS

ENTRIES = optimizers.entries()
RUN = [name for name, entry in ENTRIES.items() if entry.left_out is None]
GAPS = gaps.read("optimizers")


@pytest.mark.parity
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("name", RUN)
def test_entry(name: str, question: str) -> None:
    gaps.check(ENTRIES[name], question, GAPS)


def test_gaps_name_entries() -> None:
    assert not [key for key in GAPS if key[0] not in RUN or key[1] not in QUESTIONS]
