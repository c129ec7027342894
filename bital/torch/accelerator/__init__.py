"""`torch.accelerator`: whatever GPU there is; there is none."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute


def is_available() -> bool:
    """Whether there is an accelerator: no."""
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The kind of accelerator: none."""


def _none(*args: Any, **kwargs: Any) -> Any:
    """Raises PyTorch's error: there is no accelerator."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


current_device_index = current_device_idx = set_device_index = set_device_idx = _none
current_stream = set_stream = synchronize = empty_cache = memory_allocated = _none
max_memory_allocated = memory_reserved = max_memory_reserved = memory_stats = _none
reset_accumulated_memory_stats = reset_peak_memory_stats = get_memory_info = _none
get_device_capability = _none

__getattr__ = missing_attribute("torch.accelerator")
