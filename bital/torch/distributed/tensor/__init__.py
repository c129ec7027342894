"""`torch.distributed.tensor`: tensors that lie in several processes; no tensor here is one."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute
from bital.tensor.tensor import Tensor
from bital.torch.distributed.device_mesh import DeviceMesh, init_device_mesh

__all__ = [
    "DTensor", "DeviceMesh", "Placement", "Replicate", "Shard", "distribute_module",
    "distribute_tensor", "init_device_mesh",
]  # fmt: skip


class DTensor(Tensor):
    """There for `isinstance`; making one is refused."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:  # type: ignore[misc]
        distribute_tensor()

    @staticmethod
    def from_local(*args: Any, **kwargs: Any) -> NoReturn:
        """Raises: bital trains in one process."""
        distribute_tensor()


class Placement:
    """How a tensor would lie in the processes."""


class Replicate(Placement):
    """Each process would hold all of the tensor."""


class Shard(Placement):
    """Each process would hold a piece of the tensor along the axis `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim


def distribute_tensor(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: bital trains in one process."""
    raise Unsupported("bital lacks torch.distributed.tensor: it trains in one process")


distribute_module = distribute_tensor

__getattr__ = missing_attribute("torch.distributed.tensor")
