"""What programs ask of a tensor besides its numbers: device, layout, memory; and its storage.

Room: ops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bital.base.device import cpu, device
from bital.base.dtype import dtype, uint8
from bital.base.layout import layout, strided
from bital.ir.meta import meta_of
from bital.ir.trace import given
from bital.ops.api import check_tensor, method, public
from bital.tensor.storage import Storage, export, new_cell
from bital.tensor.tensor import Tensor, strides_of


class UntypedStorage:
    """A tensor's memory as bytes (`Tensor.untyped_storage()`); looking at it shares the memory."""

    __module__ = "torch.storage"
    is_cuda = is_sparse = False

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def _bytes(self) -> np.ndarray:
        return export(self._storage).reshape(-1).view(np.uint8)

    @property
    def device(self) -> device:
        return cpu

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._bytes().ctypes.data

    def nbytes(self) -> int:
        """How many bytes there are."""
        return self._storage.value.meta.nbytes

    size = __len__ = nbytes

    def element_size(self) -> int:
        """Bytes of an element: one."""
        return 1

    def cpu(self) -> UntypedStorage:
        """This storage, which is on the CPU."""
        return self

    def untyped(self) -> UntypedStorage:
        """This storage, as bytes."""
        return UntypedStorage(self._storage)

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """A file's first bytes, mapped into memory; writes reach the file where `shared`."""
        if shared:
            with open(filename, "ab") as file:
                file.truncate(max(nbytes, file.tell()))
        pages = np.memmap(filename, np.uint8, "r+" if shared else "c", shape=(nbytes,))
        return cls(_outside(pages))

    def __getitem__(self, index: Any) -> Any:
        got = self._bytes()[index]
        if isinstance(got, np.ndarray):
            return UntypedStorage(_outside(got))
        return int(got)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._bytes(), dtype, copy=copy)

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def tolist(self) -> list:
        """The bytes as a list."""
        return self._bytes().tolist()

    def __repr__(self) -> str:
        numbers = "".join(f" {n}\n" for n in self.tolist())
        return f"{numbers}[{self.__module__}.{type(self).__name__}(device=cpu) of size {len(self)}]"


def _outside(memory: np.ndarray) -> Storage:
    """A storage on bytes that others may hold."""
    value = given(meta_of(memory.shape, uint8), memory)
    value.shared = True
    return new_cell(value)


class TypedStorage(UntypedStorage):
    """A tensor's memory as elements of its dtype (`Tensor.storage()`)."""

    __module__ = "torch.storage"

    def __init__(self, storage: Storage, d: dtype) -> None:
        super().__init__(storage)
        self.dtype = d

    def size(self) -> int:
        """How many elements there are."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def nbytes(self) -> int:
        return self._storage.value.meta.nbytes

    def element_size(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    def __getitem__(self, index: Any) -> Any:
        return self._bytes().view(self.dtype.np)[index].tolist()

    def tolist(self) -> list:
        """The elements as a list."""
        return self._bytes().view(self.dtype.np).tolist()

    def __repr__(self) -> str:
        numbers = "".join(f" {n}\n" for n in self.tolist())
        return (
            f"{numbers}[{self.__module__}.{type(self).__name__}(dtype={self.dtype}, device=cpu) "
            f"of size {len(self)}]"
        )


@method
def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory under this tensor, all of it, as bytes."""
    return UntypedStorage(self._storage.memory)


@method
def storage(self: Tensor) -> TypedStorage:
    """The memory under this tensor, all of it, as elements of its dtype."""
    return TypedStorage(self._storage.memory, self._meta.dtype)


def _layout(self: Tensor) -> layout:
    return strided


def _same(name: str, value: Any) -> None:
    """An attribute that every tensor of bital answers alike."""
    setattr(Tensor, name, property(lambda self: value))


Tensor.layout = property(_layout)  # type: ignore[attr-defined]
for _name in (
    "is_sparse", "is_sparse_csr", "is_quantized", "is_meta", "is_cuda", "is_mps", "is_xpu",
    "is_xla", "is_hpu", "is_ipu", "is_mtia", "is_maia", "is_vulkan", "is_mkldnn", "is_nested",
):  # fmt: skip
    _same(_name, False)
_same("is_cpu", True)
_same("name", None)
Tensor.itemsize = property(lambda self: self._meta.dtype.itemsize)  # type: ignore[attr-defined]
Tensor.nbytes = property(  # type: ignore[attr-defined]
    lambda self: self._meta.numel * self._meta.dtype.itemsize
)
Tensor.grad_dtype = property(lambda self: self._meta.dtype)  # type: ignore[attr-defined]


@method
def element_size(self: Tensor) -> int:
    """Bytes of an element."""
    return self._meta.dtype.itemsize


@public()
def get_device(input: Tensor) -> int:
    """The number of the GPU the tensor is on; -1 on the CPU."""
    return -1


@method
def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The axes in the order in which they lie in memory, outermost first."""
    strides = strides_of(self)
    return tuple(sorted(range(len(strides)), key=lambda k: (-strides[k], k)))


@public()
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return check_tensor(input, "is_signed")._meta.dtype.is_signed


@public()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return input._meta.shape == other._meta.shape


@method
def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned for a GPU: there is none."""
    return False


@method
def is_shared(self: Tensor) -> bool:
    """Whether the memory is shared between processes: it is not."""
    return False


@method
def share_memory_(self: Tensor) -> Tensor:
    """This tensor; sharing between processes is by copies."""
    return self


@method
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both tensors are the same window on the same memory."""
    return (
        self._storage.memory is tensor._storage.memory
        and self._meta is tensor._meta
        and strides_of(self) == strides_of(tensor)
        and self.storage_offset() == tensor.storage_offset()
    )


@method
def is_distributed(self: Tensor) -> bool:
    """Whether the tensor is spread over processes: it is not."""
    return False


@method
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool = True) -> Tensor:
    """This tensor, which is dense, in another dtype if one is given."""
    return self if dtype is None else self.to(dtype)
