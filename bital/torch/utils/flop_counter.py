"""`torch.utils.flop_counter`: counting floating-point operations, which bital does not do yet."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


class FlopCounterMode:
    """Made freely, as libraries do that may never use it; counting is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> NoReturn:
        raise Unsupported(
            "bital lacks torch.utils.flop_counter.FlopCounterMode; torch.profiler.profile shows "
            "what is computed and how long it takes"
        )

    def __exit__(self, *exc: object) -> None:
        return None

    def get_total_flops(self) -> int:
        """What was counted: nothing."""
        return 0

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """What was counted, by module and operator: nothing."""
        return {}


__getattr__ = missing_attribute("torch.utils.flop_counter")
