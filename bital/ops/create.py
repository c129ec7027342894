"""Creation: constants, ranges, and tensors filled after another's likeness.

Room: ops. A tensor of one number takes no memory until something needs it.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.device import usable
from bital.base.dtype import default, dtype, of_python
from bital.base.errors import Unsupported
from bital.base.stride import preserved_strides
from bital.ir.meta import Meta, meta_of
from bital.ir.trace import Value, given, local
from bital.ops.api import method, public, type_error
from bital.ops.overwrite import overwrite
from bital.ops.view import format_strides, sizes
from bital.streams.arithmetic import fma64
from bital.tensor.node import hooks as nodes
from bital.tensor.storage import new_cell, view_at
from bital.tensor.tensor import (
    Tensor,
    from_array,
    strides_of,
    window,
    wrap,
    write,
)

#: (meta, number's type, number) -> value: loops fill with the same few numbers again and again
_constants: dict[tuple, Value] = {}


def constant_value(meta: Meta, number: Any) -> Value:
    """A ready value of one number, without memory of its own."""
    if number.__class__ is int and 0 <= number <= 1:
        return ones_value(meta) if number else zeros_value(meta)
    # by their text, since 0.0 and -0.0 are equal
    key = (meta, number.__class__, repr(number))
    value = _constants.get(key)
    if value is None:
        if len(_constants) >= 256:
            _constants.clear()
        value = _constants[key] = _repeated(meta, number)
    return value


def _repeated(meta: Meta, number: Any) -> Value:
    shape = (*meta.device.sizes, *meta.shape)
    one = np.asarray(number).astype(meta.np)
    one.flags.writeable = False
    # np.broadcast_to, at a twentieth of its cost
    return given(meta, np.ndarray(shape, meta.np, one, 0, (0,) * len(shape)))


def zeros_value(meta: Meta) -> Value:
    """The value of zeros like `meta`."""
    if meta.zeros is None:
        meta.zeros = _repeated(meta, 0)
    return meta.zeros


def ones_value(meta: Meta) -> Value:
    """The value of ones like `meta`."""
    if meta.ones is None:
        meta.ones = _repeated(meta, 1)
    return meta.ones


def is_constant(value: Value) -> bool:
    """Whether the value is one of those that are kept for reuse."""
    meta = value.meta
    return any(value is each for each in (meta.zeros, meta.ones, *_constants.values()))


def constant(meta: Meta, number: Any) -> Tensor:
    """A tensor of one number."""
    return wrap(constant_value(meta, number), meta)


def ones_of(meta: Meta) -> Tensor:
    """Ones like `meta`."""
    return wrap(meta.ones or ones_value(meta), meta)


nodes.zeros = lambda meta: wrap(zeros_value(meta), meta)


def checked_sizes(fn: str, args: tuple, size: Any = None) -> tuple[int, ...]:
    """The size given as ints, as a sequence or by name, with PyTorch's errors."""
    if size is not None:
        args = (size,)
    elif not args:
        raise TypeError(f'{fn}() missing 1 required positional arguments: "size"')
    if isinstance(args[0], bool):
        raise type_error(fn, "size", 1, args[0], "tuple of ints")
    try:
        shape = sizes(args)
    except TypeError:
        raise _no_size(fn, args) from None
    for n in shape:
        if n < 0:
            if fn == "zeros":
                raise RuntimeError("zeros: Dimension size must be non-negative.")
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(shape)}"
            )
    return shape


def _no_size(fn: str, args: tuple) -> TypeError:
    given = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
    at = next((k for k, n in enumerate(given) if not isinstance(n, int)), 0)
    if at == 0 and given is args:
        return type_error(fn, "size", 1, args[0], "tuple of ints")
    return TypeError(
        f"{fn}(): argument 'size' failed to unpack the object at pos {at + 1} with error \"type "
        f'must be tuple of ints,but got {type(given[at]).__name__}"'
    )


def _finish(out: Tensor, requires_grad: bool) -> Tensor:
    if requires_grad:
        out.requires_grad = True
    return out


def options(
    d: dtype | None, layout: Any, device: Any, fallback: dtype | None = None, fn: str = "tensor"
) -> tuple[dtype, Any]:
    """The dtype and device of a tensor to be made; layouts but strided are refused."""
    if d is not None and d.__class__ is not dtype:
        d = dtypes.check_known(d, fn)
    if layout is not None and repr(layout) != "torch.strided":
        raise Unsupported(f"bital has no {layout} tensors, only torch.strided ones")
    return d or fallback or default.dtype, usable(device)


def _filled(fn: str, number: Any) -> Any:
    def make(
        *args: Any,
        size: Any = None,
        out: Tensor | None = None,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        d, where = options(dtype, layout, device, fn=fn)
        meta = meta_of(checked_sizes(fn, args, size), d, where)
        if out is not None:
            if out._meta.shape != meta.shape:
                out.resize_(meta.shape)
            return out.fill_(number)
        made = constant(meta, number)
        if memory_format is not None:
            made = in_format(made, memory_format)
        return _finish(made, requires_grad)

    make.__doc__ = f"A tensor of the given size filled with {number} (`torch.{fn}`)."
    make.__name__ = fn
    return make


zeros = public(method=False)(_filled("zeros", 0))
ones = public(method=False)(_filled("ones", 1))
#: uninitialised memory holds zeros here: what it holds is unspecified in PyTorch
empty = public(method=False)(_filled("empty", 0))


@public(method=False)
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the given size filled with a number, whose kind decides the dtype."""
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    if not isinstance(fill_value, (int, float, complex, np.generic)):
        raise type_error("full", "fill_value", 2, fill_value, "Number")
    if isinstance(size, int):
        raise type_error("full", "size", 1, size, "tuple of ints")
    d, where = options(dtype, layout, device, of_python(fill_value), "full")
    check_representable(fill_value, d)
    meta = meta_of(checked_sizes("full", (size,)), d, where)
    made = _finish(constant(meta, fill_value), requires_grad)
    if out is None:
        return made
    out.resize_(meta.shape)
    return out.copy_(made)


def check_representable(number: Any, d: dtype) -> None:
    """PyTorch's error for a number outside the range of an integer type."""
    if d.category == dtypes.INT and isinstance(number, (int, float)) and math.isfinite(number):
        info = np.iinfo(d.np)
        low = -int(info.max) - 1 if d.is_signed else -int(info.max)
        if not low <= int(number) <= info.max:
            word = {"int64": "int64_t", "int32": "int"}.get(d.name, f"{d.name}_t")
            raise RuntimeError(f"value cannot be converted to type {word} without overflow")


def _like_meta(t: Tensor, d: dtype | None, device: Any, layout: Any) -> Meta:
    kind, where = options(d, layout, device or t._meta.device, t._meta.dtype)
    return meta_of(t._meta.shape, kind, where)


def in_format(made: Tensor, memory_format: Any) -> Tensor:
    """A contiguous tensor of one number as one with the strides of a memory format."""
    strides = format_strides(made._meta.shape, memory_format)
    if strides is None or tuple(strides) == made._meta.strides:
        return made
    return window(new_cell(made._storage.value), made._meta, view_at(0, tuple(strides)))


def in_layout_of(t: Tensor, made: Tensor, memory_format: Any) -> Tensor:
    """`made` (contiguous, of t's shape) as a tensor whose strides are those t's copy would have."""
    keep = memory_format is None or repr(memory_format) == "torch.preserve_format"
    if not keep:
        return in_format(made, memory_format)
    if t._view is None:
        return made
    strides = preserved_strides(t._meta.shape, strides_of(t))
    if tuple(strides) == made._meta.strides:
        return made
    return window(new_cell(made._storage.value), made._meta, view_at(0, tuple(strides)))


def _like(fn: str, number: Any) -> Any:
    def make(
        input: Tensor,
        *,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise type_error(fn, "input", 1, input)
        made = constant(_like_meta(input, dtype, device, layout), number)
        return _finish(in_layout_of(input, made, memory_format), requires_grad)

    make.__doc__ = f"A tensor like `input` filled with {number} (`torch.{fn}`)."
    make.__name__ = fn
    return make


zeros_like = public(method=False)(_like("zeros_like", 0))
ones_like = public(method=False)(_like("ones_like", 1))
empty_like = public(method=False)(_like("empty_like", 0))


@public(method=False)
def full_like(input: Tensor, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor like `input` filled with a number."""
    made = _like("full_like", fill_value)(input, **kwargs)
    check_representable(fill_value, made._meta.dtype)
    return made


def _new(fn: str, number: Any) -> Any:
    def make(
        self: Tensor,
        *args: Any,
        size: Any = None,
        dtype: dtype | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        kind, where = options(dtype, layout, device or self._meta.device, self._meta.dtype, fn)
        meta = meta_of(checked_sizes(fn, args, size), kind, where)
        return _finish(constant(meta, number), requires_grad)

    make.__doc__ = f"A tensor of this one's dtype filled with {number}."
    make.__name__ = fn
    return make


Tensor.new_zeros = _new("new_zeros", 0)  # type: ignore[attr-defined]
Tensor.new_ones = _new("new_ones", 1)  # type: ignore[attr-defined]
Tensor.new_empty = _new("new_empty", 0)  # type: ignore[attr-defined]


@method
def new_full(self: Tensor, size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor of this one's dtype filled with a number."""
    return _new("new_full", fill_value)(self, size, **kwargs)


@public(method=False)
def empty_strided(size: Any, stride: Any, **kwargs: Any) -> Tensor:
    """A tensor of zeros with given strides."""
    d, where = options(kwargs.get("dtype"), kwargs.get("layout"), kwargs.get("device"))
    shape, strides = tuple(size), tuple(stride)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides "
            f"({len(strides)})"
        )
    if any(s < 0 for s in strides):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and "
            f"strides={list(strides)}"
        )
    last = sum((n - 1) * s for n, s in zip(shape, strides)) + 1 if 0 not in shape else 0
    out = window(
        new_cell(constant_value(meta_of((last,), d, where), 0)),
        meta_of(shape, d, where),
        view_at(0, strides),
    )
    return _finish(out, kwargs.get("requires_grad", False))


@method
def new_empty_strided(self: Tensor, size: Any, stride: Any, **kwargs: Any) -> Tensor:
    """A tensor of zeros with given strides, of this one's dtype."""
    kwargs["dtype"] = kwargs.get("dtype") or self._meta.dtype
    kwargs["device"] = kwargs.get("device") or self._meta.device
    return empty_strided(size, stride, **kwargs)


@public(method=False)
def empty_permuted(size: Any, physical_layout: Any, **kwargs: Any) -> Tensor:
    """Zeros whose axes lie in memory in the order `physical_layout`, outermost first."""
    order = list(physical_layout)
    if sorted(order) != list(range(len(order))) or len(order) != len(size):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(size)} is not equal to len(physical_layout) = {len(order)}"
        )
    made = empty([size[k] for k in order], **kwargs)
    return made.permute([order.index(k) for k in range(len(order))])


def number_of(value: Any) -> Any:
    """A Python number of a number or a one-element tensor."""
    return value.item() if isinstance(value, Tensor) else value


@public(method=False)
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """`start`, `start + step`, … below `end`: int64 for integers, else the default float."""
    if end is None:
        start, end = 0, start
    elif start is None:
        start = 0
    if end is None:
        raise TypeError(
            "arange() received an invalid combination of arguments - got (), but expected one of: "
            "(Number end), (Number start, Number end), (Number start, Number end, Number step)"
        )
    start, end, step = number_of(start), number_of(end), number_of(step)
    for n, name in ((start, "start"), (end, "end"), (step, "step")):
        if not isinstance(n, (int, float, np.generic)):
            raise type_error("arange", name, 1, n, "Number")
    if not all(math.isfinite(n) for n in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    if out is not None and dtype is None:
        dtype = out._meta.dtype
    d, _ = options(dtype, layout, device, dtypes.int64 if whole else default.dtype, "arange")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if d is dtypes.int64 and not whole:
        start, end, step, whole = int(start), int(end), int(step), True
        if step == 0:
            raise ValueError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if whole:
        count = max(0, -(-(end - start) // step))
    else:
        count = max(0, math.ceil((end - start) / step))
    steps = np.arange(count, dtype=np.int64 if d.category <= dtypes.INT else np.float64)
    if d.category <= dtypes.INT:
        array = (int(start) + steps * int(step)).astype(d.np)
    else:
        array = (start + steps * step).astype(d.np)
    return _given(array, d, out, requires_grad)


@public(method=False)
def range_(start: Any = 0, end: Any = None, step: Any = 1, **kwargs: Any) -> Tensor:
    """`start`, `start + step`, … up to and including `end`: floats unless a dtype is given."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        raise TypeError('range() missing 1 required positional arguments: "end"')
    start, end, step = (float(number_of(n)) for n in (start, end, step))
    if not step:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    count = math.floor((end - start) / step) + 1
    made = arange(count, dtype=dtypes.float64) * step + start
    return made.to(kwargs.pop("dtype", None) or default.dtype).requires_grad_(
        kwargs.get("requires_grad", False)
    )


def _given(array: np.ndarray, d: dtype, out: Tensor | None, requires_grad: bool) -> Tensor:
    made = from_array(array, d)
    if out is not None:
        out.resize_(made._meta.shape)
        return out.copy_(made)
    return _finish(made, requires_grad)


def _spaced(start: float, end: float, steps: int, d: dtype) -> np.ndarray:
    """Evenly spaced numbers, the second half counted from the end as PyTorch does."""
    if steps < 2:
        return np.full(steps, start).astype(d.np)
    if d in dtypes.LOW_PRECISION:  # every operation is rounded
        start, end = d.np.type(start), d.np.type(end)
        step = d.np.type((end - start) / d.np.type(steps - 1))
        k = np.arange(steps).astype(d.np)
        low = start + (step * k).astype(d.np)
        high = end - (step * (steps - 1 - np.arange(steps)).astype(d.np)).astype(d.np)
        return np.where(np.arange(steps) < steps // 2, low, high).astype(d.np)
    k = np.arange(steps)
    if d.is_complex:
        step = (d.np.type(end) - d.np.type(start)) / d.np.type(steps - 1)
        return np.where(k < steps // 2, start + step * k, end - step * (steps - 1 - k)).astype(d.np)
    whole = d.category <= dtypes.INT
    if whole:
        start, end = int(start), int(end)
    if d is dtypes.float32:  # fused operations round once
        first, last = np.float32(start), np.float32(end)
        small = np.float64((last - first) / np.float32(steps - 1))
        low = (first + small * k).astype(np.float32)
        high = (last - small * (steps - 1 - k)).astype(np.float32)
    else:
        step = (float(end) - float(start)) / (steps - 1)
        low = fma64(k.astype(np.float64), step, float(start))
        high = fma64((steps - 1 - k).astype(np.float64), -step, float(end))
    array = np.where(k < steps // 2, low, high)
    return (np.trunc(array) if whole else array).astype(d.np)


def _check_steps(fn: str, steps: Any) -> None:
    if not hasattr(steps, "__index__"):
        raise type_error(fn, "steps", 3, steps, "int")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")


@public(method=False)
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    start, end = number_of(start), number_of(end)
    either = isinstance(start, complex) or isinstance(end, complex)
    d, _ = options(dtype, layout, device, default.dtype.to_complex() if either else None)
    _check_steps("linspace", steps)
    return _given(_spaced(start, end, steps, d), d, out, requires_grad)


@public(method=False)
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`base` to the powers of evenly spaced numbers from `start` to `end`."""
    d, _ = options(dtype, layout, device, fn="logspace")
    _check_steps("logspace", steps)
    first, last = number_of(start), number_of(end)
    if d.category <= dtypes.INT:
        first, last = int(first), int(last)
    exact = dtypes.float64 if d not in dtypes.LOW_PRECISION else d  # whose powers are rounded
    powers = _spaced(first, last, steps, exact).astype(np.float64)
    return _given(np.power(float(base), powers).astype(d.np), d, out, requires_grad)


@public(method=False)
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The n x m matrix with ones on the diagonal."""
    d, _ = options(dtype, layout, device, fn="eye")
    for value, name in ((n, "n"), (m, "m")):
        if value is not None and not hasattr(value, "__index__"):
            raise type_error("eye", name, 1 + (name == "m"), value, "int")
        if value is not None and value < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    return _given(np.eye(n, n if m is None else m).astype(d.np), d, out, requires_grad)


def _number(t: Tensor, number: Any) -> Tensor:
    """A 0-d tensor of one number in t's dtype."""
    return constant(meta_of((), t._meta.dtype, t._meta.device), number)


@public(name="fill_")
def fill_(self: Tensor, value: Any) -> Tensor:
    """Fill with one number, in place."""
    if isinstance(value, Tensor):
        if value._meta.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value._meta.ndim} dimensions."
            )
        return overwrite(self, value, "FillBackward3")
    check_representable(value, self._meta.dtype)
    trace = local.trace
    if trace.grad and (self._edge is not None or self._view is not None):
        return overwrite(self, _number(self, value), "FillBackward2")
    write(self, constant_value(self._meta, value), trace)
    return self


@public(name="zero_")
def zero_(self: Tensor) -> Tensor:
    """Fill with zeros, in place."""
    trace = local.trace
    if trace.grad and (self._edge is not None or self._view is not None):
        return overwrite(self, _number(self, 0), "ZeroBackward0")
    write(self, self._meta.zeros or zeros_value(self._meta), trace)
    return self


def _check_triangle(row: int, col: int) -> None:
    for value, name in ((row, "row"), (col, "col")):
        if value < 0:
            raise RuntimeError(f"{name} must be non-negative, got{value}")


@public(method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: dtype = dtypes.int64,
                 device: Any = None, layout: Any = None) -> Tensor:  # fmt: skip
    """The (2, N) indices of the lower triangle of a row x col matrix."""
    _check_triangle(row, col)
    return from_array(np.stack(np.tril_indices(row, offset, col)).astype(dtype.np))


@public(method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: dtype = dtypes.int64,
                 device: Any = None, layout: Any = None) -> Tensor:  # fmt: skip
    """The (2, N) indices of the upper triangle of a row x col matrix."""
    _check_triangle(row, col)
    return from_array(np.stack(np.triu_indices(row, offset, col)).astype(dtype.np))
