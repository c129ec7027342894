"""Scalar words compiled, at the edges of their dtypes, against PyTorch: NaN, zeros, limits.

Without PyTorch they are held against the interpreter, to which NumPy's semantics are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code needs llvmlite")

from bital import torch as ours
from bital.base import config
from bital.codegen.target import host
from tests.compiled import both
from tests.property.test_compiled import real

FLOATS, INTEGERS = ("float32", "float64"), ("int32", "int64", "uint8", "int16", "int8")
#: words of one operand, and of two; what a dtype is not made for is raised by both sides
UNARY = [
    "neg", "abs", "sqrt", "rsqrt", "floor", "ceil", "trunc", "round", "frac", "sign", "signbit",
    "isnan", "isinf", "isfinite", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin",
    "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "erf", "erfc", "erfinv", "sigmoid", "relu", "reciprocal", "square", "logical_not",
    "bitwise_not", "nan_to_num", "deg2rad", "sgn",
]  # fmt: skip
BINARY = [
    "add", "sub", "mul", "div", "atan2", "hypot", "maximum", "minimum", "copysign", "eq", "ne",
    "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "bitwise_and",
    "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "logaddexp",
    "xlogy", "nextafter", "heaviside", "pow",
]  # fmt: skip
ACTIVATIONS = [
    "relu6", "hardtanh", "leaky_relu", "softplus", "logsigmoid", "elu", "selu", "celu",
    "hardswish", "hardsigmoid", "softsign", "silu", "mish", "relu",
]  # fmt: skip
#: words whose derivatives are looked at, too
SMOOTH = ["sigmoid", "exp", "log", "log1p", "sqrt", "atan", "sinh", "abs", "square"]
DIVISIONS = ("remainder", "fmod", "floor_divide")
DTYPES = (*FLOATS, *INTEGERS, "bool")
NUMBERS = (-2, -1, 0, 1, 2, 3, 0.5)
Function = Callable[..., Any]


def edges(dtype: str) -> np.ndarray:
    """Values where something may go wrong."""
    if dtype == "bool":
        return np.array([False, True] * 9)
    if dtype in FLOATS:
        limits = np.finfo(dtype)
        some = [0, limits.smallest_subnormal, limits.tiny, 1e-30, 0.5, 1, 1.5, 2, 2.5, 3, 7, 100,
                127.5, 255, 256, 2**31 - 1, 2**31, 2.0**63, 1e30, limits.max, np.inf]  # fmt: skip
        return np.array([np.nan, *some, *(-np.array(some))], dtype)
    info = np.iinfo(dtype)
    some = [info.min, info.min + 1, -7, -3, -2, -1, 0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65,
            2**31 - 1, 2**31, 2**53 + 1, info.max - 1, info.max]  # fmt: skip
    return np.array([n for n in some if info.min <= n <= info.max], dtype)


def pairs(dtype: str, dividing: bool = False) -> list[np.ndarray]:
    """Every edge with every other; of a division those that the processor can divide.

    PyTorch's vectors give NaN where a quotient of floats overflows, its scalars the remainder.
    """
    x, y = (a.ravel() for a in np.meshgrid(edges(dtype), edges(dtype)))
    if dividing and dtype in FLOATS:
        with np.errstate(all="ignore"):
            fine = np.abs(x / y) < 2**20
        x, y = x[fine], y[fine]
    elif dividing and dtype != "bool":
        fine = (y != 0) & ~((x == np.iinfo(dtype).min) & (y.astype(np.int64) == -1))
        x, y = x[fine], y[fine]
    return [x, y]


def unary(dtype: str) -> Iterator[tuple[str, Function]]:
    """What is done with one operand."""
    for name in UNARY:
        yield name, lambda ns, x, name=name: getattr(ns, name)(x)
    # what lies beyond an integer is what x86 makes of it; elsewhere NumPy's loops differ, too
    for name in DTYPES if host().is_x86 or dtype not in FLOATS else ("bool", *FLOATS):
        yield f"to {name}", lambda ns, x, name=name: x.to(getattr(ns, name))
    for n in NUMBERS:
        yield f"pow {n}", lambda ns, x, n=n: ns.pow(x, n)
        yield f"div {n}", lambda ns, x, n=n: ns.div(x, n)
        yield f"{n} / x", lambda ns, x, n=n: n / x
        yield f"clamp {n}", lambda ns, x, n=n: ns.clamp(x, n)
        yield f"clamp to {n}", lambda ns, x, n=n: ns.clamp(x, max=n)
    yield "clamp 0 1", lambda ns, x: ns.clamp(x, 0, 1)
    for name in ACTIVATIONS if dtype in FLOATS else ():  # NumPy does them of integers
        yield name, lambda ns, x, name=name: getattr(ns.nn.functional, name)(x)
    if dtype in FLOATS:
        for alpha in (0.5, -0.5):
            yield f"elu {alpha}", lambda ns, x, a=alpha: ns.nn.functional.elu(x, a)


def slopes() -> Iterator[tuple[str, Function]]:
    """Derivatives of functions of one operand."""
    for name in [*ACTIVATIONS, *SMOOTH]:

        def slope(ns: Any, x: Any, name: str = name) -> Any:
            x = x.detach().requires_grad_()
            y = getattr(ns.nn.functional if name in ACTIVATIONS else ns, name)(x)
            return ns.autograd.grad(y, x, ns.ones_like(y))[0]

        yield name, slope


def slopes_of_two(which: int) -> Iterator[tuple[str, Function]]:
    """Derivatives of functions of two operands along one of them."""
    for name in ("atan2", "xlogy", "maximum", "minimum", "div", "mul"):

        def slope(ns: Any, *operands: Any, name: str = name) -> Any:
            x = [t.detach().requires_grad_() for t in operands]
            y = getattr(ns, name)(*x)
            return ns.autograd.grad(y, x[which], ns.ones_like(y))[0]

        yield name, slope


def outcomes(
    functions: dict[str, Function], ns: Any, arrays: list[np.ndarray]
) -> dict[str, np.ndarray | None]:
    """What functions give; None of one that refuses. Ours are one trace, compiled as one plan."""
    operands = [ns.tensor(a) for a in arrays]
    found: dict[str, Any] = {}
    for name, function in functions.items():
        try:
            found[name] = function(ns, *operands)
        except (RuntimeError, TypeError, NotImplementedError):
            found[name] = None
    return {name: None if x is None else x.numpy() for name, x in found.items()}


def complaint(name: str, got: Any, want: Any, arrays: list[np.ndarray]) -> str | None:
    """Where a result differs from PyTorch's, by more than a few units, or in a zero's sign."""
    if got is None or want is None:
        return None if got is want else f"{name}: one side refuses"
    if got.dtype != want.dtype:
        return f"{name}: {got.dtype} for {want.dtype}"
    fine = got == want
    if want.dtype.kind == "f":
        with np.errstate(all="ignore"):
            unit = np.spacing(np.abs(np.where(np.isfinite(want), want, 1)))
            close = np.abs(got - want) <= 6 * unit
        fine &= (want != 0) | (np.signbit(got) == np.signbit(want))
        fine |= (close & (got != want)) | (np.isnan(got) & np.isnan(want))
    wrong = np.flatnonzero(~fine)[:4]
    given = [tuple(a[k].item() for a in arrays) for k in wrong]
    return f"{name}{given}: {got[wrong]} for {want[wrong]}" if len(wrong) else None


def complaints(functions: dict[str, Function], arrays: list[np.ndarray]) -> list[str]:
    """Of functions compiled, against PyTorch."""
    with both() as seen, np.errstate(all="ignore"):
        mine = outcomes(functions, ours, arrays)
    assert seen.runs or all(x is None for x in mine.values())
    oracle = real()
    if oracle is None:
        return []  # `both` has compared
    theirs = outcomes(functions, oracle, arrays)
    found = [complaint(name, mine[name], theirs[name], arrays) for name in functions]
    return [c for c in found if c is not None]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_operand(dtype):
    assert not complaints(dict(unary(dtype)), [edges(dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [BINARY, DIVISIONS], ids=["binary", "divisions"])
def test_two_operands(dtype, names):
    functions = {n: lambda ns, x, y, n=n: getattr(ns, n)(x, y) for n in names}
    assert not complaints(functions, pairs(dtype, names is DIVISIONS))


@pytest.mark.parametrize("dtype", FLOATS)
def test_derivatives(dtype):
    assert not complaints(dict(slopes()), [edges(dtype)])
    for which in (0, 1):
        assert not complaints(dict(slopes_of_two(which)), pairs(dtype))


@pytest.mark.parametrize("n", [3, 40, 64, 100])
def test_products_that_overflow(n):
    """Factors are taken from the first on: what is 0 from the first one is 0 in the end."""
    if n > 20 * host().lanes(4):
        pytest.skip("so many factors to a lane overflow before they meet the first")

    def product(ns: Any, x: Any) -> Any:
        return ns.stack([x.prod(), (x + 1).prod(), x.flip(0).prod() if n == 3 else x.prod()])

    assert not complaints({"prod": product}, [np.arange(n, dtype="float32")])
    assert not complaints({"prod": product}, [np.array([1e30, 1e30, 0], "float32")])


def test_a_difference_is_found():
    if real() is None:
        pytest.skip("PyTorch is not installed")
    wrong = complaints({"abs": lambda ns, x: x.abs() if ns is ours else x}, [edges("float32")])
    assert len(wrong) == 1 and wrong[0].startswith("abs[(-")


def test_operands_that_were_cast_before_the_plan_are_read_as_what_they_are_now():
    x = ours.tensor([[0.5]], dtype=ours.float64)
    for kind in (ours.float32, ours.int32):
        weight = ours.tensor([[3]], dtype=kind)
        with config.override(eager=True), both() as seen:
            ours.ones(2).add(1).tolist()  # from here on each operation is a plan
            assert (x * weight).tolist() == [[1.5]]
        assert seen.runs and not seen.refused
