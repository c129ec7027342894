"""torch.cpu: what programs ask of the device that bital computes on."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute
from bital.torch.cpu import amp as amp


def is_available() -> bool:
    """Whether the CPU can be used: always."""
    return True


def device_count() -> int:
    """How many CPUs PyTorch speaks of: one."""
    return 1


def current_device() -> str:
    """The name of the device in use."""
    return "cpu"


def synchronize(device: Any = None) -> None:
    """Wait for what runs: nothing does."""


def is_initialized() -> bool:
    """Whether the CPU has been started: always."""
    return True


__getattr__ = missing_attribute("torch.cpu")
