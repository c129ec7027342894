"""Draws of whole numbers: a range, a dtype's whole range, permutations.

Room: streams; NumPy and the standard library only. A number is a word (or two) modulo the size of
the range. Argument errors are PyTorch's.
"""

from __future__ import annotations

import warnings

import numpy as np

from bital.streams.arithmetic import (
    C_NAMES,
    DIGITS,
    LARGEST,
    REAL,
    SIGNED_OR_BYTE,
    TORCH_NAMES,
    require,
    words64,
)
from bital.streams.mt19937 import Engine

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
_TWO_WORDS_FROM = 1 << 28  # a range this large takes two words, or the low numbers come too often
_TWO_WORDS_PERMUTATION = ((1 << 32) - 1) // 20  # the same, where randperm draws the line
_WHOLE = {"bool": 1, "uint8": 8, "int8": 7, "int16": 15, "int32": 31}  # bits that random_() fills
_PERMUTABLE = REAL | SIGNED_OR_BYTE
_SMALL = 64  # below this Python's loop is faster than NumPy's passes


def random_int(
    engine: Engine, count: int, dtype: np.dtype, low: int, high: int | None
) -> np.ndarray:
    """`count` whole numbers in [low, high), or from `low` to the dtype's largest for None.

    A real dtype's bounds move inwards to numbers that it holds; its largest is 2**digits.
    `low` = -2**63 without `high` means 64 random bits.
    """
    name = dtype.name
    if high is not None:
        if low >= high:
            raise RuntimeError(
                f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
            )
        if name in REAL:
            low, high = _low_inside(dtype, low), _high_inside(dtype, high)
            if low >= high:
                raise RuntimeError(
                    "random_ expects 'from' casted to dtype to be less than 'to' casted to "
                    f"dtype, but got from={low} >= to={high}"
                )
        last = high - 1
    elif low == INT64_MIN:
        return _all_bits(engine, count, dtype)
    elif name in REAL:
        last = 1 << DIGITS[name]
        low = _low_inside(dtype, low)
        if low >= last:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' "
                f"casted to dtype, but got from={low} > to_inc={last}"
            )
    elif dtype.kind in "iub":
        last = 1 if name == "bool" else int(np.iinfo(dtype).max)
    else:
        raise RuntimeError(
            "random_from_to_impl handles only integral, floating-point and boolean types"
        )
    _check_bounds(dtype, low, last)
    return _in_range(engine, count, dtype, last - low + 1, low)


def _in_range(engine: Engine, count: int, dtype: np.dtype, size: int, low: int) -> np.ndarray:
    if size >= _TWO_WORDS_FROM:
        x = (words64(engine, count) % np.uint64(size)).view(np.int64)
    else:
        x = (engine.words(count) % np.uint32(size)).astype(np.int64)
    if low:
        x += low
    return _from_int(x, dtype)


def _from_int(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """int64 to `dtype` as C++ does it: the 16-bit formats by way of float32."""
    if dtype.itemsize == 2 and dtype.name in REAL:
        x = x.astype(np.float32)
    return x.astype(dtype, copy=False)


def _all_bits(engine: Engine, count: int, dtype: np.dtype) -> np.ndarray:
    if dtype.name not in ("int64", "float64", "float32", "bfloat16"):
        raise RuntimeError(
            "random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16"
        )
    return _from_int(words64(engine, count).view(np.int64), dtype)


def _through(dtype: np.dtype, number: int) -> int:
    """`number` cast to the real `dtype` and back; where that overflows, int64's smallest."""
    with np.errstate(over="ignore"):
        cast = float(_from_int(np.array([number], np.int64), dtype)[0])
    return int(cast) if -(2.0**63) <= cast < 2.0**63 else INT64_MIN


def _low_inside(dtype: np.dtype, low: int) -> int:
    """`low`, or the next number that `dtype` holds where `low` + 1 would be cast below `low`."""
    cast = _through(dtype, low + 1)
    if cast >= low:
        return low
    return cast + (1 << max(abs(low + 1).bit_length() - DIGITS[dtype.name], 0))


def _high_inside(dtype: np.dtype, high: int) -> int:
    """`high`, or the number that `dtype` holds before it where `high` - 1 is cast up to it."""
    cast = _through(dtype, high - 1)
    if cast < high:
        return high
    return cast - (1 << max(abs(high - 1).bit_length() - DIGITS[dtype.name], 0))


def _check_bounds(dtype: np.dtype, low: int, last: int) -> None:
    name = dtype.name
    bounds = ((low, "from"), (last, "to - 1"))
    if name in REAL:
        smallest, largest = -LARGEST[name], LARGEST[name]
    elif name == "bool":
        smallest, largest = 0, 1
    elif dtype.kind in "iu":
        smallest, largest = int(np.iinfo(dtype).min), min(int(np.iinfo(dtype).max), INT64_MAX)
    else:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types"
        )
    for bound, which in bounds:
        if not smallest <= bound <= largest:
            raise RuntimeError(f"{which} is out of bounds for {C_NAMES[name]}")
    digits = DIGITS.get(name, 64)
    for bound, which in bounds:
        if abs(bound) > 1 << digits:
            warnings.warn(
                f"{which} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision "
                f"limitations {C_NAMES[name]} can support discrete uniform distribution only "
                "within this range.",
                stacklevel=4,
            )


def random_full(engine: Engine, count: int, dtype: np.dtype) -> np.ndarray:
    """`count` numbers over the dtype's range: [0, largest], or [0, 2**digits] for a real dtype."""
    name = dtype.name
    if name == "float64":
        return (words64(engine, count) % np.uint64((1 << 53) + 1)).astype(dtype)
    if name == "int64":
        return (words64(engine, count) & np.uint64(INT64_MAX)).view(np.int64)
    if name in REAL:
        x = engine.words(count) % np.uint32((1 << DIGITS[name]) + 1)
        return x.astype(np.float32).astype(dtype, copy=False)
    require(name, frozenset(_WHOLE), "random_kernel_cpu")
    return (engine.words(count) & np.uint32((1 << _WHOLE[name]) - 1)).astype(dtype)


def permutation(engine: Engine, count: int, dtype: np.dtype) -> np.ndarray:
    """0 .. count - 1 shuffled by Fisher and Yates: step i swaps places i and i + word % rest."""
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    _check_permutation(count, dtype)
    if count < 2:
        return np.zeros(count, dtype)
    draw = words64 if count >= _TWO_WORDS_PERMUTATION else Engine.words
    rest = np.arange(count, 1, -1, dtype=np.uint64 if draw is words64 else np.uint32)
    target = (draw(engine, count - 1) % rest).astype(np.int64)
    target += np.arange(count - 1)
    if count <= _SMALL:
        order = list(range(count))
        for i, j in enumerate(target.tolist()):
            order[i], order[j] = order[j], order[i]
        return _from_int(np.array(order), dtype)
    return _from_int(_swapped(target), dtype)


def _check_permutation(count: int, dtype: np.dtype) -> None:
    name = dtype.name
    require(name, _PERMUTABLE, "randperm")
    if name in SIGNED_OR_BYTE:
        if count - 1 > np.iinfo(dtype).max:
            kind = "int" if name == "int32" else f"{name}_t"
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
    elif name != "bfloat16" and count > (1 << DIGITS[name]) + 1:
        limit = {"float16": "2049", "float32": "2^24+1", "float64": "2^53+1"}[name]
        raise RuntimeError(f"n cannot be greater than {limit} for {TORCH_NAMES[name]} type.")


def _swapped(target: np.ndarray) -> np.ndarray:
    """The order after swapping places i and target[i] >= i for i = 0, 1, ... in turn.

    Without a loop over steps: what step i finds at place p was put there by the last earlier step
    with target p, which moved there what it had found at its own place; if there was none, it is p.
    So what step i finds at its own place is the end of a (short) chain of such steps.
    """
    steps = target.size
    key = np.sort(target << 32 | np.arange(steps))  # steps with equal targets come together
    step, place = key & 0xFFFFFFFF, key >> 32
    again = place[1:] == place[:-1]
    before = np.full(steps, -1)  # the last earlier step with the same target
    before[step[1:][again]] = step[:-1][again]

    chain = np.arange(steps + 1)
    ends = np.append(~again, True)
    chain[place[ends]] = step[ends]
    own = np.flatnonzero(target == np.arange(steps))  # a step that swaps with itself moves nothing
    chain[own] = np.where(before[own] < 0, own, before[own])
    while True:
        further = chain[chain]
        if np.array_equal(further, chain):
            break
        chain = further
    found = np.where(before < 0, target, chain[before])
    return np.append(found, chain[steps])
