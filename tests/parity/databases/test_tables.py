"""Every entry of PyTorch's tables of operators, modules and optimizers: one test per question."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's own tests import it")

from tests.parity.databases import gaps, modules, operators, optimizers
from tests.parity.databases.entry import QUESTIONS

ENTRIES = {
    "operators": operators.entries(), "modules": modules.entries(),
    "optimizers": optimizers.entries(),
}  # fmt: skip
RUN = [(table, e.name) for table, all_ in ENTRIES.items() for e in all_.values() if not e.left_out]
GAPS = {table: gaps.read(table) for table in ENTRIES}


@pytest.mark.parity
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("table", "name"), RUN)
def test_entry(table: str, name: str, question: str) -> None:
    gaps.check(ENTRIES[table][name], question, GAPS[table])


@pytest.mark.parametrize("table", ENTRIES)
def test_gaps_name_entries(table: str) -> None:
    assert not [key for key in GAPS[table] if (table, key[0]) not in RUN or key[1] not in QUESTIONS]
