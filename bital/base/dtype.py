"""Data types: PyTorch's names for NumPy's element types, their promotion and their limits.

Room: base; the standard library, NumPy and ml_dtypes (which gives NumPy its bfloat16) only.
Source of the rules: PyTorch's documentation "Tensor Attributes", section type promotion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from bital.base.errors import Unsupported

#: categories in promotion order: a higher category of a 0-d tensor or Python number wins
BOOL, INT, FLOAT, COMPLEX = range(4)


class dtype:
    """The element type of a tensor, `torch.float32` for one.

    Attributes: `itemsize` in bytes, `is_floating_point`, `is_complex`, `is_signed`; `np` is the
    NumPy type that holds the elements and `category` its place in promotion.
    """

    __slots__ = ("name", "np", "itemsize", "category", "is_signed", "legacy_name")
    __module__ = "torch"

    def __init__(self, name: str, np_dtype: Any, category: int, legacy_name: str) -> None:
        self.name = name
        self.np = np.dtype(np_dtype)
        self.itemsize = self.np.itemsize
        self.category = category
        self.is_signed = not (category == BOOL or name.startswith("uint"))
        self.legacy_name = legacy_name  # the word in torch.FloatTensor

    @property
    def is_floating_point(self) -> bool:
        return self.category == FLOAT

    @property
    def is_complex(self) -> bool:
        return self.category == COMPLEX

    def to_complex(self) -> dtype:
        """The complex type whose parts hold this one; Unsupported for float16's complex32."""
        if self is float16:
            raise Unsupported("bital has no torch.complex32: make the float16 operand float32")
        return complex128 if self in (float64, complex128) else complex64

    def to_real(self) -> dtype:
        """The type of one part of a complex type; a real type is its own."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return by_name, (self.name,)

    def __copy__(self) -> dtype:
        return self

    def __deepcopy__(self, memo: dict) -> dtype:
        return self


bool_ = dtype("bool", np.bool_, BOOL, "Bool")
uint8 = dtype("uint8", np.uint8, INT, "Byte")
int8 = dtype("int8", np.int8, INT, "Char")
int16 = dtype("int16", np.int16, INT, "Short")
int32 = dtype("int32", np.int32, INT, "Int")
int64 = dtype("int64", np.int64, INT, "Long")
uint16 = dtype("uint16", np.uint16, INT, "UInt16")
uint32 = dtype("uint32", np.uint32, INT, "UInt32")
uint64 = dtype("uint64", np.uint64, INT, "UInt64")
float16 = dtype("float16", np.float16, FLOAT, "Half")
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOAT, "BFloat16")
float32 = dtype("float32", np.float32, FLOAT, "Float")
float64 = dtype("float64", np.float64, FLOAT, "Double")
complex64 = dtype("complex64", np.complex64, COMPLEX, "ComplexFloat")
complex128 = dtype("complex128", np.complex128, COMPLEX, "ComplexDouble")

ALL = (
    bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64,
    float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip
#: types that are names only, of which no tensor can be made
WORDS = tuple(
    dtype(name, getattr(ml_dtypes, name), FLOAT, name.title())
    for name in (
        "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    )
)  # fmt: skip
#: PyTorch's other names for the same types
ALIASES = {
    "half": float16, "float": float32, "double": float64, "short": int16, "int": int32,
    "long": int64, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip
_BY_NAME = {d.name: d for d in (*ALL, *WORDS)}
_BY_NUMPY = {d.np: d for d in ALL}
_BAREBONES = (uint16, uint32, uint64)
#: types whose arithmetic is done in float32 and rounded once, as PyTorch's CPU kernels do
LOW_PRECISION = frozenset((float16, bfloat16))


def by_name(name: str) -> dtype:
    """The dtype of that name (`"float32"`)."""
    return _BY_NAME[name]


def from_numpy(np_dtype: Any) -> dtype:
    """The dtype that holds elements of a NumPy type.

    Raises TypeError, in PyTorch's words, for a NumPy type that PyTorch lacks.
    """
    key = np.dtype(np_dtype)
    try:
        return _BY_NUMPY[key]
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type {key.type.__module__}.{key.type.__name__}. The only "
            "supported types are: float64, float32, float16, complex64, complex128, int64, int32, "
            "int16, int8, uint64, uint32, uint16, uint8, and bool."
        ) from None


def of_python(value: object) -> dtype:
    """The dtype that a Python number stands for: bool, int64, the default float or its complex."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return default.dtype
    if isinstance(value, (complex, np.complexfloating)):
        return default.dtype.to_complex()
    raise TypeError(f"expected a Python number, got {type(value).__name__}")


class _Default:
    """The process-wide default floating type, `torch.get_default_dtype()`.

    What was worked out under another default is forgotten by the functions in `forget`.
    """

    dtype = float32
    forget: ClassVar[list[Callable[[], None]]] = []


default = _Default()


def set_default(new: dtype) -> None:
    """Make `new` the type of floating-point tensors made without a dtype; else TypeError."""
    if not isinstance(new, dtype):
        raise TypeError(
            "invalid dtype object: only floating-point types are supported as the default type"
        )
    if not new.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {new}")
    if new is not default.dtype:
        default.dtype = new
        for forget in default.forget:
            forget()


def _promote_uncached(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category > b.category:
        a, b = b, a  # from here on b is of the same or a higher category
    if b.category == COMPLEX:
        wide = a is float64 or a is complex128 or b is complex128
        return complex128 if wide else complex64
    if a.category < b.category:
        return b  # bool with anything; an integer with a float
    if b.category == FLOAT:
        return a if a.itemsize > b.itemsize else b if b.itemsize > a.itemsize else float32
    if a in _BAREBONES or b in _BAREBONES:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{a.legacy_name} and {b.legacy_name}"
        )
    if uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    return a if a.itemsize > b.itemsize else b


def _check_dtypes(fn: str, names: tuple, values: tuple) -> None:
    for k, (name, value) in enumerate(zip(names, values)):
        if not isinstance(value, dtype):
            raise TypeError(
                f"{fn}(): argument '{name}' (position {k + 1}) must be torch.dtype, not "
                f"{type(value).__name__}"
            )


_PROMOTED: dict[tuple[dtype, dtype], dtype] = {}


def promote(a: dtype, b: dtype) -> dtype:
    """The smallest type that holds both, `torch.promote_types`.

    >>> promote(int8, uint8), promote(float16, bfloat16), promote(int64, float16)
    (torch.int16, torch.float32, torch.float16)
    """
    got = _PROMOTED.get((a, b))
    if got is None:
        _check_dtypes("promote_types", ("type1", "type2"), (a, b))
        got = _PROMOTED[a, b] = _promote_uncached(a, b)
    return got


def result_type(operands: list[tuple[dtype, int]]) -> dtype:
    """The type of an operation on operands given as (dtype, rank).

    rank 2 is a tensor with axes, 1 a tensor without, 0 a Python number. An operand of a lower rank
    counts only where its category is higher than that of the ranks above it.
    """
    best: dtype | None = None
    for rank in (2, 1, 0):
        group: dtype | None = None
        for d, r in operands:
            if r == rank:
                group = d if group is None else promote(group, d)
        if group is None:
            continue
        if best is None:
            best = group
        elif group.category > best.category:
            best = _winner(group, best)
    assert best is not None
    return best


def _winner(higher: dtype, best: dtype) -> dtype:
    """The type of an operand of lower rank and higher category: floats keep their precision."""
    if higher.category == COMPLEX and best.category == FLOAT:
        return best.to_complex()
    return higher


def can_cast(source: dtype, target: dtype) -> bool:
    """Whether a result of type `source` may be written into `target` (`torch.can_cast`)."""
    _check_dtypes("can_cast", ("from_", "to"), (source, target))
    return source.category <= target.category and not (
        source.category == INT and target.category == BOOL
    )


class finfo:
    """The limits of a floating type: bits, eps, max, min, tiny, smallest_normal, resolution."""

    __module__ = "torch"

    def __init__(self, type: dtype | None = None) -> None:
        type = default.dtype if type is None else type
        if not isinstance(type, dtype):
            raise TypeError(
                "finfo(): argument 'type' (position 1) must be torch.dtype, not "
                f"{type.__class__.__name__}"
            )
        if not (type.is_floating_point or type.is_complex):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                f"'{type}'"
            )
        info = ml_dtypes.finfo(type.to_real().np)
        self.bits = int(info.bits)
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 10.0 ** -int(info.precision)
        self.dtype = type.to_real().name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type: bits, max, min."""

    __module__ = "torch"

    def __init__(self, type: dtype) -> None:
        if not isinstance(type, dtype):
            raise TypeError(
                "iinfo(): argument 'type' (position 1) must be torch.dtype, not "
                f"{type.__class__.__name__}"
            )
        if type.category != INT:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'"
            )
        info = np.iinfo(type.np)
        self.bits, self.max, self.min = int(info.bits), int(info.max), int(info.min)
        self.dtype = type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def check_known(value: object, where: str) -> dtype:
    """`value` as a dtype: itself, or what Python's float, int, bool and complex stand for."""
    if isinstance(value, dtype):
        return value
    if value in (float, int, bool, complex):
        return {float: float64, int: int64, bool: bool_, complex: complex128}[value]
    raise TypeError(f"{where}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}")
