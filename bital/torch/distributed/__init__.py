"""`torch.distributed`: training on several machines is not there, and says so when it is asked."""

from __future__ import annotations

import enum
from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


def is_available() -> bool:
    """Whether there is a distributed package: no."""
    return False


def is_initialized() -> bool:
    """Whether processes have been joined: no."""
    return False


is_nccl_available = is_gloo_available = is_mpi_available = is_ucc_available = is_available
is_torchelastic_launched = is_available


def init_process_group(backend: Any = None, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: bital trains in one process."""
    raise Unsupported(
        "torch.distributed.init_process_group: bital trains in one process. Guard it with "
        "torch.distributed.is_available(), which is False"
    )


class ReduceOp(enum.Enum):
    """How the numbers of several processes would be joined."""

    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR, PREMUL_SUM = range(9)


class ProcessGroup:
    """There for `isinstance` and annotations; none is ever made."""


def _not_initialized(*args: Any, **kwargs: Any) -> Any:
    """Raises PyTorch's error of processes that were not joined."""
    raise ValueError(
        "Default process group has not been initialized, please make sure to call "
        "init_process_group."
    )


get_rank = get_world_size = get_backend = barrier = all_reduce = broadcast = _not_initialized
all_gather = reduce = gather = scatter = send = recv = reduce_scatter = _not_initialized
destroy_process_group = new_group = all_gather_object = broadcast_object_list = _not_initialized

__getattr__ = missing_attribute("torch.distributed", "device_mesh", "optim", "tensor")
