"""Casts and copies: `.to`, `.float()`, clone, copy_.

Room: ops.
"""

from __future__ import annotations

from typing import Any

from bital.base import dtype as dtypes
from bital.base.device import device, usable
from bital.base.dtype import dtype
from bital.base.size import broadcast_shapes
from bital.ir.meta import meta_of
from bital.ir.op import Op, same_as
from bital.ir.trace import local
from bital.ops.api import method, public
from bital.tensor.dispatch import apply, assign, cast, check_writable
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
    from_ends = {"torch.channels_last": 4, "torch.channels_last_3d": 5}
    ndim = from_ends.get(repr(memory_format))
    if ndim is None:
        return apply(_PLAIN_COPY, (t,))
    if t._meta.ndim != ndim:
        raise RuntimeError(f"required rank {ndim} tensor to use {_short(memory_format)} format")
    to_last = (0, *range(2, ndim), 1)
    back = (0, ndim - 1, *range(1, ndim - 1))
    return apply(_PLAIN_COPY, (t.permute(to_last),)).permute(back)  # type: ignore[attr-defined]


def _short(memory_format: Any) -> str:
    return repr(memory_format).removeprefix("torch.")


_PLAIN_COPY = Op(
    "plain_copy",
    same_as,
    lambda xp, x: xp.array(x, order="C", copy=True),
    vjp=(lambda g: g,),
    grad_fn="CloneBackward0",
)


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src`, broadcast and cast, into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
        )
    trace = local.trace
    shape = self._meta.shape
    if src._meta.shape != shape and broadcast_shapes(src._meta.shape, shape) != shape:
        raise RuntimeError(
            f"The expanded size of the tensor must match the existing size for {list(shape)} and "
            f"{list(src._meta.shape)}"
        )
    if trace.grad:
        check_writable(self)
    made = apply(_COPY, (self, src)) if self is not src else src
    return assign(self, made, trace)


def _copy_rule(self: Any, src: Any) -> tuple:
    return meta_of(self.shape, self.dtype, self.device), {"target": self.np}


def _copy_impl(xp: Any, old: Any, src: Any, *, target: Any) -> Any:
    if src.dtype.kind == "c" and target.kind != "c":
        src = src.real
    out = xp.empty(old.shape, target)
    out[...] = src
    return out


_COPY = Op(
    "copy", _copy_rule, _copy_impl, inputs=("old", "src"), vjp=(None, lambda g: g),
    grad_fn="CopyBackwards",
)  # fmt: skip

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


@method
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor in another dtype, on another device or in another memory format (`Tensor.to`).

    Takes (dtype), (device, dtype) or (other), each with `non_blocking`, `copy`, `memory_format`.
    """
    d, where, other = kwargs.pop("dtype", None), kwargs.pop("device", None), kwargs.pop("other", None)
    copy, form = kwargs.pop("copy", False), kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    flags = []
    for a in args:
        if isinstance(a, dtype):
            d = a
        elif isinstance(a, Tensor):
            other = a
        elif isinstance(a, (str, device)) or (isinstance(a, int) and not isinstance(a, bool)):
            where = a
        elif isinstance(a, bool):
            flags.append(a)
        elif a is not None:
            raise TypeError(
                "to() received an invalid combination of arguments - got "
                f"({', '.join(type(x).__name__ for x in args)}), but expected one of: (torch.device"
                " device, torch.dtype dtype), (torch.dtype dtype), (Tensor other)"
            )
    if other is not None:
        d = d or other._meta.dtype
    usable(where)
    copy = copy or (len(flags) > 1 and flags[1])
    out = self if d is None else cast(self, d)
    if form is not None and not out.is_contiguous(memory_format=form):  # type: ignore[attr-defined]
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
def type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:  # noqa: A001
    """The legacy name of the tensor's type, or the tensor as another dtype."""
    if dtype is None:
        return f"torch.{self._meta.dtype.legacy_name}Tensor"
    if isinstance(dtype, str):
        words = {f"torch.{d.legacy_name}Tensor": d for d in dtypes.ALL}
        if dtype not in words:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = words[dtype]
    return cast(self, dtype)

