"""DistributedDataParallel: a module in several processes, which bital does not do."""

from __future__ import annotations

from typing import Any

from bital.base.errors import Unsupported
from bital.torch.nn.modules.module import Module


class DistributedDataParallel(Module):
    """There for `isinstance`; making one is refused, as there is no process group to join."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(
            "bital lacks torch.nn.parallel.DistributedDataParallel: torch.distributed is not "
            "available. Call the module itself."
        )
