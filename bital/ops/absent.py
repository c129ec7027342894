"""Methods of tensors that bital's tensors have no use for: sparse, quantized, on other devices.

Room: ops. Each answers as PyTorch does for a dense tensor on the CPU, or says what bital lacks.
"""

from __future__ import annotations

import math
from typing import Any

from bital.base.errors import Unsupported
from bital.ops.api import method, public
from bital.tensor.convert import shared_array
from bital.tensor.tensor import Tensor


def _refused(name: str, what: str) -> None:
    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        raise Unsupported(f"Tensor.{name}: bital has no {what}")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Raises: bital has no {what}."
    setattr(Tensor, name, refuse)


def _dense(name: str, expected: str) -> None:
    def refuse(self: Tensor) -> Any:
        raise RuntimeError(f"{name} expected {expected} tensor layout but got Strided")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises PyTorch's error: the tensor is dense."
    setattr(Tensor, name, refuse)


for _name in (
    "to_sparse_csc", "to_sparse_bsr", "to_sparse_bsc", "sparse_mask", "sparse_resize_",
    "sparse_resize_and_clear_", "sspaddmm", "resize_as_sparse_",
):  # fmt: skip
    _refused(_name, "form of it for sparse tensors")
for _name in ("qscheme", "q_scale", "q_zero_point", "q_per_channel_axis", "q_per_channel_scales",
              "q_per_channel_zero_points", "int_repr"):  # fmt: skip
    _refused(_name, "quantized tensors")
_refused("to_padded_tensor", "nested tensors")
_refused("to_mkldnn", "layout but the strided one")
_refused("chalf", "dtype torch.complex32")
for _name in ("indices", "coalesce", "is_coalesced"):
    _dense(_name, "sparse coordinate")
for _name in ("values", "crow_indices", "col_indices", "ccol_indices", "row_indices"):
    _dense(_name, "sparse")


def _elsewhere(name: str) -> None:
    def refuse(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError(f"Torch not compiled with {name.upper()} enabled")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises PyTorch's error: there is no such device."
    setattr(Tensor, name, refuse)


for _name in ("xpu", "mtia", "ipu", "hpu"):
    _elsewhere(_name)


@method
def sparse_dim(self: Tensor) -> int:
    """How many axes are kept sparse: none."""
    return 0


@method
def dense_dim(self: Tensor) -> int:
    """How many axes are kept dense: all."""
    return self._meta.ndim


@public()
def dequantize(input: Tensor) -> Tensor:
    """This tensor, which is not quantized."""
    return input


@method
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Raises PyTorch's error: there is no GPU to pin memory for."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


@method
def record_stream(self: Tensor, stream: Any) -> None:
    """Raises: there are no streams."""
    raise RuntimeError("unknown parameter type")


@method
def reinforce(self: Tensor, reward: Any) -> None:
    """Raises PyTorch's error: it was removed."""
    raise RuntimeError("reinforce() was removed.\nUse torch.distributions instead.")


@method
def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for reading."""
    return shared_array(self).ctypes.data


@method
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What a module keeps when it loads `other` in this tensor's place."""
    return other.detach() if assign else self.copy_(other).detach()


def _resized(self: Tensor, *sizes: Any) -> Tensor:
    """An older form of `reshape`, with its own error."""
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    wanted = math.prod(shape)
    if wanted != self._meta.numel:
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({wanted} elements in total), but "
            f"the given tensor has a size of {'x'.join(map(str, self._meta.shape))} "
            f"({self._meta.numel} elements). autograd's resize can only change the shape of a "
            "given tensor, while preserving the number of elements. "
        )
    return self.reshape(shape)


Tensor.resize = _resized  # type: ignore[attr-defined]
Tensor.resize_as = lambda self, other: _resized(self, other.shape)  # type: ignore[attr-defined]
Tensor.volatile = property(lambda self: False)  # type: ignore[attr-defined]
Tensor.__nonzero__ = Tensor.__bool__  # type: ignore[attr-defined]
Tensor.__long__ = Tensor.__int__  # type: ignore[attr-defined]
