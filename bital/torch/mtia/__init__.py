"""`torch.mtia`: Meta's accelerators, of which there is none."""

from bital.base.errors import missing_attribute


def is_available() -> bool:
    """Whether there is one: no."""
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


__getattr__ = missing_attribute("torch.mtia")
