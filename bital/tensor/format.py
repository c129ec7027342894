"""The text of a tensor, equal to PyTorch's `repr` to the character.

Works on plain arrays and names, so that it can be used and tested without a tensor. Nothing but
the elements that are shown is ever read, whatever the size of the array.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(slots=True)
class PrintOptions:
    """What `set_printoptions` sets: `sci_mode` None lets the values decide."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


OPTIONS = PrintOptions()

PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """`torch.set_printoptions`: how tensors are shown from now on.

    `profile` ("default", "short" or "full") sets the first four at once; what is given besides
    prevails. Each call sets `sci_mode`, so leaving it out means automatic again, as in PyTorch.

    Args:
        precision: digits after the point (4).
        threshold: tensors of more elements than this are shown in part (1000).
        edgeitems: how many elements are shown at either end of a dimension then (3).
        linewidth: columns per line (80).
    """
    chosen: dict[str, float | None] = dict(PROFILES.get(profile or "", {}))
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    chosen.update({name: value for name, value in given.items() if value is not None})
    for name, value in chosen.items():
        setattr(OPTIONS, name, value)
    OPTIONS.sci_mode = sci_mode


def get_printoptions() -> dict[str, float | bool | None]:
    """The current options, as keyword arguments of `set_printoptions`."""
    return asdict(OPTIONS)


@contextlib.contextmanager
def printoptions(**options: float | bool | str | None) -> Iterator[None]:
    """Sets options as `set_printoptions` does and restores them at the end of the block."""
    saved = get_printoptions()
    set_printoptions(**options)  # type: ignore[arg-type]
    try:
        yield
    finally:
        set_printoptions(**saved)  # type: ignore[arg-type]


def tensor_text(
    data: np.ndarray | None,
    *,
    dtype_name: str,
    default_float_name: str = "float32",
    device_suffix: str | None = None,
    size: Sequence[int] | None = None,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    class_name: str = "tensor",
) -> str:
    """The `repr` of a tensor.

    Args:
        data: the elements, in any layout; None where there are none to show (device "meta").
        dtype_name: PyTorch's name of the dtype, "bfloat16" for one.
        default_float_name: the name of the default dtype, which is not shown.
        device_suffix: the device, where it is to be shown.
        size: the shape, where there is no `data`.
        requires_grad: shown only where there is no `grad_fn_name`.
        grad_fn_name: the name of the class of `grad_fn`.
        class_name: "tensor", or the name of a subclass.

    >>> tensor_text(np.array([[1.5, -2.0]], np.float32), dtype_name="float32")
    'tensor([[ 1.5000, -2.0000]])'
    >>> tensor_text(np.zeros((0, 2)), dtype_name="float64", grad_fn_name="MulBackward0")
    'tensor([], size=(0, 2), dtype=torch.float64, grad_fn=<MulBackward0>)'
    """
    shape = tuple(size or ()) if data is None else data.shape
    head = class_name + "("
    suffixes = [] if device_suffix is None else [f"device='{device_suffix}'"]
    if data is None or data.size == 0:
        show_size = data is None or len(shape) != 1
        # nothing tells that an empty tensor holds int64 or bool, so these are named too
        show_dtype = dtype_name != default_float_name
        text = "..." if data is None else "[]"
    else:
        show_size = not OPTIONS.edgeitems
        show_dtype = dtype_name not in _self_evident(default_float_name)
        text = elements_text(data, len(head))
    if show_size:
        suffixes.append(f"size={shape}")
    if show_dtype:
        suffixes.append(f"dtype=torch.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(head + text, suffixes, len(head))


def _self_evident(default_float_name: str) -> tuple[str, ...]:
    """The dtypes that the elements themselves show."""
    default_complex = "complex128" if default_float_name == "float64" else "complex64"
    return default_float_name, default_complex, "int64", "bool"


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int) -> str:
    # the count starts two columns too high, for the comma and blank that PyTorch counts here
    column = len(text) - text.rfind("\n") + 1
    parts = [text]
    for suffix in suffixes:
        if column + len(suffix) + 2 > OPTIONS.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            column = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            column += len(suffix) + 2
    return "".join(parts) + ")"


def elements_text(data: np.ndarray, indent: int) -> str:
    """The elements in nested brackets, which start in column `indent`."""
    edge = OPTIONS.edgeitems
    partly = data.size > OPTIONS.threshold
    if partly and data.ndim and not edge:
        return "[...]"
    cut = [partly and length > 2 * edge for length in data.shape]
    if any(cut):
        data = data[np.ix_(*map(_shown_positions, data.shape, cut))]
    texts, width = _cells(data.reshape(-1))
    for dim in range(data.ndim - 1, -1, -1):
        innermost = dim == data.ndim - 1
        column = indent + dim + 1
        per_line = max(1, (OPTIONS.linewidth - column + 1) // (width + 2)) if innermost else 1
        between = ", " if innermost else ""
        newline = "," + "\n" * (data.ndim - 1 - dim or 1) + " " * column
        length = data.shape[dim]
        rows = []
        for start in range(0, len(texts), length):
            row = texts[start : start + length]
            if cut[dim]:
                row[edge:edge] = [" ..." if innermost else "..."]
            lines = [between.join(row[i : i + per_line]) for i in range(0, len(row), per_line)]
            rows.append("[" + newline.join(lines) + "]")
        texts = rows
    return texts[0]


def _shown_positions(length: int, cut: bool) -> np.ndarray:
    if not cut:
        return np.arange(length)
    edge = OPTIONS.edgeitems
    return np.concatenate((np.arange(edge), np.arange(length - edge, length)))


def _cells(flat: np.ndarray) -> tuple[list[str], int]:
    """The texts of the elements, and the width of a column."""
    kind = flat.dtype.kind
    if kind in "biu":
        texts = list(map(str, flat.tolist()))
        width = max(map(len, texts))
        return _right(texts, width), width
    if kind == "c":
        reals, real_width = _floats(flat.real.tolist())
        imags, imag_width = _floats(flat.imag.tolist())
        texts = [
            f"{real}{'' if imag[0] == '-' else '+'}{imag}j"
            for real, imag in zip(_right(reals, real_width), imags, strict=True)
        ]
        return texts, real_width + imag_width + 1
    if kind != "f":
        # ml_dtypes' scalars are no Python floats; doubles hold all of their values, but converting
        # a signalling NaN warns
        with np.errstate(invalid="ignore"):
            flat = flat.astype(np.float64)
    texts, width = _floats(flat.tolist())
    return _right(texts, width), width


def _right(texts: list[str], width: int) -> list[str]:
    return [text.rjust(width) for text in texts]


def _floats(values: list[float]) -> tuple[list[str], int]:
    """Texts, not yet aligned, in the notation that suits all of `values`, and the width.

    Zeros and what is not finite have no say in either, so that they may stick out.
    """
    counted = [value != 0 and math.isfinite(value) for value in values]
    sizes = [abs(value) for value, counts in zip(values, counted, strict=True) if counts]
    whole = all(map(float.is_integer, sizes))
    scientific = bool(sizes) and _is_scientific(min(sizes), max(sizes))
    if whole and not scientific:
        texts = [f"{value:.0f}." if math.isfinite(value) else str(value) for value in values]
    else:
        spec = f".{OPTIONS.precision}{'e' if scientific else 'f'}"
        texts = [format(value, spec) for value in values]
    widths = [len(text) for text, counts in zip(texts, counted, strict=True) if counts]
    return texts, max(widths, default=1)


def _is_scientific(least: float, greatest: float) -> bool:
    if OPTIONS.sci_mode is not None:
        return OPTIONS.sci_mode
    return greatest / least > 1000 or greatest > 1e8 or least < 1e-4
