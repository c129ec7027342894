"""`torch.utils.flop_counter`: counting floating-point operations, which bital does not do yet."""

from __future__ import annotations

from typing import Any

from bital.base.errors import Unsupported, missing_attribute


class FlopCounterMode:
    """There for libraries that import it; making one is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(
            "bital lacks torch.utils.flop_counter.FlopCounterMode; torch.profiler.profile shows "
            "what is computed and how long it takes"
        )


__getattr__ = missing_attribute("torch.utils.flop_counter")
