"""torch.backends.mkldnn: Intel's network library, which bital does not call."""

from __future__ import annotations

from typing import Any

from bital.torch.backends._flags import flags_of
from bital.torch.backends.mkl import VERBOSE_OFF, VERBOSE_ON, verbose

enabled = True
deterministic = False
allow_tf32 = True
fp32_precision = "none"
VERBOSE_ON_CREATION = 2


def is_available() -> bool:
    """Whether the library is called: no."""
    return False


def flags(**flags: Any) -> Any:
    """Flags for the length of a block."""
    return flags_of(__name__, flags)


__all__ = [
    "VERBOSE_OFF", "VERBOSE_ON", "VERBOSE_ON_CREATION", "allow_tf32", "deterministic", "enabled",
    "flags", "fp32_precision", "is_available", "verbose",
]  # fmt: skip
