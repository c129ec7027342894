"""What an entry of a database is to the command and the tests: a name and two questions."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

#: what is asked of an entry
QUESTIONS = ("values", "errors")


def records(module: str, name: str) -> list[Any]:
    """A table of PyTorch's own tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = getattr(importlib.import_module(f"torch.testing._internal.{module}"), name)
    # its import forbids setting flags, which other tests do
    setattr(torch.backends, "__allow_nonbracketed_mutation_flag", True)
    torch.set_num_threads(1)
    return found


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
