"""torch.backends.nnpack: a library of convolutions, which bital does not call."""

from __future__ import annotations

from typing import Any

from bital.torch.backends._flags import flags_of

enabled = True


def is_available() -> bool:
    """Whether the library is called: no."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Set `enabled`; gives what it was."""
    before = globals()["enabled"]
    globals()["enabled"] = _enabled
    return (before,)


def flags(enabled: bool = False) -> Any:
    """`enabled` for the length of a block."""
    return flags_of(__name__, {"enabled": enabled})
