"""`torch.distributed.device_mesh`: devices of several processes, which bital does not have."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


class DeviceMesh:
    """There for `isinstance`; making one is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        init_device_mesh()


def init_device_mesh(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: bital trains in one process."""
    raise Unsupported("bital lacks torch.distributed.device_mesh: it trains in one process")


__getattr__ = missing_attribute("torch.distributed.device_mesh")
