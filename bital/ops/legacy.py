"""Tensor's own constructors: torch.Tensor(2, 3), torch.FloatTensor([1, 2]), t.new(3), subclasses.

Room: ops. `torch.FloatTensor` and its like are no classes of tensors but words for a dtype: calling
one makes a Tensor, and `isinstance` asks for the dtype.
"""

from __future__ import annotations

import copy
from typing import Any

from bital.base import dtype as dtypes
from bital.base.dtype import default, dtype
from bital.base.size import Size
from bital.ir.meta import meta_of
from bital.ops.api import NAMESPACES, method
from bital.ops.create import checked_sizes, constant, options
from bital.ops.data import tensor
from bital.tensor.tensor import Tensor, window


def _made(kind: dtype, args: tuple, size: Any = None) -> Tensor:
    """A tensor of a size given as ints or a Size, of data, or of nothing."""
    if size is not None or (args and all(type(a) is int for a in args)):
        return constant(meta_of(checked_sizes("new", args, size), kind), 0)
    if not args:
        return constant(meta_of((0,), kind), 0)
    (data,) = args if len(args) == 1 else (args,)
    if isinstance(data, Size):
        return constant(meta_of(tuple(data), kind), 0)
    if isinstance(data, Tensor):
        if data._meta.dtype is not kind:
            raise TypeError(f"expected a tensor of {kind} (got one of {data._meta.dtype})")
        return data.detach()
    if data is None or isinstance(data, (bool, int, float, complex)):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    return tensor(data, dtype=kind)


def _new(cls: type[Tensor], *args: Any, size: Any = None, device: Any = None) -> Tensor:
    """`torch.Tensor(2, 3)`, `torch.Tensor([1, 2])`: the default dtype, or that of a tensor."""
    options(None, None, device)
    given = args[0]._meta.dtype if len(args) == 1 and isinstance(args[0], Tensor) else None
    made = _made(given or default.dtype, args, size)
    return made if cls is Tensor else window(made._storage, made._meta, made._view, cls)


@method
def new(self: Tensor, *args: Any, size: Any = None, device: Any = None) -> Tensor:
    """A tensor of this one's dtype, made as by the legacy constructors."""
    options(None, None, device)
    return _made(self._meta.dtype, args, size)


def make_subclass(
    cls: type[Tensor], data: Tensor, require_grad: bool = False, **kwargs: Any
) -> Tensor:
    """A tensor of class `cls` on data's storage, a leaf (`torch.Tensor._make_subclass`)."""
    out = window(data._storage, data._meta, data._view and data._view.bare(), cls)
    if require_grad:
        out.requires_grad = True
    return out


@method
def as_subclass(self: Tensor, cls: type[Tensor]) -> Tensor:
    """This tensor as an instance of a subclass, its history kept."""
    out = window(self._storage, self._meta, copy.copy(self._view), cls)
    out._edge = self._edge
    return out


Tensor.__new__ = staticmethod(_new)  # type: ignore[method-assign,assignment]
Tensor._make_subclass = staticmethod(make_subclass)


class TensorType(type):
    """The class of `torch.FloatTensor` and its like."""

    dtype: dtype
    is_cuda = False

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and instance._meta.dtype is cls.dtype

    def __call__(cls, *args: Any, size: Any = None, device: Any = None) -> Tensor:
        if cls.is_cuda:
            raise TypeError(
                f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA "
                "enabled."
            )
        options(None, None, device)
        return _made(cls.dtype, args, size)

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


def _tensor_type(d: dtype, module: str, is_cuda: bool) -> TensorType:
    name = f"{d.legacy_name}Tensor"
    names = {"dtype": d, "is_cuda": is_cuda, "__module__": module,
             "__doc__": f"The word for tensors of {d}."}  # fmt: skip
    return TensorType(name, (), names)


_WORDS = (
    dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16, dtypes.uint8, dtypes.int8,
    dtypes.int16, dtypes.int32, dtypes.int64, dtypes.bool_,
)  # fmt: skip
for _d in _WORDS:
    _name = f"{_d.legacy_name}Tensor"
    NAMESPACES["torch"][_name] = _tensor_type(_d, "torch", False)
    NAMESPACES.setdefault("cuda", {})[_name] = _tensor_type(_d, "torch.cuda", True)
