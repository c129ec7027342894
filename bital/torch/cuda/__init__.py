"""torch.cuda: what programs ask before they use a GPU; the answer is that there is none."""

from __future__ import annotations

from typing import Any

from bital.base.device import usable
from bital.base.errors import missing_attribute
from bital.ops.api import NAMESPACES
from bital.torch.cuda import amp as amp
from bital.torch.storage import STORAGE_TYPES


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


def _unavailable(*args: Any, **kwargs: Any) -> Any:
    """Raises PyTorch's error, as there is no GPU."""
    return usable("cuda")


synchronize = current_device = get_device_name = get_device_properties = _unavailable
get_device_capability = set_device = current_stream = default_stream = set_stream = _unavailable
get_rng_state = set_rng_state = initial_seed = ipc_collect = init = mem_get_info = _unavailable
can_device_access_peer = current_blas_handle = memory_summary = memory_snapshot = _unavailable
utilization = temperature = power_draw = clock_rate = list_gpu_processes = _unavailable


def memory_allocated(device: Any = None) -> int:
    """How much GPU memory is in use: none."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
memory_cached = max_memory_cached = memory_allocated


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Numbers about GPU memory: none."""
    return {}


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin to measure GPU memory anew: nothing to do."""


reset_accumulated_memory_stats = reset_max_memory_allocated = reset_peak_memory_stats
reset_max_memory_cached = reset_peak_memory_stats


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Limit GPU memory: nothing to do."""


def seed() -> None:
    """Seed the GPU's random numbers by chance: nothing to do."""


seed_all = seed


def get_rng_state_all() -> list:
    """Where all GPUs' random numbers stand: there are none."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Put all GPUs' random numbers somewhere: there are none."""


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes with bfloat16: there is none."""
    return False


is_tf32_supported = is_current_stream_capturing = is_bf16_supported


def get_arch_list() -> list[str]:
    """The GPUs that were compiled for: none."""
    return []


default_generators: tuple = ()


class Stream:
    """A queue of a GPU's work; raises RuntimeError, as there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(f"torch.cuda.{type(self).__name__} requires CUDA support")


class Event(Stream):
    """A place in a queue of a GPU's work; raises RuntimeError, as there is none."""


class ExternalStream(Stream):
    """A queue made elsewhere; raises RuntimeError, as there is none."""


class CUDAGraph(Stream):
    """Recorded work of a GPU; raises RuntimeError, as there is none."""


class graph(Stream):
    """A block that records a GPU's work; raises RuntimeError, as there is none."""


class device:
    """A GPU for the length of a block, by number: without any, the block runs as it is."""

    def __init__(self, device: Any) -> None:
        self.given = device

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


class device_of(device):
    """The GPU of a tensor for the length of a block: the block runs as it is."""


class StreamContext(device):
    """A queue of a GPU for the length of a block: the block runs as it is."""


def stream(stream: Any) -> StreamContext:
    """A queue of a GPU for the length of a block: the block runs as it is."""
    return StreamContext(stream)


class OutOfMemoryError(RuntimeError):
    """A GPU's memory is full; never raised here."""


CudaError = DeferredCudaCallError = RuntimeError
has_half = has_magma = False

globals().update(STORAGE_TYPES)  # torch.cuda.FloatStorage
globals().update(NAMESPACES["cuda"])  # torch.cuda.FloatTensor
__getattr__ = missing_attribute("torch.cuda", "memory", "nvtx", "random")
