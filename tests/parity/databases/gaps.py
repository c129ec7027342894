"""What is known to fail: one line per entry and question, in a file per area.

A line reads `name question: reason`. An entry that is listed and passes is an error, so that the
lists only shrink.
"""

from __future__ import annotations

from pathlib import Path

from tests.parity.databases.entry import Entry

_FOLDER = Path(__file__).parent / "gaps"


def read(database: str) -> dict[tuple[str, str], str]:
    """(name, question) -> reason, of all areas of a database."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted((_FOLDER / database).glob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            head, _, reason = line.partition(": ")
            name, question = head.rsplit(" ", 1)
            found[name, question] = reason
    return found


def write(database: str, areas: dict[str, str], gaps: dict[tuple[str, str], str]) -> None:
    """Write the gaps of a database; `areas` says which file an entry belongs to."""
    folder = _FOLDER / database
    folder.mkdir(parents=True, exist_ok=True)
    for area in set(areas.values()):
        lines = [f"{n} {q}: {why}\n" for (n, q), why in sorted(gaps.items()) if areas[n] == area]
        file = folder / f"{area}.txt"
        if lines:
            file.write_text("".join(lines), encoding="utf-8")
        else:
            file.unlink(missing_ok=True)


def check(entry: Entry, question: str, known: dict[tuple[str, str], str]) -> None:
    """Raise AssertionError where an entry fails and is not known to, or the other way round."""
    wrong = entry.wrong(question)
    reason = known.get((entry.name, question))
    if reason is None:
        assert not wrong, f"{entry.name}, {question}:\n  " + "\n  ".join(wrong[:20])
    else:
        assert wrong, f"{entry.name}, {question} passes: strike it out of gaps/ ({reason})"
