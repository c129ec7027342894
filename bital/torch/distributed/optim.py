"""`torch.distributed.optim`: an optimizer in several processes, which bital does not do."""

from __future__ import annotations

from typing import Any

from bital.base.errors import Unsupported, missing_attribute
from bital.torch.optim.optimizer import Optimizer


class ZeroRedundancyOptimizer(Optimizer):
    """There for `isinstance`; making one is refused, as there is no process group to join."""

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(
            "bital lacks torch.distributed.optim.ZeroRedundancyOptimizer: torch.distributed is "
            "not available. Use the optimizer itself."
        )


__getattr__ = missing_attribute("torch.distributed.optim")
