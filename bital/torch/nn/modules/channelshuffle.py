"""Channels dealt out to groups."""

from __future__ import annotations

from typing import Any

from bital.torch.nn import functional as F
from bital.torch.nn.modules.module import Module


class ChannelShuffle(Module):
    """The channels of (N, C, *), written in rows of C / groups, read column by column."""

    __constants__ = ["groups"]

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
