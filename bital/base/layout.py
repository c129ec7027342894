"""Layouts and memory formats: names for how elements are arranged.

Room: base; the standard library only.
"""

from __future__ import annotations


class _Named:
    """One of a few constants of `torch`, shown and pickled by its name."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class layout(_Named):
    """How a tensor stores its elements; bital has `torch.strided` only."""

    __slots__ = ()
    __module__ = "torch"


class memory_format(_Named):
    """In which order a tensor's axes lie in memory."""

    __slots__ = ()
    __module__ = "torch"


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
