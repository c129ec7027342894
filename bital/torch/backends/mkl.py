"""torch.backends.mkl: Intel's mathematics library, which bital does not call."""

from __future__ import annotations

VERBOSE_OFF, VERBOSE_ON = 0, 1


def is_available() -> bool:
    """Whether the library is called: no."""
    return False


class verbose:
    """What the library would print in a block: nothing."""

    def __init__(self, enable: int) -> None:
        self.enable = enable

    def __enter__(self) -> verbose:
        return self

    def __exit__(self, *exc: object) -> None:
        return None
