"""torch.testing: assert_close."""

from __future__ import annotations

from typing import Any

import numpy as np

from bital.base.errors import missing_attribute
from bital.tensor.tensor import Tensor, array_of

#: dtype name -> (rtol, atol), PyTorch's documented defaults of assert_close
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}  # fmt: skip


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Any = None,
    allow_subclasses: bool = True,
) -> None:
    """Raise AssertionError where two tensors, numbers, or containers of them are not close."""
    if isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)):
        if len(actual) != len(expected):
            raise AssertionError(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            )
        pairs = list(zip(actual, expected))
    elif isinstance(actual, dict) and isinstance(expected, dict):
        if actual.keys() != expected.keys():
            raise AssertionError("The keys of the mappings do not match")
        pairs = [(actual[k], expected[k]) for k in actual]
    else:
        _compare(actual, expected, rtol, atol, equal_nan, check_dtype, check_stride, msg)
        return
    for a, b in pairs:
        assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype,
                     check_stride=check_stride, msg=msg)  # fmt: skip


def _compare(
    actual: Any, expected: Any, rtol: Any, atol: Any, equal_nan: bool, check_dtype: bool,
    check_stride: bool, msg: Any,
) -> None:  # fmt: skip
    a, b = (array_of(t) if isinstance(t, Tensor) else np.asarray(t) for t in (actual, expected))
    tensors = isinstance(actual, Tensor) and isinstance(expected, Tensor)
    if a.shape != b.shape:
        raise AssertionError(
            f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}."
        )
    if tensors and check_dtype and actual.dtype is not expected.dtype:
        raise AssertionError(
            f"The values for attribute 'dtype' do not match: {actual.dtype} != {expected.dtype}."
        )
    if tensors and check_stride and actual.stride() != expected.stride():
        raise AssertionError(
            f"The values for attribute 'stride()' do not match: {actual.stride()} != "
            f"{expected.stride()}."
        )
    if rtol is None or atol is None:
        found = [_TOLERANCES.get(str(x.dtype), (0.0, 0.0)) for x in (a, b)]
        rtol, atol = max(f[0] for f in found), max(f[1] for f in found)
    wide = np.result_type(a, b, np.float64) if a.dtype.kind != "b" else np.float64
    close = np.isclose(a.astype(wide), b.astype(wide), rtol=rtol, atol=atol, equal_nan=equal_nan)
    if not close.all():
        word = "Tensor-likes" if a.ndim else "Scalars"
        wrong = int((~close).sum())
        worst = float(np.nanmax(np.abs(a.astype(wide) - b.astype(wide))))
        text = (
            f"{word} are not close!\n\nMismatched elements: {wrong} / {a.size} "
            f"({100 * wrong / a.size:.1f}%)\nGreatest absolute difference: {worst} (up to {atol} "
            f"allowed)\nRelative tolerance: {rtol}"
        )
        raise AssertionError(msg(text) if callable(msg) else msg or text)


__getattr__ = missing_attribute("torch.testing")
