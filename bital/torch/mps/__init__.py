"""`torch.mps`: Apple's GPUs, of which there is none."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute


def is_available() -> bool:
    """Whether there is one: no."""
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed its random numbers: nothing to do."""


def seed() -> None:
    """Seed its random numbers by chance: nothing to do."""


def empty_cache() -> None:
    """Give its unused memory back: nothing to do."""


def synchronize() -> None:
    """Wait for it: nothing to do."""


def current_allocated_memory() -> int:
    """How much of its memory is in use: none."""
    return 0


driver_allocated_memory = recommended_max_memory = current_allocated_memory


def set_per_process_memory_fraction(fraction: float) -> None:
    """Limit its memory: nothing to do."""


def get_rng_state(*args: Any) -> Any:
    """Raises: there is no such device."""
    raise RuntimeError("torch.mps: bital has no MPS device")


set_rng_state = get_rng_state
__getattr__ = missing_attribute("torch.mps")
