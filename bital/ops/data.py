"""torch.tensor and its like: tensors made of Python data and of other libraries' arrays.

Room: ops.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.dtype import check_known, default, dtype, from_numpy, of_python, promote
from bital.ir.meta import meta_of
from bital.ops.api import method, public
from bital.ops.create import check_representable, constant, options
from bital.tensor.convert import from_dlpack, from_numpy_array
from bital.tensor.dispatch import cast
from bital.tensor.tensor import Tensor, array_of, edge_of, from_array

public(method=False, name="from_numpy")(from_numpy_array)
public(method=False)(from_dlpack)


@public(method=False)
def tensor(
    data: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested sequences, arrays or a tensor."""
    if dtype is not None:
        dtype = check_known(dtype, "tensor")
    options(dtype, None, device)
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach()"
            ".clone() or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor).",
            UserWarning,
            stacklevel=2,
        )
        out = from_array(np.array(array_of(data), order="C"), data._meta.dtype)
        out = out if dtype is None else cast(out, dtype)
    else:
        array, kind = _array(data, dtype)
        out = from_array(array, kind) if array.flags.c_contiguous else from_numpy_array(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _array(data: Any, d: dtype | None) -> tuple[np.ndarray, dtype]:
    """A fresh array of the data, and its dtype by PyTorch's inference."""
    if isinstance(data, np.ndarray):
        kind = d or from_numpy(data.dtype)
        return np.array(data, kind.np, order="K", copy=True), kind
    if isinstance(data, np.generic):
        kind = d or from_numpy(data.dtype)
        return np.array(data, kind.np), kind
    if isinstance(data, (bool, int, float, complex)):
        kind = d or of_python(data)
        return _of_number(data, kind), kind
    if hasattr(data, "__array__") and not isinstance(data, (list, tuple)):
        return _array(np.asarray(data), d)
    if not isinstance(data, (list, tuple, range)) and not hasattr(data, "__getitem__"):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    shape = _shape(data)
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, str):
        raise ValueError("too many dimensions 'str'")
    kind = d or _infer(data) or default.dtype
    flat: list = []
    _flatten(data, shape, 0, flat)
    return _of_list(flat, kind).reshape(shape), kind


def _of_number(number: Any, d: dtype) -> np.ndarray:
    _check_number(number, d)
    return np.asarray(number).astype(d.np)


def _check_number(number: Any, d: dtype) -> None:
    if d.category == dtypes.INT and isinstance(number, int) and not isinstance(number, bool):
        if d is dtypes.int64 and not -(1 << 63) <= number < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
        try:
            check_representable(number, d)
        except RuntimeError:
            raise RuntimeError(
                f"value cannot be converted to type {d.name} without overflow"
            ) from None
    if isinstance(number, complex) and not d.is_complex:
        if d.is_floating_point:
            raise TypeError("must be real number, not complex")
        raise TypeError("'complex' object cannot be interpreted as an integer")
    if d.category == dtypes.INT and isinstance(number, float) and not math.isfinite(number):
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")


def _no_number(x: Any, d: dtype) -> str:
    kind = type(x).__name__
    if d.category == dtypes.INT:
        return f"'{kind}' object cannot be interpreted as an integer"
    return f"must be real number, not {kind}"


def _of_list(flat: list, d: dtype) -> np.ndarray:
    try:
        if d.category == dtypes.INT:
            whole = [int(x) if isinstance(x, (float, np.floating)) else x for x in flat]
            if not d.is_signed and any(x < 0 for x in whole):
                return np.array(whole, np.int64).astype(d.np)  # they wrap
            return np.array(whole, d.np) if whole else np.empty(0, d.np)
        if d is dtypes.bool_:
            return np.array([bool(x) for x in flat], np.bool_)
        return np.array(flat, d.np) if flat else np.empty(0, d.np)
    except (OverflowError, TypeError, ValueError):
        for x in flat:
            if isinstance(x, (list, tuple)):
                raise TypeError(_no_number(x, d)) from None
            if isinstance(x, str):
                raise TypeError("new(): invalid data type 'str'") from None
            _check_number(x, d)
        raise


def _shape(data: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(data, (list, tuple, range, np.ndarray, Tensor)):
        if isinstance(data, np.ndarray):
            return (*shape, *data.shape)
        if isinstance(data, Tensor):
            break
        shape.append(len(data))
        if not len(data):
            break
        data = data[0]
    return tuple(shape)


def _infer(data: Any) -> dtype | None:
    """The dtype that holds every element; None for no elements."""
    if isinstance(data, Tensor):
        return data._meta.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return from_numpy(data.dtype)
    if isinstance(data, (list, tuple, range)):
        kinds = set(map(type, data))
        if kinds <= {int, float, bool, complex}:
            found = [of_python(k()) for k in kinds]
        else:
            found = [k for k in map(_infer, data) if k is not None]
        best: dtype | None = None
        for kind in found:
            best = kind if best is None else promote(best, kind)
        return best
    if isinstance(data, (bool, int, float, complex)):
        return of_python(data)
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _flatten(data: Any, shape: tuple[int, ...], depth: int, out: list) -> None:
    """Append the numbers of nested sequences, checking that they are of one shape."""
    if isinstance(data, np.ndarray) and data.ndim:
        out.extend(data.ravel().tolist())
        return
    if depth == len(shape):
        if isinstance(data, Tensor) and data._meta.numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        out.append(data.item() if isinstance(data, (Tensor, np.ndarray)) else data)
        return
    if not isinstance(data, (list, tuple, range)):
        raise TypeError("not a sequence")
    if len(data) != shape[depth]:
        raise ValueError(
            f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})"
        )
    if depth == len(shape) - 1 and not any(
        isinstance(x, (list, tuple, Tensor, np.ndarray)) for x in data
    ):
        out.extend(data)
        return
    for each in data:
        _flatten(each, shape, depth + 1, out)


@public(method=False)
def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing its memory where that is possible."""
    if dtype is not None:
        dtype = check_known(dtype, "as_tensor")
    options(dtype, None, device)
    if isinstance(data, Tensor):
        return data if dtype is None else cast(data, dtype)
    if isinstance(data, np.ndarray) and (dtype is None or dtype.np == data.dtype):
        return from_numpy_array(data)
    return tensor(data, dtype=dtype)


@public(method=False, aliases=("asarray",))
def asarray(
    obj: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a tensor; `copy` forces (True) or forbids (False) a copy."""
    if hasattr(obj, "__dlpack__") and not isinstance(obj, (Tensor, np.ndarray)):
        made = from_dlpack(obj)
    else:
        if hasattr(obj, "__array__") and not isinstance(obj, Tensor):
            obj = np.asarray(obj)
        made = as_tensor(obj, dtype=dtype, device=device)
    if copy:
        made = from_array(np.array(array_of(made), order="C"), made._meta.dtype)
    elif copy is False and not isinstance(obj, (Tensor, np.ndarray)):
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    if requires_grad:
        made = made.detach() if made is obj else made
        made.requires_grad = True
    return made


@public(method=False)
def scalar_tensor(s: Any, *, dtype: dtype | None = None, **kwargs: Any) -> Tensor:
    """A 0-d tensor of one number, of the default dtype unless another is given."""
    return constant(meta_of((), dtype or default.dtype), s)


@public(method=False)
def frombuffer(
    buffer: Any, *, dtype: dtype, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A one-dimensional tensor on the memory of an object with the buffer protocol."""
    length, item = memoryview(buffer).nbytes, dtype.itemsize
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % item:
        raise ValueError(
            f"buffer length ({length} bytes) after offset ({offset} bytes) must be a multiple of "
            f"element size ({item})"
        )
    if count > 0 and offset + count * item > length:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must "
            f"not be greater than actual buffer length ({length} bytes)"
        )
    array = np.frombuffer(buffer, dtype.np, count, offset)
    if not array.flags.writeable:
        array = array.copy()
    made = from_numpy_array(array) if dtype is not dtypes.bfloat16 else from_array(array, dtype)
    made.requires_grad = requires_grad
    return made


@method
def apply_(self: Tensor, callable: Any) -> Tensor:
    """Every element replaced by what a Python function makes of it, in place; for small tensors."""
    return _each("apply_", self, callable)


@method
def map_(self: Tensor, tensor: Tensor, callable: Any) -> Tensor:
    """`apply_` of a function of two elements, the other one of a tensor that broadcasts."""
    return _each("map_", self, callable, tensor)


@method
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Any) -> Tensor:
    """`apply_` of a function of three elements."""
    return _each("map2_", self, callable, x, y)


def _each(name: str, t: Tensor, fn: Any, *others: Tensor) -> Tensor:
    if edge_of(t) is not None:
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use "
            f"var.detach().{name}() instead."
        )
    columns = [each.expand(t._meta.shape).flatten().tolist() for each in (t, *others)]
    values = tensor([fn(*row) for row in zip(*columns)], dtype=t._meta.dtype)
    return t.copy_(values.view(t._meta.shape))


def new_tensor(self: Tensor, data: Any, *, dtype: dtype | None = None, **kwargs: Any) -> Tensor:
    """A tensor of `data` in this one's dtype unless another is given."""
    return tensor(data, dtype=dtype or self._meta.dtype, **kwargs)


Tensor.new_tensor = new_tensor  # type: ignore[attr-defined]
