"""DataParallel: the batch split among GPUs, of which there are none here."""

from __future__ import annotations

from typing import Any

from bital.torch.nn.modules.module import Module


class DataParallel(Module):
    """`module` under the name `module`; without GPUs it is called with the whole batch."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
