"""assert_close: whether two results are the same within rounding, and if not, what differs."""

from __future__ import annotations

import cmath
import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

import bital.torch as torch

#: dtype name -> (rtol, atol), PyTorch's documented defaults of assert_close
_TOLERANCES = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7), "complex32": (1e-3, 1e-5), "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}  # fmt: skip
_OLD_TOLERANCES = {"float16": (1e-3, 1e-3), "float32": (1e-4, 1e-5), "float64": (1e-5, 1e-8)}
_NUMBERS = {int: "int64", float: "float64", complex: "complex128"}


@dataclass(frozen=True)
class _Options:
    """What assert_close was asked for."""

    rtol: float | None = None
    atol: float | None = None
    equal_nan: bool = False
    check_device: bool = True
    check_dtype: bool = True
    check_layout: bool = True
    check_stride: bool = False
    allow_subclasses: bool = True
    msg: str | Callable[[str], str] | None = None

    def fail(self, text: str, where: tuple, kind: type[Exception] = AssertionError) -> NoReturn:
        """Raise with the text, and the place in the containers, or with the user's message."""
        if isinstance(self.msg, str) and kind is AssertionError:
            raise kind(self.msg)
        if where:
            place = "".join(str([item]) for item in where)
            text += f"\n\nThe failure occurred for item {place}"
        raise kind(self.msg(text) if callable(self.msg) and kind is AssertionError else text)

    def tolerances(self, dtypes: Collection[str], where: tuple) -> tuple[float, float]:
        if (self.rtol is None) != (self.atol is None):
            self.fail(
                "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
                f"{'rtol' if self.rtol is None else 'atol'}.",
                where,
                ValueError,
            )
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        return _loosest(dtypes, _TOLERANCES)


def _loosest(dtypes: Collection[str], table: dict) -> tuple[float, float]:
    found = [table.get(d, (0.0, 0.0)) for d in dtypes]
    return max(f[0] for f in found), max(f[1] for f in found)


def _name(d: Any) -> str:
    return str(d).removeprefix("torch.")


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _pairs(actual: Any, expected: Any, o: _Options, where: tuple) -> Iterator[tuple]:
    """(what compares, actual, expected, place) for all that two containers hold."""
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            o.fail(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", where)
        for i in range(len(actual)):
            yield from _pairs(actual[i], expected[i], o, (*where, i))
        return
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        ours, theirs = set(actual), set(expected)
        if ours != theirs:
            o.fail(
                "The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                f"{sorted(theirs - ours)}\nAdditional keys in the actual mapping: "
                f"{sorted(ours - theirs)}",
                where,
            )
        keys: Collection = ours
        with contextlib.suppress(Exception):
            keys = sorted(keys)
        for key in keys:
            yield from _pairs(actual[key], expected[key], o, (*where, key))
        return
    yield _kind_of(actual, expected, o, where)


def _kind_of(actual: Any, expected: Any, o: _Options, where: tuple) -> tuple:
    """How two things that are no containers are compared."""
    both = (actual, expected)
    if actual is None or expected is None:
        return _compare_none, actual, expected, where
    if all(isinstance(x, (bool, np.bool_)) for x in both):
        return _compare_booleans, bool(actual), bool(expected), where
    if all(isinstance(x, (int, float, complex, np.number)) for x in both):
        numbers = [x.item() if isinstance(x, np.number) else x for x in both]
        o.tolerances([_NUMBERS[_number_type(x)] for x in numbers], where)
        return _compare_numbers, *numbers, where
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (o.allow_subclasses or type(actual) is type(expected)):
        with contextlib.suppress(Exception):
            tensors = [torch.as_tensor(x) for x in both]
            return _compare_tensors, *tensors, where
    o.fail(
        f"No comparison pair was able to handle inputs of type {type(actual)} and "
        f"{type(expected)}.",
        where,
        TypeError,
    )


def _number_type(x: Any) -> type:
    return next(kind for kind in _NUMBERS if isinstance(x, kind))


def _compare_none(actual: Any, expected: Any, o: _Options, where: tuple) -> None:
    if actual is not None or expected is not None:
        o.fail(f"None mismatch: {actual} is not {expected}", where)


def _compare_booleans(actual: bool, expected: bool, o: _Options, where: tuple) -> None:
    if actual is not expected:
        o.fail(f"Booleans mismatch: {actual} is not {expected}", where)


def _compare_numbers(actual: Any, expected: Any, o: _Options, where: tuple) -> None:
    kinds = _number_type(actual), _number_type(expected)
    if o.check_dtype and kinds[0] is not kinds[1]:
        o.fail(f"The (d)types do not match: {kinds[0]} != {kinds[1]}.", where)
    if actual == expected:
        return
    if o.equal_nan and cmath.isnan(actual) and cmath.isnan(expected):
        return
    rtol, atol = o.tolerances([_NUMBERS[k] for k in kinds], where)
    gap = abs(actual - expected)
    if not (cmath.isfinite(gap) and gap <= atol + rtol * abs(expected)):
        o.fail(_scalar_message(actual, expected, rtol, atol), where)


def _compare_tensors(actual: Any, expected: Any, o: _Options, where: tuple) -> None:
    attributes = [
        ("shape", True),
        ("layout", o.check_layout),
        ("stride()", o.check_stride),
        ("device", o.check_device),
        ("dtype", o.check_dtype),
    ]
    for name, wanted in attributes:
        ours, theirs = (
            x.stride() if name == "stride()" else getattr(x, name) for x in (actual, expected)
        )
        if wanted and ours != theirs:
            o.fail(f"The values for attribute '{name}' do not match: {ours} != {theirs}.", where)
    rtol, atol = o.tolerances([_name(actual.dtype), _name(expected.dtype)], where)
    if actual.dtype != expected.dtype:
        common = torch.promote_types(*[_comparable(x.dtype) for x in (actual, expected)])
        actual, expected = actual.to(common), expected.to(common)
    matches = torch.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=o.equal_nan)
    if bool(matches.all()):
        return
    if not actual.ndim:
        text = _scalar_message(actual.item(), expected.item(), rtol, atol)
    else:
        text = _tensor_message(actual.detach(), expected.detach(), matches, rtol, atol)
    o.fail(text, where)


def _comparable(d: Any) -> Any:
    """int64 for the barebones unsigned integers, which do not promote."""
    return torch.int64 if _name(d) in ("uint16", "uint32", "uint64") else d


def _message(head: str, extra: str, differences: Sequence[tuple], equality: bool) -> str:
    lines = [f"{head} are not {'equal' if equality else 'close'}!", "", extra]
    for kind, value, index, tolerance in differences:
        if index is None:
            line = f"{kind.title()} difference: {value}"
        else:
            line = f"Greatest {kind} difference: {value} at index {index}"
        lines.append(line if equality else f"{line} (up to {tolerance} allowed)")
    return "\n".join(lines)


def _scalar_message(actual: Any, expected: Any, rtol: float, atol: float) -> str:
    gap = abs(actual - expected)
    relative = float("inf") if expected == 0 else gap / abs(expected)
    differences = [("absolute", gap, None, atol), ("relative", relative, None, rtol)]
    extra = f"Expected {expected} but got {actual}."
    return _message("Scalars", extra, differences, rtol == 0 and atol == 0)


def _tensor_message(actual: Any, expected: Any, matches: Any, rtol: float, atol: float) -> str:
    count = matches.numel()
    wrong = count - int(matches.sum())
    if not (actual.is_floating_point() or actual.is_complex()):
        actual, expected = actual.to(torch.int64), expected.to(torch.int64)
    gap = (actual - expected).abs().masked_fill(matches, 0)
    relative = (gap / expected.abs()).masked_fill(matches, 0)
    differences = []
    for kind, values, tolerance in (("absolute", gap, atol), ("relative", relative, rtol)):
        place = int(values.flatten().argmax())
        index = tuple(int(i) for i in np.unravel_index(place, tuple(values.shape)))
        differences.append((kind, values[index].item(), index, tolerance))
    extra = f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"
    return _message("Tensor-likes", extra, differences, rtol == 0 and atol == 0)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError where two tensors, numbers, or containers of them are not close.

    Close is |actual - expected| <= atol + rtol |expected|, with tolerances by dtype where none are
    given; `msg` replaces the message, or makes one of it. Raises TypeError for what cannot be
    compared and ValueError where only one of `rtol` and `atol` is given.
    """
    options = _Options(
        rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride,
        allow_subclasses, msg,
    )  # fmt: skip
    for compare, ours, theirs, where in list(_pairs(actual, expected, options, ())):
        compare(ours, theirs, options, where)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The older form of `assert_close`: looser, and dtypes may differ."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    if not isinstance(actual, torch.Tensor):
        actual = torch.tensor(actual)
    if not isinstance(expected, torch.Tensor):
        expected = torch.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        rtol, atol = _loosest([_name(x.dtype) for x in (actual, expected)], _OLD_TOLERANCES)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
        msg=msg or None,
    )  # fmt: skip
