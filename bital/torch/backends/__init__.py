"""torch.backends: flags that programs set in passing; none changes what bital does."""

from __future__ import annotations

from bital.base.errors import missing_attribute


class _Flags:
    """A backend that is absent: flags can be set and read."""

    def __init__(self, **flags: object) -> None:
        self.__dict__.update(flags)

    def is_available(self) -> bool:
        return False


cudnn = _Flags(enabled=False, deterministic=False, benchmark=False, allow_tf32=False)
mps = _Flags()
mkl = _Flags()
mkldnn = _Flags(enabled=False)
openmp = _Flags()

__getattr__ = missing_attribute("torch.backends")
