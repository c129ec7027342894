"""Views of all elements: the same storage in other shapes and dtypes; copies in a given layout.

Room: ops. Each view says how its window lies and how the gradient of the window becomes that of
what it was cut from. Views of some elements are in `part.py`, views with turned axes in `axes.py`.
"""

from __future__ import annotations

import operator
from typing import Any

from bital.base import dtype as dtypes
from bital.base.dtype import dtype
from bital.base.layout import channels_last, channels_last_3d, preserve_format
from bital.base.size import (
    broadcast_shapes,
    expand_shape,
    infer_size,
    normalize_dim,
    public_broadcast_shapes,
)
from bital.base.stride import (
    channels_last_3d_strides,
    channels_last_strides,
    expand_strides,
    is_channels_last,
    is_channels_last_3d,
    reshape_strides,
)
from bital.ir.batch import again
from bital.ir.meta import Meta, meta_of
from bital.ir.op import Op
from bital.ops.api import check_tensor, method, public, type_error
from bital.ops.window import attach, bare_view, laid_out, packed
from bital.tensor.dispatch import apply
from bital.tensor.tensor import Tensor, make_view, strides_of
from bital.tensor.tensor import contiguous as lies_plain

Ints = tuple[int, ...]


def sizes(args: tuple) -> Ints:
    """The size given as separate ints or as one sequence: `f(2, 3)` or `f((2, 3))`."""
    if len(args) == 1 and type(args[0]) is not int and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    for n in args:
        if type(n) is not int:
            return tuple([operator.index(n) for n in args])
    return args


def ints(fn: str, argument: str, position: int, args: tuple) -> Ints:
    """`sizes`, with PyTorch's TypeError for what is no int."""
    try:
        return sizes(args)
    except TypeError:
        wrong = args[0] if len(args) == 1 else args
        raise type_error(fn, argument, position, wrong, "tuple of ints") from None


def _no_such_view(args: tuple) -> TypeError:
    got = ", ".join(type(a).__name__ for a in args)
    return TypeError(
        f"view() received an invalid combination of arguments - got ({got}), but expected one of:\n"
        " * (torch.dtype dtype)\n * (tuple of ints size)"
    )


@public("Tensor")
def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same elements in another shape, or their bytes as another dtype, without a copy.

    RuntimeError where the shape does not fit the elements or their strides.
    """
    if size is not None or dtype is not None:
        shape = (size if dtype is None else dtype,)
    if not shape or len(shape) == 1 and not isinstance(shape[0], (int, tuple, list)):
        if shape and isinstance(shape[0], dtypes.dtype):
            return view_dtype(self, shape[0])
        if not shape or not hasattr(shape[0], "__index__"):
            raise _no_such_view(shape)
    try:
        new = sizes(shape)
    except TypeError:
        raise _no_such_view(shape) from None
    new, strides = _laid(self, new)
    old = self._meta.shape
    if strides is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return make_view(
        self, new, strides, self.storage_offset(), "ViewBackward0", lambda g: reshape(g, old)
    )


#: (meta, strides, wanted shape) -> (shape without -1, strides of the view or None)
_layouts: dict[tuple, tuple[Ints, Ints | None]] = {}


def _laid(t: Tensor, wanted: Ints) -> tuple[Ints, Ints | None]:
    """The shape that `wanted` means for t, and the strides that show it without a copy, if any."""
    key = (t._meta, strides_of(t), wanted)
    found = _layouts.get(key)
    if found is None:
        if len(_layouts) > 4096:
            _layouts.clear()
        new = infer_size(wanted, t._meta.numel)
        found = _layouts[key] = new, reshape_strides(t._meta.shape, strides_of(t), new)
    return found


def view_dtype(t: Tensor, d: dtype) -> Tensor:
    """The bytes of t as another dtype; the last axis shrinks or grows where the sizes differ.

    As in PyTorch no gradient flows through it.
    """
    old = t._meta.dtype
    shape: tuple[int, ...] = t._meta.shape
    strides, offset = strides_of(t), t.storage_offset()
    what = f"to view {old.legacy_name} as {d.legacy_name} (different element sizes)"
    if old.itemsize != d.itemsize and not shape:
        raise RuntimeError(f"self.dim() cannot be 0 {what}")
    if old.itemsize != d.itemsize and strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {what}, but got {strides[-1]}")
    if old.itemsize > d.itemsize:
        k = old.itemsize // d.itemsize
        shape, offset = (*shape[:-1], shape[-1] * k), offset * k
        strides = (*[s * k for s in strides[:-1]], 1)
    elif old.itemsize < d.itemsize:
        k = d.itemsize // old.itemsize
        for name, value in (("size(-1)", shape[-1]), ("storage_offset()", offset)):
            if value % k:
                raise RuntimeError(f"self.{name} must be divisible by {k} {what}, but got {value}")
        for dim, s in enumerate(strides[:-1]):
            if s % k:
                raise RuntimeError(
                    f"self.stride({dim}) must be divisible by {k} {what}, but got {s}"
                )
        shape, offset = (*shape[:-1], shape[-1] // k), offset // k
        strides = (*[s // k for s in strides[:-1]], 1)
    out = bare_view(t, meta_of(shape, d, t._meta.device), strides, offset)
    out._view.base = None  # type: ignore[union-attr]
    return out


def _reshaped_rule(x: Meta, shape: Ints) -> tuple[Meta, dict]:
    return meta_of(shape, x.dtype, x.device), {"shape": shape}


#: a copy in plain order under another shape: what `reshape` does where no view will do
_RESHAPED = Op(
    "reshape",
    _reshaped_rule,
    lambda xp, x, shape: xp.array(x, order="C", copy=True).reshape(shape),
    vjp=(lambda g, x_shape: reshape(g, x_shape),),
    grad_fn="UnsafeViewBackward0",
    batch=again(sizes=(0,)),
)


@public()
def reshape(input: Tensor, *args: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape; a view where that is possible."""
    if shape is None and not args:
        raise TypeError('reshape() missing 1 required positional arguments: "shape"')
    try:
        wanted = sizes(args if shape is None else (shape,))
    except TypeError:
        if len(args) > 1:
            raise TypeError(
                f"reshape() takes 1 positional argument but {len(args)} were given"
            ) from None
        raise type_error("reshape", "shape", 1, args[0], "tuple of ints") from None
    new, strides = _laid(input, wanted)
    old = input._meta.shape
    if strides is None:
        return apply(_RESHAPED, (input,), (new,))
    name = "ViewBackward0" if lies_plain(input) else "ReshapeAliasBackward0"
    return make_view(input, new, strides, input.storage_offset(), name, lambda g: reshape(g, old))


@method
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view(other.size())`."""
    return view(self, check_tensor(other, "view_as", "other")._meta.shape)


@method
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape(other.size())`."""
    return reshape(self, check_tensor(other, "reshape_as", "other")._meta.shape)


@public()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from start_dim to end_dim as one; a tensor without axes becomes a vector."""
    shape = input._meta.shape
    if not shape:
        return reshape(input, 1)
    first, last = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last:
        return input
    count = 1
    for n in shape[first : last + 1]:
        count *= n
    return reshape(input, (*shape[:first], count, *shape[last + 1 :]))


@public()
def ravel(input: Tensor) -> Tensor:
    """All elements as a vector; a view where that is possible."""
    return view(contiguous(input), -1)


@public()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Axis `dim` as several axes of `sizes`, one of which may be -1."""
    shape = input._meta.shape
    dim = normalize_dim(dim, len(shape))
    new = ints("unflatten", "sizes", 2, (sizes,))
    if not new:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        inner = infer_size(new, shape[dim])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(new)} don't multiply up to the size of dim {dim} "
            f"({shape[dim]}) in the input tensor"
        ) from None
    return view(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


@method
def expand(self: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Axes of size 1, and new leading ones, repeated without a copy; -1 keeps an axis."""
    old = self._meta.shape
    wanted = ints("expand", "size", 1, sizes if size is None else (size,))
    if len(wanted) < len(old):
        raise RuntimeError(
            f"expand(torch.{self._meta.dtype.legacy_name}Tensor{{{list(old)}}}, size="
            f"{list(wanted)}): the number of sizes provided ({len(wanted)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(old)})"
        )
    new = expand_shape(old, wanted)
    strides = expand_strides(old, strides_of(self), new)
    return make_view(
        self, new, strides, self.storage_offset(), "ExpandBackward0", lambda g: g.sum_to_size(old)
    )


@method
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand(other.size())`."""
    return expand(self, check_tensor(other, "expand_as", "other")._meta.shape)


@public()
def broadcast_to(input: Tensor, *args: Any, size: Any = None) -> Tensor:
    """`input.expand(size)`."""
    return expand(input, ints("broadcast_to", "size", 2, args if size is None else (size,)))


def tensors_of(args: tuple) -> tuple:
    """The tensors given as separate arguments or as one sequence."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


public(method=False, name="broadcast_shapes")(public_broadcast_shapes)


@public(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    each = tensors_of(tensors)
    shape = broadcast_shapes(*[t._meta.shape for t in each])
    return tuple([t if t._meta.shape == shape else expand(t, shape) for t in each])


def _atleast(name: str, ndim: int, positions: tuple[Ints, ...], doc: str) -> None:
    def one(t: Tensor) -> Tensor:
        if t._meta.ndim >= ndim:
            return t
        if not t._meta.ndim:
            return reshape(t, (1,) * ndim)
        for dim in positions[t._meta.ndim]:
            t = t.unsqueeze(dim)
        return t

    def atleast(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return one(tensors[0])
        return tuple([one(t) for t in tensors_of(tensors)])

    atleast.__doc__ = doc
    public(name=name, method=False)(atleast)


_atleast("atleast_1d", 1, (), "Each tensor with one axis at least.")
_atleast("atleast_2d", 2, ((), (0,)), "Each tensor with two axes at least, new ones in front.")
_atleast("atleast_3d", 3, ((), (0, 2), (2,)), "Each tensor with three axes at least.")


@public()
def real(input: Tensor) -> Tensor:
    """The real parts, as a view; a real tensor is its own."""
    if not input._meta.dtype.is_complex:
        return input
    return _half(input.conj() if input._storage.mirrored else input, 0)


@public()
def imag(input: Tensor) -> Tensor:
    """The imaginary parts, as a view; RuntimeError for a real tensor."""
    if not input._meta.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _half(input, 1)


def _half(t: Tensor, which: int) -> Tensor:
    meta = meta_of(t._meta.shape, t._meta.dtype.to_real(), t._meta.device)
    strides = tuple([2 * s for s in strides_of(t)])
    out = bare_view(t, meta, strides, 2 * t.storage_offset() + which)
    return attach(out, t, "SelectBackward0", lambda g: g * 1j if which else g)


def _assign_half(fn: Any) -> Any:
    return lambda self, value: fn(self).copy_(value)


Tensor.real = property(real, _assign_half(real))  # type: ignore[attr-defined]
Tensor.imag = property(imag, _assign_half(imag))  # type: ignore[attr-defined]


@public()
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as a real one with a last axis of two: real and imaginary part."""
    d = input._meta.dtype
    if not d.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    if input._storage.mirrored:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    meta = meta_of((*input._meta.shape, 2), d.to_real(), input._meta.device)
    strides = (*[2 * s for s in strides_of(input)], 1)
    out = bare_view(input, meta, strides, 2 * input.storage_offset())
    return attach(out, input, "ViewAsRealBackward0", lambda g: view_as_complex(_pairs(g)))


def _pairs(g: Tensor) -> Tensor:
    strides = strides_of(g)
    odd = g.storage_offset() % 2 or strides[-1] != 1 or any(s % 2 for s in strides[:-1])
    return packed(g) if odd else g


@public()
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last axis has two elements, seen as complex numbers."""
    d = input._meta.dtype
    if d not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {d.legacy_name}"
        )
    shape, strides, offset = input._meta.shape, strides_of(input), input.storage_offset()
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s in strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    meta = meta_of(shape[:-1], d.to_complex(), input._meta.device)
    out = bare_view(input, meta, tuple([s // 2 for s in strides[:-1]]), offset // 2)
    return attach(out, input, "ViewAsComplexBackward0", lambda g: view_as_real(g.resolve_conj()))


def format_strides(shape: Ints, memory_format: Any) -> Ints | None:
    """The strides of a memory format; None for plain order."""
    if memory_format is channels_last:
        return channels_last_strides(shape)
    return channels_last_3d_strides(shape) if memory_format is channels_last_3d else None


@method
def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie in the order of `memory_format` (plain by default) without gaps."""
    if memory_format is channels_last:
        return is_channels_last(self._meta.shape, strides_of(self))
    if memory_format is channels_last_3d:
        return is_channels_last_3d(self._meta.shape, strides_of(self))
    return lies_plain(self)


@method
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if it lies in the order of `memory_format`, else a copy that does."""
    if memory_format is preserve_format:
        return self
    strides = format_strides(self._meta.shape, memory_format)
    if is_contiguous(self, memory_format):
        return self
    return packed(self) if strides is None else laid_out(self, strides)
