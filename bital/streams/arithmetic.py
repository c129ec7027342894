"""Arithmetic shared by the draws: words to numbers, fused multiply-add, casts, dtype names.

Room: streams; NumPy and the standard library only.

PyTorch's kernels are compiled with fused multiply-add, which rounds `a * b + c` once. NumPy rounds
twice, so both precisions are imitated here to give the same bits.
"""

from __future__ import annotations

import numpy as np

from bital.streams.mt19937 import Engine

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
_SPLITTER = 134217729.0  # 2**27 + 1 cuts a float64 into two halves (Dekker 1971)

TORCH_NAMES = {
    "bool": "Bool", "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int",
    "int64": "Long", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64",
    "float16": "Half", "bfloat16": "BFloat16", "float32": "Float", "float64": "Double",
    "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip
C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short int",
    "int32": "int", "int64": "long int", "uint16": "short unsigned int",
    "uint32": "unsigned int", "uint64": "long unsigned int", "float16": "c10::Half",
    "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double",
    "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip
# bits of precision, the leading one included
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LARGEST = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}
REAL = frozenset(DIGITS)
SIGNED_OR_BYTE = frozenset(("uint8", "int8", "int16", "int32", "int64"))


def require(name: str, allowed: frozenset[str], kernel: str) -> None:
    """Raise PyTorch's NotImplementedError unless the dtype called `name` is in `allowed`."""
    if name not in allowed:
        shown = TORCH_NAMES.get(name, name)
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{shown}'")


def real_part_dtype(name: str) -> np.dtype | None:
    """float32 for "complex64", float64 for "complex128", None for all others."""
    parts: dict[str, np.dtype] = {"complex64": F32, "complex128": F64}
    return parts.get(name)


def unit32(engine: Engine, count: int) -> np.ndarray:
    """float32 in [0, 1): the low 24 bits of one word each."""
    x = (engine.words(count) & np.uint32(0xFFFFFF)).astype(np.float32)
    x *= np.float32(2.0**-24)
    return x


def unit64(engine: Engine, count: int) -> np.ndarray:
    """float64 in [0, 1): the low 53 bits of two words each, the first word being the high one."""
    pairs = engine.words(2 * count).reshape(count, 2)
    x = (pairs[:, 0] & np.uint32(0x1FFFFF)).astype(np.float64)
    x *= 2.0**-21
    x += pairs[:, 1] * 2.0**-53
    return x


def words64(engine: Engine, count: int) -> np.ndarray:
    """uint64: two words each, the first being the high one."""
    pairs = engine.words(2 * count).reshape(count, 2)
    high = pairs[:, 0].astype(np.uint64)
    high <<= np.uint64(32)
    high |= pairs[:, 1]
    return high


def fma32(a: np.ndarray, b: float, c: float) -> np.ndarray:
    """a * b + c rounded once to float32; `b` and `c` are float32 values.

    The product is exact in float64. The sum is rounded there first, which shows in the result
    only for ties, about once in 2**29.
    """
    wide = a.astype(np.float64)
    wide *= b
    wide += c
    with np.errstate(over="ignore"):
        return wide.astype(np.float32)


def _split(x):
    high = x * _SPLITTER
    high = high - (high - x)
    return high, x - high


def fma64(a: np.ndarray, b: float, c: float) -> np.ndarray:
    """a * b + c rounded (all but) once to float64.

    Dekker's exact product and Knuth's exact sum; plain arithmetic where those overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = a * b
        a_high, a_low = _split(a)
        b_high, b_low = _split(np.float64(b))
        product_error = a_low * b_low - (
            ((product - a_high * b_high) - a_low * b_high) - a_high * b_low
        )
        total = product + c
        back = total - product
        sum_error = (product - (total - back)) + (c - back)
        exact = total + (product_error + sum_error)
        return np.where(np.isfinite(exact), exact, total)


def narrow(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """float64 to `dtype` as C++ does it: the 16-bit formats by way of float32."""
    if dtype == F64:
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.itemsize == 2 and dtype.name in REAL:
            x = x.astype(np.float32)
        return x.astype(dtype)


def shown(number: float) -> str:
    """A double as C++ streams print it in messages: six significant digits.

    >>> shown(1.0), shown(1e6), shown(0.30000000000000004)
    ('1', '1e+06', '0.3')
    """
    return f"{number:g}"
