"""The sizes of pooling: from a user's numbers to windows along axes, with PyTorch's errors.

Room: ops.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bital.ir.meta import Meta
from bital.ops.api import type_error
from bital.ops.pooling import Windows, adaptive

Axes = tuple[Windows, ...]
_WORDS = {1: "one int", 2: "two ints", 3: "three ints"}


class Numbers(NamedTuple):
    """How windows were asked for: ints, or tuples of ints; no stride means the kernel's size."""

    kernel: Any
    stride: Any = ()
    padding: Any = 0
    dilation: Any = 1
    ceil: bool = False


def _ints(value: Any, fn: str, name: str, position: int) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, (tuple, list)) and all(hasattr(n, "__index__") for n in value):
        return tuple([n.__index__() for n in value])
    if hasattr(value, "__index__"):
        return value.__index__()
    raise type_error(fn, name, position, value, "tuple of ints")


def numbers_of(
    fn: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False
) -> Numbers:
    """The user's numbers in a form that can be an operator's attribute."""
    return Numbers(
        _ints(kernel, fn, "kernel_size", 2),
        () if stride is None else _ints(stride, fn, "stride", 3),
        _ints(padding, fn, "padding", 4),
        _ints(dilation, fn, "dilation", 5),
        bool(ceil),
    )


def _each(value: Any, n: int, fn: str, name: str) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * n
    if len(value) == 1:
        return value * n
    if len(value) != n:
        raise RuntimeError(
            f"{fn}: {name} must either be a single int, or a tuple of {_WORDS[n]}, but got "
            f"{len(value)}"
        )
    return value


def check_rank(x: Meta, n: int, fn: str) -> None:
    """PyTorch's error unless x is (C, *) or (N, C, *) with n axes at the end, none but N empty."""
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{fn}: non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input, but got "
            f"{list(x.shape)}"
        )
    if not all(x.shape[1 if x.ndim == n + 2 else 0 :]):
        raise RuntimeError(
            f"{fn}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch "
            f"size for input, but got:{list(x.shape)}"
        )


def _windows(size: int, k: int, s: int, p: int, d: int, ceil: bool) -> Windows:
    reach = size + 2 * p - d * (k - 1) - 1
    out = (reach + (s - 1 if ceil else 0)) // s + 1
    if ceil and (out - 1) * s >= size + p:  # the last window would begin behind the input
        out -= 1
    return Windows(size, out, k, s, p, d)


def plain_windows(x: Meta, n: int, numbers: Numbers, fn: str) -> Axes:
    """The windows of pooling over the last n axes of x, after PyTorch's checks."""
    kernel = _each(numbers.kernel, n, fn, "kernel_size")
    stride = kernel if numbers.stride == () else _each(numbers.stride, n, fn, "stride")
    padding = _each(numbers.padding, n, fn, "padding")
    dilation = _each(numbers.dilation, n, fn, "dilation")
    check_rank(x, n, fn)
    if 0 in stride:
        raise RuntimeError(f"{fn}: stride should not be zero")
    for name, given in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(given) <= 0:
            raise RuntimeError(f"{fn}: {name} should be greater than zero, but got {list(given)}")
    for k, p, d in zip(kernel, padding, dilation):
        if p < 0:
            raise RuntimeError(f"{fn}: pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise RuntimeError(
                f"{fn}: pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k} and dilation={d}"
            )
    sizes = x.shape[-n:]
    axes = tuple(
        [_windows(*each, numbers.ceil) for each in zip(sizes, kernel, stride, padding, dilation)]
    )
    if min(w.out for w in axes) < 1:
        before, after = ("x".join(map(str, s)) for s in (sizes, [w.out for w in axes]))
        c = x.shape[-n - 1]
        raise RuntimeError(
            f"{fn}: Given input size: ({c}x{before}). Calculated output size: ({c}x{after}). "
            "Output size is too small"
        )
    return axes


def output_size_of(value: Any, n: int, fn: str) -> Any:
    """The output size of adaptive pooling as an attribute: an int, or n ints or Nones."""
    if isinstance(value, (tuple, list)):
        if all(v is None or hasattr(v, "__index__") for v in value):
            return tuple([None if v is None else v.__index__() for v in value])
    elif hasattr(value, "__index__"):
        return value.__index__()
    raise type_error(fn, "output_size", 2, value, "tuple of ints")


def adaptive_windows(x: Meta, n: int, size: Any, fn: str) -> Axes:
    """The windows of adaptive pooling of the last n axes to `size`, after PyTorch's checks."""
    if isinstance(size, tuple) and len(size) >= x.ndim:
        raise ValueError(f"Input dimension should be at least {len(size) + 1}")
    sizes = (size,) * n if size is None or isinstance(size, int) else size
    if len(sizes) != n:
        raise RuntimeError(f"{fn}: output_size must be {n}")
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"{fn}(): Expected {n + 1}D or {n + 2}D tensor, but got {list(x.shape)}")
    for k in range(x.ndim - n - (x.ndim == n + 1), x.ndim):
        if not x.shape[k]:
            raise RuntimeError(
                f"{fn}(): Expected input to have non-zero size for non-batch dimensions, but input "
                f"has sizes {list(x.shape)} with dimension {k} being empty"
            )
    wanted = [m if s is None else s for s, m in zip(sizes, x.shape[-n:])]
    if min(wanted) < 0:
        raise RuntimeError(
            f"{fn}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{', '.join(map(str, wanted))}}}"
        )
    return tuple([adaptive(m, s) for m, s in zip(x.shape[-n:], wanted)])


def check_one_axis(x: Meta, fn: str) -> None:
    """PyTorch's error unless x is (C, L) or (N, C, L)."""
    if x.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {x.ndim}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {fn})"
        )


def one_axis(x: Meta, size: Any, fn: str) -> tuple[int, int]:
    """The output size of adaptive pooling of one axis, for two, after PyTorch's checks."""
    sizes = (size,) if isinstance(size, int) else size
    if None in sizes:
        raise TypeError(
            f"{fn}(): argument 'output_size' (position 2) must be tuple of ints, but found element "
            "of type NoneType at pos 0"
        )
    check_one_axis(x, fn)
    if len(sizes) != 1:
        raise RuntimeError(
            f"{fn}() argument 'output_size' should contain one int (got {len(sizes)})"
        )
    return 1, sizes[0]
