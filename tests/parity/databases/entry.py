"""What an entry of a database is to the command and the tests: a name and two questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: what is asked of an entry
QUESTIONS = ("values", "errors")


@dataclass(frozen=True)
class Entry:
    """One operator, module or optimizer.

    name      the name in PyTorch's table, with the variant's
    area      the namespace it is listed under, "linalg"
    values    (dtypes or None for all it claims) -> a line for every difference
    errors    () -> one for each error input: what is wrong with it, or None
    left_out  why it is not run, or None
    note      what of it is not compared, and why
    """

    name: str
    area: str
    values: Callable[[tuple[str, ...] | None], list[str]]
    errors: Callable[[], list[str | None]]
    left_out: str | None = None
    note: str | None = None

    def wrong(self, question: str) -> list[str]:
        """What is wrong in one of QUESTIONS."""
        if question == "values":
            return self.values(None)
        return [line for line in self.errors() if line]
