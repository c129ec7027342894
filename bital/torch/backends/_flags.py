"""What the backends' modules share: flags for the length of a block."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def flags_of(module: str, given: dict[str, Any]) -> Iterator[None]:
    """Inside the block the module's attributes have these values."""
    names = vars(sys.modules[module])
    before = {name: names[name] for name in given if name in names}
    names.update({name: given[name] for name in before})
    try:
        yield
    finally:
        names.update(before)
