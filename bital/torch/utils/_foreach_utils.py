"""`torch.utils._foreach_utils`: sorting tensors by device and dtype, as optimizers do."""

from __future__ import annotations

from typing import Any

from bital.base.errors import missing_attribute


def _group_tensors_by_device_and_dtype(
    tensorlistlist: list[list[Any]], with_indices: bool = False
) -> dict[tuple, tuple[list[list[Any]], list[int]]]:
    """(device, dtype) of the first list's tensors: all the lists' elements there, and where."""
    places: dict[tuple, list[int]] = {}
    for k, t in enumerate(tensorlistlist[0]):
        places.setdefault((t.device, t.dtype), []).append(k)
    return {
        key: ([[each[k] for k in at] if each else [] for each in tensorlistlist],
              at if with_indices else [])
        for key, at in places.items()
    }  # fmt: skip


def _get_foreach_kernels_supported_devices() -> list[str]:
    """The devices for which PyTorch would update many tensors in one call: none here."""
    return []


_get_fused_kernels_supported_devices = _get_foreach_kernels_supported_devices

__getattr__ = missing_attribute("torch.utils._foreach_utils")
