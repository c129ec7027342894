"""torch.cuda.nvtx: ranges for NVIDIA's tools, which are not there; the program runs as it is."""

from __future__ import annotations

from typing import Any


def mark(msg: str) -> None:
    """A mark: nothing to do."""


def range_push(msg: str) -> int:
    """A range begins: nothing to do."""
    return -1


def range_pop() -> int:
    """A range ends: nothing to do."""
    return -1


class range:
    """A range for the length of a block: nothing to do."""

    def __init__(self, msg: str, *args: Any, **kwargs: Any) -> None:
        self.msg = msg

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None
