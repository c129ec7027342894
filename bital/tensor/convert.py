"""Conversion: tensors to and from Python numbers, NumPy arrays, DLPack, copies and pickles.

Room: tensor. Everything here looks at values, so it cuts the trace. Memory handed out is shared:
from then on operations on it run at once, so that both sides see each other's writes.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import dtype, from_numpy
from bital.base.stride import extent
from bital.base.window import strided
from bital.ir.meta import meta_of
from bital.ir.trace import given, local, ready
from bital.tensor.format import tensor_text
from bital.tensor.storage import Storage, export, flat_buffer, new_cell, view_at
from bital.tensor.tensor import (
    Tensor,
    array_of,
    edge_of,
    needs_gradient,
    read,
    strides_of,
    values_of,
    window,
    wrap,
)


def item(self: Tensor) -> Any:
    """The only element as a Python number."""
    meta = self._meta
    if meta.numel != 1:
        raise RuntimeError(f"a Tensor with {meta.numel} elements cannot be converted to Scalar")
    if meta.device.lanes:
        raise RuntimeError(
            "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over "
            "calling .item() on a Tensor, please try to rewrite what you're doing with other "
            "operations. If error is occurring somewhere inside PyTorch internals, please file a "
            "bug report."
        )
    return ready(self._storage.value if self._view is None else read(self, local.trace)).item()


def tolist(self: Tensor) -> Any:
    """The elements as nested lists of Python numbers."""
    return array_of(self).tolist()


def shared_array(t: Tensor) -> np.ndarray:
    """A NumPy window on the tensor's own memory, which may hold its conjugates."""
    meta = t._meta
    flat = export(t._storage.memory)
    return strided(flat, t.storage_offset(), meta.shape, strides_of(t), meta.np)


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """A NumPy array on the same memory; `force` detaches and resolves first (`Tensor.numpy`).

    A tensor that requires gradients is refused, but not in no_grad mode.
    """
    if not force and local.trace.grad and needs_gradient(self):
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self._storage.mirrored:
        if not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that has conjugate bit set. Use "
                "tensor.resolve_conj().numpy() instead."
            )
        return array_of(self).copy()
    if self._meta.dtype is dtypes.bfloat16 and not force:
        raise TypeError("Got unsupported ScalarType BFloat16")
    return shared_array(self)


def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def __array_wrap__(
    self: Tensor, array: np.ndarray, context: Any = None, return_scalar: bool = False
) -> Tensor:
    """What a NumPy function of tensors returns: a tensor; of truth values, one of bytes."""
    array = np.asarray(array)
    return from_numpy_array(array.astype(np.uint8) if array.dtype == np.bool_ else array)


def from_numpy_array(array: np.ndarray) -> Tensor:
    """A tensor on a NumPy array's memory, as `torch.from_numpy`."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    d = from_numpy(array.dtype)
    if any(s < 0 for s in array.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().) "
        )
    if any(s % d.itemsize for s in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy "
            "array to reallocate the memory."
        )
    if array.dtype.byteorder not in "=|" and not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    strides = tuple([s // d.itemsize for s in array.strides])
    meta = meta_of(array.shape, d)
    if array.flags.c_contiguous and array.flags.writeable:
        value = given(meta, array[...])
        value.shared = True
        return wrap(value, meta)
    last = extent(array.shape, strides)[1] if array.size else -1
    flat = np.lib.stride_tricks.as_strided(array, (last + 1,), (d.itemsize,))
    value = given(meta_of(flat.shape, d), flat)
    value.shared = True
    return window(new_cell(value), meta, view_at(0, strides))


def __dlpack__(self: Tensor, **kwargs: Any) -> Any:
    """The tensor's memory as a DLPack capsule."""
    if edge_of(self) is not None:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self._storage.mirrored:
        raise BufferError("Can't export tensors with the conjugate bit set")
    return shared_array(self).__dlpack__(**{k: v for k, v in kwargs.items() if k != "stream"})


def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    return (1, 0)


def from_dlpack(source: Any) -> Tensor:
    """A tensor on memory that another library offers through DLPack."""
    return from_numpy_array(np.from_dlpack(source))


def __bool__(self: Tensor) -> bool:
    if self._meta.numel != 1:
        if not self._meta.numel:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    if self._meta.device.lanes:
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. We don't support that yet, please file an issue at "
            "https://github.com/pytorch/pytorch/issues ."
        )
    return bool(array_of(self).item())


def _number(t: Tensor, kind: Any) -> Any:
    """The only element as a Python number of a kind; an imaginary part is lost."""
    if t._meta.numel != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    value = item(t)
    return kind(value.real if kind is not complex and isinstance(value, complex) else value)


def __float__(self: Tensor) -> float:
    return _number(self, float)


def __int__(self: Tensor) -> int:
    return _number(self, int)


def __complex__(self: Tensor) -> complex:
    return _number(self, complex)


def __index__(self: Tensor) -> int:
    if self._meta.dtype.category > dtypes.INT or self._meta.numel != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(self))


def __format__(self: Tensor, spec: str) -> str:
    if self._meta.ndim == 0 and type(self) is Tensor:
        return format(item(self), spec)
    return object.__format__(self, spec)


def __len__(self: Tensor) -> int:
    if not self._meta.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self._meta.shape[0]


def __copy__(self: Tensor) -> Tensor:
    """A leaf on the same memory, without `.grad`, as PyTorch's is."""
    view = self._view and self._view.bare()
    out = window(self._storage, self._meta, view, type(self))
    out.requires_grad = needs_gradient(self)
    out.__dict__.update(self.__dict__)
    return out


def __deepcopy__(self: Tensor, memo: dict) -> Tensor:
    """A copy with its own memory; tensors that shared a storage share the copy's."""
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
            "because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    view = self._view and self._view.bare()
    out = window(_copied_storage(self._storage.shown, memo), self._meta, view, type(self))
    memo[id(self)] = out
    out.requires_grad = self.requires_grad
    if self._grad is not None:
        out._grad = copy.deepcopy(self._grad, memo)
    for name, value in self.__dict__.items():
        out.__dict__[name] = copy.deepcopy(value, memo)
    return out


def _copied_storage(storage: Storage, memo: dict) -> Storage:
    """A storage of equal contents: values never change, so only shared memory is copied."""
    found = memo.get(id(storage))
    if found is None:
        value = storage.value
        if value.shared:
            value = given(value.meta, value.buf.copy())
        found = memo[id(storage)] = new_cell(value)
        memo.setdefault(id(memo), []).append(storage)  # keeps the id from being used again
    return found


def __reduce_ex__(self: Tensor, protocol: int) -> tuple:
    meta, strides = self._meta, strides_of(self)
    low, high = extent(meta.shape, strides) if meta.numel else (0, -1)
    if self._view is None:
        flat = array_of(self)
    else:  # the stretch of memory that the window lies in
        memory = flat_buffer(self._storage)
        flat = strided(memory, self._view.offset + low, (high + 1 - low,), (1,), meta.np)
    kind = None if type(self) is Tensor else type(self)
    flat = np.array(flat, order="C").ravel()
    state = self.__dict__ or None
    return rebuild, (flat, meta.dtype, meta.shape, strides, self.requires_grad, kind, state)


def rebuild(
    flat: np.ndarray,
    d: dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    requires_grad: bool,
    kind: type[Tensor] | None,
    state: dict | None,
) -> Tensor:
    """The tensor that was pickled; like PyTorch's, a leaf without `.grad`."""
    meta = meta_of(shape, d)
    if strides == meta.strides:
        value = given(meta, flat.reshape(shape))
        out = window(new_cell(value), meta, None, kind or Tensor)
    else:
        value = given(meta_of(flat.shape, d), flat)
        out = window(new_cell(value), meta, view_at(0, strides), kind or Tensor)
    out.requires_grad = requires_grad
    if state:
        out.__dict__.update(state)
    return out


def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    """PyTorch's text of the tensor: elements, and what is not evident from them.

    Under vmap those of all examples, one level of which is shown for all.
    """
    try:
        node = self.grad_fn
        name = None if node is None else node.name().rpartition("::")[2]
    except RuntimeError:  # a view that may not be used any more
        name = "Invalid"
    kind = type(self)
    text = tensor_text(
        values_of(self),
        dtype_name=self._meta.dtype.name,
        default_float_name=dtypes.default.dtype.name,
        requires_grad=self.requires_grad,
        grad_fn_name=name,
        class_name="tensor" if kind is Tensor or kind.__name__ == "Parameter" else kind.__name__,
    )
    lanes = self._meta.device.lanes
    if not lanes:
        return text
    inner = text.replace("\n", "\n    ")
    return f"BatchedTensor(lvl={len(lanes)}, bdim=0, value=\n    {inner}\n)"


def data_ptr(self: Tensor) -> int:
    """The address of the first element; the memory counts as shared from now on."""
    return shared_array(self).ctypes.data


for _method in (
    item, tolist, numpy, __array__, __array_wrap__, __dlpack__, __dlpack_device__, __bool__,
    __float__, __int__, __complex__, __index__, __format__, __len__, __copy__, __deepcopy__,
    __reduce_ex__, __repr__, data_ptr,
):  # fmt: skip
    setattr(Tensor, _method.__name__, _method)
