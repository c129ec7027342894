"""`torch.xpu`: Intel's GPUs, of which there is none."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute


def is_available() -> bool:
    """Whether there is one: no."""
    return False


is_initialized = is_bf16_supported = is_tf32_supported = is_available


def device_count() -> int:
    """How many there are: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed its random numbers: nothing to do."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Give its unused memory back: nothing to do."""


def memory_allocated(device: Any = None) -> int:
    """How much of its memory is in use: none."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin to measure its memory anew: nothing to do."""


def _none(*args: Any, **kwargs: Any) -> Any:
    """Raises: there is no such device."""
    raise AssertionError("Torch not compiled with XPU enabled")


current_device = set_device = synchronize = get_device_name = get_device_properties = _none
get_device_capability = current_stream = set_stream = get_rng_state = set_rng_state = _none
__getattr__ = missing_attribute("torch.xpu")
