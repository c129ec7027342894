"""Casts and copies: `.to`, `.float()`, clone, copy_.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base import dtype as dtypes
from bital.base.device import device, usable
from bital.base.dtype import check_known, dtype
from bital.base.size import broadcast_shapes
from bital.ir.op import Op, same_as
from bital.ops.api import method, public
from bital.ops.overwrite import overwrite
from bital.ops.view import format_strides
from bital.ops.window import laid_out, packed
from bital.tensor.dispatch import apply, cast
from bital.tensor.tensor import Tensor

_CLONE = Op(
    "clone",
    same_as,
    lambda xp, x: xp.array(x, order="C", copy=True),
    vjp=(lambda g: g,),
    elementwise=True,
)


@public()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory, differentiably; strides are kept where they are dense."""
    if memory_format is not None and repr(memory_format) != "torch.preserve_format":
        return in_format(input, memory_format)
    return apply(_CLONE, (input,))


def in_format(t: Tensor, memory_format: Any) -> Tensor:
    """A copy laid out as `memory_format` says."""
    strides = format_strides(t._meta.shape, memory_format)
    return packed(t) if strides is None else laid_out(t, strides)


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src`, broadcast and cast, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    shape = self._meta.shape
    if src._meta.shape != shape:
        both = broadcast_shapes(shape, src._meta.shape)
        if both != shape:
            raise RuntimeError(
                f"output with shape {list(shape)} doesn't match the broadcast shape {list(both)}"
            )
    return overwrite(self, src, "CopyBackwards")


_NAMES = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16, "int": dtypes.int32, "long": dtypes.int64,
    "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_,
    "cfloat": dtypes.complex64, "cdouble": dtypes.complex128,
}  # fmt: skip


def _caster(name: str, target: dtype) -> Any:
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return cast(self, target)

    convert.__name__, convert.__doc__ = name, f"This tensor as {target}; itself where it is."
    return convert


for _name, _target in _NAMES.items():
    setattr(Tensor, _name, _caster(_name, _target))


_CLASS = float.__class__  # `type` is a method here


@method
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor in another dtype, on another device or in another memory format (`Tensor.to`).

    Takes (dtype), (device, dtype) or (other), each with `non_blocking`, `copy`, `memory_format`.
    """
    d, where = kwargs.pop("dtype", None), kwargs.pop("device", None)
    other = kwargs.pop("other", None)
    copy, form = kwargs.pop("copy", False), kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    flags = []
    for a in args:
        if isinstance(a, (dtype, _CLASS)):  # type: ignore[arg-type]
            d = check_known(a, "to")
        elif isinstance(a, Tensor):
            other = a
        elif isinstance(a, (str, device)) or (isinstance(a, int) and not isinstance(a, bool)):
            where = a
        elif isinstance(a, bool):
            flags.append(a)
        elif a is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({', '.join(x.__class__.__name__ for x in args)}), but expected one of: "
                "(torch.device device, torch.dtype dtype), (torch.dtype dtype), (Tensor other)"
            )
    if other is not None:
        d = d or other._meta.dtype
    usable(where)
    copy = copy or (len(flags) > 1 and flags[1])
    out = self if d is None else cast(self, check_known(d, "to"))
    if form is not None and not out.is_contiguous(memory_format=form):
        return in_format(out, form)
    return clone(out) if copy and out is self else out


@method
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor, which is on the CPU."""
    return self


@method
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Refused: bital computes on the CPU."""
    usable("cuda")
    return self


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of `other`."""
    return cast(self, other._meta.dtype)


@method
def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The legacy name of the tensor's type, or the tensor as another dtype."""
    if dtype is None:
        return f"torch.{self._meta.dtype.legacy_name}Tensor"
    dtype = getattr(dtype, "dtype", dtype)  # torch.LongTensor
    if isinstance(dtype, str):
        words = {f"torch.{d.legacy_name}Tensor": d for d in dtypes.ALL}
        if dtype not in words:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = words[dtype]
    return cast(self, dtype)
