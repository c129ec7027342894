"""Padding: values put around the last one, two or three dimensions."""

from __future__ import annotations

from typing import Any

from bital.torch.nn import functional as F
from bital.torch.nn.modules.module import Module


def _ntuple(padding: Any, n: int) -> tuple[int, ...]:
    """One number for all sides, or the sides: left, right, top, bottom, front, back."""
    return tuple(padding) if hasattr(padding, "__iter__") else (padding,) * n


def _check_dim(input: Any, spatial: int) -> None:
    if input.dim() not in (spatial + 1, spatial + 2):
        raise ValueError(
            f"expected {spatial + 1}D or {spatial + 2}D input (got {input.dim()}D input)"
        )


class _ConstantPadNd(Module):
    __constants__ = ["padding", "value"]
    _spatial: int

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.value = value
        self.padding = _ntuple(padding, 2 * self._spatial)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with `value`."""

    _spatial = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads the last two dimensions with `value`."""

    _spatial = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads the last three dimensions with `value`."""

    _spatial = 3


class ZeroPad1d(ConstantPad1d):
    """Pads the last dimension with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last two dimensions with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last three dimensions with zeros."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _PadNd(Module):
    """Padding by elements of the input itself."""

    __constants__ = ["padding"]
    _spatial: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = _ntuple(padding, 2 * self._spatial)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Mirrors the last dimension at its ends, without repeating the edge."""

    _spatial = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Mirrors the last two dimensions at their ends, without repeating the edge."""

    _spatial = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Mirrors the last three dimensions at their ends, without repeating the edge."""

    _spatial = 3


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Repeats the edges of the last dimension."""

    _spatial = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Repeats the edges of the last two dimensions."""

    _spatial = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Repeats the edges of the last three dimensions."""

    _spatial = 3


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def forward(self, input: Any) -> Any:
        _check_dim(input, self._spatial)
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Continues the last dimension with its other end."""

    _spatial = 1


class CircularPad2d(_CircularPadNd):
    """Continues the last two dimensions with their other ends."""

    _spatial = 2


class CircularPad3d(_CircularPadNd):
    """Continues the last three dimensions with their other ends."""

    _spatial = 3
