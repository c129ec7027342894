"""torch.backends.cudnn: flags of NVIDIA's library, which is not there; kept and given back."""

from __future__ import annotations

from typing import Any

from bital.torch.backends._flags import flags_of

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """Whether the library is there: no."""
    return False


def version() -> None:
    """The library's version: none."""


def is_acceptable(tensor: Any) -> bool:
    """Whether the library would take the tensor: no."""
    return False


def set_flags(**flags: Any) -> None:
    """Set flags by their names."""
    globals().update({name: value for name, value in flags.items() if value is not None})


def flags(**flags: Any) -> Any:
    """Flags for the length of a block."""
    return flags_of(__name__, flags)
