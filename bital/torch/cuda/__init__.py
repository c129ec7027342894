"""torch.cuda: what programs ask before they use a GPU; the answer is that there is none."""

from __future__ import annotations

from typing import Any

from bital.base.device import usable
from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES
from bital.torch.cuda import amp as amp


def is_available() -> bool:
    """Whether a GPU can be used: bital computes on the CPU."""
    return False


def device_count() -> int:
    """How many GPUs there are."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA has been started."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the GPU's random numbers: nothing to do."""


def manual_seed_all(seed: int) -> None:
    """Seed all GPUs' random numbers: nothing to do."""


def empty_cache() -> None:
    """Give unused GPU memory back: nothing to do."""


def synchronize(device: Any = None) -> None:
    """Wait for the GPU; raises PyTorch's error, as there is none."""
    usable("cuda")


def current_device() -> int:
    """The number of the GPU in use; raises PyTorch's error, as there is none."""
    usable("cuda")
    return 0


def get_device_name(device: Any = None) -> str:
    """The name of a GPU; raises PyTorch's error, as there is none."""
    usable("cuda")
    return ""


globals().update(NAMESPACES["cuda"])  # torch.cuda.FloatTensor
__getattr__ = missing_attribute("torch.cuda")
