"""What the names in PyTorch's files stand for: the few that may be called, and how.

A file names functions by which PyTorch makes tensors, parameters and small objects again. Those
here look at each argument first, since a file may say anything. `NAMES` is the way back, for
writing.
"""

from __future__ import annotations

import builtins
import collections
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from bital.base import dtype as dtypes
from bital.base import layout as layouts
from bital.base.device import device
from bital.base.dtype import dtype
from bital.base.size import Size
from bital.base.unpickler import check_key, check_keys, refuse
from bital.ir.meta import meta_of
from bital.ir.trace import given
from bital.ops.facts import TypedStorage, UntypedStorage
from bital.ops.return_types import CLASSES
from bital.ops.sparse import sparse_coo_tensor, sparse_csr_tensor
from bital.tensor.storage import Storage, view_at
from bital.tensor.tensor import Tensor, window
from bital.torch.nn.parameter import Parameter
from bital.torch.storage import STORAGE_TYPES

#: how many axes an array may have
_MOST_AXES = 64
#: a name in a file -> what it stands for
SAFE: dict[str, Any] = {}
#: what may be called -> how that is done
CALLS: dict[Any, Callable] = {}
#: what is written -> its module and name in PyTorch
NAMES: dict[Any, tuple[str, str]] = {}
#: what PyTorch's files may hold and bital lacks
ABSENT = {
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device",
    "torch._utils._rebuild_wrapper_subclass": "a tensor made of other tensors",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another kind of device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of another kind of device",
}
ABSENT |= {
    f"torch.{name}": f"the dtype torch.{name}"
    for name in (
        "complex32", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
        "float8_e8m0fnu", "float4_e2m1fn_x2", "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
    )
}  # fmt: skip


def _known(name: str, value: Any, call: Callable | None = None) -> None:
    SAFE[name] = value
    if call is not None:
        CALLS[value] = call
    module, _, short = name.rpartition(".")
    if module.startswith("torch"):
        NAMES[value] = module, short


def _called(name: str) -> Callable[[Callable], Callable]:
    """Declare a function that files call by `name`."""

    def declare(fn: Callable) -> Callable:
        _known(name, fn, fn)
        return fn

    return declare


def _ints(values: Any, what: str) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > _MOST_AXES:
        refuse(f"a tensor's {what} is no tuple of up to {_MOST_AXES} integers")
    for n in values:
        if type(n) is not int or not 0 <= n < 1 << 63:
            refuse(f"a tensor's {what} has {n!r}")
    return tuple(values)


def _placed(storage: Any, offset: Any, size: Any, stride: Any, d: dtype | None) -> Tensor:
    """The window that a file describes, which must lie inside its storage."""
    if not isinstance(storage, UntypedStorage):
        refuse(f"a tensor's memory is a {type(storage).__name__}")
    d = d or getattr(storage, "dtype", None)
    if not isinstance(d, dtype):
        refuse("a tensor has no dtype")
    shape, strides = _ints(size, "size"), _ints(stride, "stride")
    (offset,) = _ints((offset,), "offset")
    count = 1
    for n in shape:
        count *= n
    if len(strides) != len(shape) or count >= 1 << 63:
        refuse(f"a tensor has size {shape} and stride {strides}")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides)) if count else -1
    held = storage.nbytes() // d.itemsize
    if last >= held:
        refuse(f"a tensor reaches element {last} of a storage of {held}")
    return _window(storage._storage, meta_of(shape, d), offset if count else 0, strides)


def _window(storage: Storage, meta: Any, offset: int, strides: tuple[int, ...]) -> Tensor:
    """A tensor on the storage; without a window where it is the whole of it, in order."""
    value = storage.value
    plain = not offset and strides == meta.strides
    if plain and value.meta is not meta and value.meta.ndim == 1 and not value.shared:
        if value.meta.numel == meta.numel and value.meta.dtype is meta.dtype:
            value = storage.value = given(meta, value.buf.reshape(meta.shape))
    whole = plain and value.meta is meta
    return window(storage, meta, None if whole else view_at(offset, strides))


def _finished(t: Tensor, requires_grad: Any, metadata: Any = None) -> Tensor:
    for name, wanted in (metadata or {}).items():
        if name not in ("conj", "neg"):
            refuse(f"a tensor is marked {name!r}, which bital does not know")
        if wanted:
            t = t.conj() if name == "conj" else -t
    if requires_grad:
        if not (t.dtype.is_floating_point or t.dtype.is_complex):
            refuse("a tensor of integers requires gradients")
        t.requires_grad = True
    return t


@_called("torch._utils._rebuild_tensor")
def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """A tensor of very old files."""
    return _placed(storage, offset, size, stride, None)


@_called("torch._utils._rebuild_tensor_v2")
def rebuild_tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, backward_hooks: Any,
    metadata: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor on a storage that knows its dtype."""
    return _finished(_placed(storage, offset, size, stride, None), requires_grad, metadata)


@_called("torch._utils._rebuild_tensor_v3")
def rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, backward_hooks: Any,
    kind: Any, metadata: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor of dtype `kind` on bytes."""
    if not isinstance(kind, dtype):
        refuse("a tensor's dtype is none")
    return _finished(_placed(storage, offset, size, stride, kind), requires_grad, metadata)


@_called("torch._utils._rebuild_parameter")
def rebuild_parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Parameter:
    """A parameter on a tensor's memory."""
    if not isinstance(data, Tensor):
        refuse("a parameter's data is no tensor")
    return Parameter(data, bool(requires_grad))


@_called("torch._utils._rebuild_parameter_with_state")
def rebuild_parameter_with_state(
    data: Any, requires_grad: Any, backward_hooks: Any, state: Any
) -> Parameter:
    """A parameter that has attributes of its own."""
    made = rebuild_parameter(data, requires_grad, backward_hooks)
    return _with_state(made, state)  # type: ignore[return-value]


@_called("torch._tensor._rebuild_from_type_v2")
def rebuild_from_type(make: Any, kind: Any, args: Any, state: Any) -> Tensor:
    """A tensor of a subclass, or one that has attributes of its own."""
    if make not in CALLS or not isinstance(kind, type) or not issubclass(kind, Tensor):
        refuse("a tensor is made by what makes none")
    made = CALLS[make](*args)
    if not isinstance(made, Tensor):
        refuse("a tensor is made by what makes none")
    return _with_state(made if type(made) is kind else made.as_subclass(kind), state)


def _with_state(t: Tensor, state: Any) -> Tensor:
    """Give a tensor the attributes a file has for it; they cannot hide what the class has."""
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
        if slots:
            refuse("a tensor's attributes are in slots")
    if state is None:
        return t
    if type(state) is not dict or not all(type(name) is str for name in state):
        refuse("a tensor's attributes are no dictionary of names")
    for name in state:
        if callable(getattr(Tensor, name, None)):
            refuse(f"a tensor's attribute {name!r} would hide a method")
    t.__dict__.update(state)
    return t


@_called("torch._utils._rebuild_sparse_tensor")
def rebuild_sparse_tensor(kind: Any, parts: Any) -> Tensor:
    """A sparse tensor: its places, numbers, size and whether it is sorted, or compressed rows."""
    if kind not in (layouts.sparse_coo, layouts.sparse_csr):
        refuse(f"the file holds a tensor of layout {kind!r}, which bital does not have")
    if not isinstance(parts, tuple) or len(parts) not in (3, 4):
        refuse("a sparse tensor has other parts than it should")
    tensors, size = (parts[:2], parts[2]) if kind is layouts.sparse_coo else (parts[:3], parts[-1])
    if not all(isinstance(t, Tensor) for t in tensors):
        refuse("a sparse tensor's parts are no tensors")
    for where in tensors[:-1]:
        if where.dtype is not dtypes.int64 or (where.numel() and int(where.amin()) < 0):
            refuse("a sparse tensor's places are no indices")
    try:
        shape = _ints(size, "size")
        if kind is layouts.sparse_csr:
            return _compressed_rows(tensors[0], tensors[1], tensors[2], shape)
        coalesced = bool(parts[3:] and parts[3])
        return sparse_coo_tensor(tensors[0], tensors[1], shape, is_coalesced=coalesced)
    except RuntimeError as error:
        refuse(f"a sparse tensor does not fit together: {error}")


def _compressed_rows(crow: Tensor, col: Tensor, values: Tensor, size: tuple) -> Tensor:
    count = values.shape[0] if values.ndim else -1
    offsets = crow.tolist() if crow.ndim == 1 else []
    fits = len(size) == 2 and len(offsets) == size[0] + 1 and tuple(col.shape) == (count,)
    if not fits or offsets[0] or offsets[-1] != count or offsets != sorted(offsets):
        refuse("a sparse tensor's rows do not fit together")
    if count and int(col.amax()) >= size[1]:
        refuse("a sparse tensor's places lie outside")
    return sparse_csr_tensor(crow, col, values, size)


def _size(sizes: Any = ()) -> Size:
    return Size(_ints(sizes, "size"))


def _device(*args: Any) -> device:
    if not args or type(args[0]) is not str or any(type(n) is not int for n in args[1:]):
        refuse("a device is no name and number")
    return device(*args)


def _bytes(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1", "utf-8"):
        refuse("bytes are not written as text")
    return text.encode(encoding)


def _plain(kind: Any, of: type | tuple[type, ...], what: str) -> Callable:
    """How a built-in type is called: with arguments of these types only."""

    def call(*args: Any) -> Any:
        if not all(isinstance(a, of) for a in args):
            refuse(f"{what} is made of something else")
        return kind(*args)

    return call


def _ordered(pairs: Any = ()) -> OrderedDict:
    return OrderedDict((check_key(key), value) for key, value in pairs)


def _counter(counts: Any = ()) -> Counter:
    return Counter({check_key(key): value for key, value in dict(counts).items()})


@_called("torch.serialization._get_layout")
def _layout(name: Any) -> layouts.layout:
    found = SAFE.get(name) if type(name) is str else None
    if not isinstance(found, layouts.layout):
        refuse(f"{name!r} is no layout")
    return found


for _d in dtypes.ALL:
    _known(f"torch.{_d.name}", _d)
for _name, _type in STORAGE_TYPES.items():
    _known(f"torch.{_name}", _type)
    SAFE[f"torch.cuda.{_name}"] = _type
for _each in vars(layouts).values():
    if isinstance(_each, (layouts.layout, layouts.memory_format)):
        _known(repr(_each), _each)
_known("torch.storage.UntypedStorage", UntypedStorage)
_known("torch.storage.TypedStorage", TypedStorage)
_known("torch.Tensor", Tensor)
_known("torch.nn.parameter.Parameter", Parameter)
_known("torch.Size", Size, _size)
_known("torch.device", device, _device)
_known("collections.OrderedDict", collections.OrderedDict, _ordered)
_known("collections.Counter", collections.Counter, _counter)
_known("builtins.set", builtins.set, lambda items=(): set(check_keys(items)))
_known("builtins.frozenset", builtins.frozenset, lambda items=(): frozenset(check_keys(items)))
_known("builtins.complex", builtins.complex, _plain(complex, (int, float), "a complex number"))
_known("builtins.bytearray", builtins.bytearray, _plain(bytearray, bytes, "an array of bytes"))
_known("_codecs.encode", _bytes, _bytes)


def named_tuple(name: str) -> Any:
    """The class `torch.return_types.name`, or None; calling it takes the items and a state."""
    found = CLASSES.get(name)
    if found is not None and found not in CALLS:
        CALLS[found] = lambda items, state=None: found(items)
    return found
