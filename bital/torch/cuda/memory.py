"""torch.cuda.memory: questions about a GPU's memory; there is none."""

from bital.base.errors import missing_attribute
from bital.torch.cuda import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)

__all__ = [
    "empty_cache", "max_memory_allocated", "max_memory_reserved", "memory_allocated",
    "memory_reserved", "memory_stats", "reset_peak_memory_stats", "set_per_process_memory_fraction",
]  # fmt: skip
__getattr__ = missing_attribute("torch.cuda.memory")
