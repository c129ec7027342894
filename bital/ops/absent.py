"""Methods of tensors that bital's tensors have no use for: sparse, quantized, on other devices.

Room: ops. Each answers as PyTorch does for a dense tensor on the CPU, or says what bital lacks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bital.base.errors import Unsupported
from bital.base.stride import may_overlap_internally
from bital.ops.api import NAMESPACES, method
from bital.ops.data import tensor
from bital.tensor.convert import shared_array
from bital.tensor.tensor import Tensor, array_of, edge_of, strides_of


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


@method
def dequantize(self: Tensor) -> Tensor:
    """This tensor, which is not quantized."""
    return self


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
def is_nonzero(self: Tensor) -> bool:
    """Whether the only element is not zero."""
    return bool(self)


@method
def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for reading."""
    return shared_array(self).ctypes.data


@method
def dim_order(self: Tensor, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The axes from the slowest in memory to the fastest."""
    strides = strides_of(self)
    return tuple(sorted(range(len(strides)), key=lambda k: -strides[k]))


@method
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What a module keeps when it loads `other` in this tensor's place."""
    return other.detach() if assign else self.copy_(other).detach()


def _mapped(name: str, t: Tensor, fn: Callable, others: tuple[Tensor, ...]) -> Tensor:
    """Write fn(element, …) into every element of t."""
    if edge_of(t) is not None:
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use "
            f"var.detach().{name}() instead."
        )
    if may_overlap_internally(t._meta.shape, strides_of(t)):
        raise RuntimeError(f"{name}: more than one element refers to a single memory location")
    arrays = [np.broadcast_to(array_of(each), t._meta.shape) for each in (t, *others)]
    made = np.frompyfunc(fn, len(arrays), 1)(*[a.astype(object) for a in arrays])
    return t.copy_(tensor(np.asarray(made).tolist(), dtype=t._meta.dtype))


@method
def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Put callable(x) in the place of every element x; slow, as it runs Python for each."""
    return _mapped("apply_", self, callable, ())


@method
def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Put callable(x, y) in the place of every element x, y being tensor's."""
    return _mapped("map_", self, callable, (tensor,))


@method
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable) -> Tensor:
    """The same for two other tensors."""
    return _mapped("map2_", self, callable, (x, y))


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
NAMESPACES["torch"]["dequantize"] = dequantize
