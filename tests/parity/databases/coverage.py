"""The table of what passes, by namespace, and the page that keeps it: docs/coverage.md."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.parity.databases import gaps
from tests.parity.databases.entry import Entry

#: the modules here that have `entries()`
DATABASES = ("operators", "modules", "optimizers")
_PAGE = Path(__file__).resolve().parents[3] / "docs" / "coverage.md"


def load(database: str) -> dict[str, Entry]:
    """The entries of a database, by name."""
    return importlib.import_module(f"tests.parity.databases.{database}").entries()


@dataclass
class Row:
    """What an entry did: lines of differences, and per error input what is wrong or None."""

    entry: Entry
    values: list[str] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.values) or any(self.errors)

    def failures(self) -> dict[str, list[str]]:
        """The lines of each question."""
        return {"values": self.values, "errors": [e for e in self.errors if e]}

    def text(self) -> str:
        """What is wrong, in detail; one line where all is well."""
        head = f"{self.entry.name} ({self.seconds:.1f} s): "
        if not self.failed:
            return head + "passes"
        lines = self.values + [f"error input {n}: {e}" for n, e in enumerate(self.errors) if e]
        shown = [f"  {line}" for line in lines[:12]]
        more = [f"  … and {len(lines) - 12} more"] if len(lines) > 12 else []
        return "\n".join([f"{head}{len(lines)} differences", *shown, *more])


def _counts(rows: Iterable[Row]) -> tuple[int, int, int, int, int]:
    run = [row for row in rows if row.entry.left_out is None]
    errors = [e for row in run for e in row.errors]
    passed = sum(not row.values for row in run)
    return passed, len(run), sum(e is None for e in errors), len(errors), len(list(rows))


def table(results: dict[str, list[Row]]) -> str:
    """Per database and namespace, how many entries and error inputs pass."""
    lines = [
        "| database | namespace | entries | pass | error inputs | pass |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for database, rows in results.items():
        areas: dict[str, list[Row]] = {}
        for row in rows:
            areas.setdefault(row.entry.area, []).append(row)
        for area, group in [*sorted(areas.items()), ("**all**", rows)]:
            passed, run, right, errors, _ = _counts(group)
            lines.append(f"| {database} | {area} | {run} | {passed} | {errors} | {right} |")
    return "\n".join(lines)


_INTRODUCTION = """\
# What passes of PyTorch's own tables

PyTorch tests itself with tables of operators (`op_db`), modules (`module_db`) and optimizers
(`optim_db`). Here their samples are computed by PyTorch and by bital, and dtypes, shapes, values,
gradients and second gradients compared, random ones after the same seed; what PyTorch refuses must
be refused with the same class of error. An entry passes when all its samples do, in every dtype
that it claims among float32, float64, bfloat16, float16, int64, int32, uint8, bool, complex64 and
complex128, and in its other spellings: method, in place, `out=`, aliases.

This page is made by `python -m tests.parity.databases --write`.
"""


def write(results: dict[str, list[Row]]) -> None:
    """Write docs/coverage.md."""
    parts = [_INTRODUCTION, table(results), ""]
    for database, rows in results.items():
        parts += _reasons(database, rows)
    _PAGE.write_text("\n".join(parts), encoding="utf-8")


def _reasons(database: str, rows: list[Row]) -> list[str]:
    known = gaps.read(database)
    out = [f"- `{r.entry.name}`: {r.entry.left_out}" for r in rows if r.entry.left_out]
    notes = [f"- `{r.entry.name}`: {r.entry.note}" for r in rows if r.entry.note]
    fails = []
    for row in rows:
        for question, lines in row.failures().items():
            if lines:
                why = known.get((row.entry.name, question), lines[0])
                fails.append(f"- `{row.entry.name}`, {question}: {why.replace('|', ' ')}")
    parts = []
    titles = ("left out", "compared in part", "fails")
    for title, lines in zip((f"{database}: {t}" for t in titles), (out, notes, fails)):
        if lines:
            parts += [f"## {title[0].upper()}{title[1:]}", "", *lines, ""]
    return parts
