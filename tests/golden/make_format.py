"""Writes `format.json`: PyTorch's texts of tensors made by a recipe that the tests repeat.

    python -m tests.golden.make_format      (where torch 2.13 is installed)

The recipe draws with `random.random` alone, whose values are the same in every Python.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import ml_dtypes
import numpy as np

GOLDEN = Path(__file__).with_name("format.json")

INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
FLOATS = ("float32", "float64", "float16", "bfloat16")
COMPLEXES = ("complex64", "complex128")
DTYPES = ("bool", *INTEGERS, *FLOATS, *COMPLEXES)
SHAPES = ((), (1,), (3,), (17,), (2, 3), (4, 11), (2, 3, 2), (1, 2, 1, 4))
LARGE = ((1001,), (200, 7), (6, 400), (7, 12, 13), (2, 2, 300), (1200, 1))
KINDS = ("unit", "whole", "wide", "special", "borders", "huge")

# where the notation changes
BORDERS = (1.0, 1000.0, 1000.5, 1e8, 1.0e8 + 8, 1e-4, 9.9e-5, 0.5, -0.99995, 1e-3)


@dataclass
class Case:
    """One tensor to be shown, under `options` of `set_printoptions`."""

    name: str
    array: np.ndarray
    dtype: str
    options: dict[str, object] = field(default_factory=dict)
    default: str = "float32"
    requires_grad: bool = False
    multiplied: bool = False  # shown is a product with 1, which has a grad_fn


def np_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def make_array(rng: random.Random, dtype: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    count = math.prod(shape)
    if dtype == "bool":
        flat = np.array([rng.random() < 0.5 for _ in range(count)], bool)
    elif dtype in INTEGERS:
        limits = np.iinfo(dtype)
        low, high = (limits.min, limits.max) if kind == "huge" else (max(limits.min, -20), 120)
        flat = np.array([low + int(rng.random() * (high - low)) for _ in range(count)], dtype)
    else:
        wide = make_floats(rng, count, kind)
        if dtype in COMPLEXES:
            # side by side, since arithmetic would spread infinities to the other part
            parts = np.stack([wide, make_floats(rng, count, kind)], axis=-1)
            wide = parts.view(np.complex128)[:, 0]
        with np.errstate(over="ignore"):
            flat = wide.astype(np_dtype(dtype))
    return flat.reshape(shape)


def make_floats(rng: random.Random, count: int, kind: str) -> np.ndarray:
    special = (0.0, -0.0, math.nan, math.inf, -math.inf, 1.0, -2.5)

    def draw() -> float:
        number = rng.random() * 2 - 1
        if kind == "whole":
            return float(int(number * 50))
        if kind == "wide":
            return number * 10.0 ** int(rng.random() * 13 - 6)
        if kind == "special":
            return special[int(rng.random() * len(special))]
        if kind == "borders":
            return BORDERS[int(rng.random() * len(BORDERS))]
        if kind == "huge":
            return float(int(number * 2**40)) if rng.random() < 0.7 else number * 1e37
        return number

    return np.array([draw() for _ in range(count)], np.float64)


def cases() -> Iterator[Case]:
    """Every case, in a fixed order and with fixed contents."""
    rng = random.Random(2013)
    number = itertools.count()

    def case(dtype: str, shape: tuple[int, ...], kind: str, **more: object) -> Case:
        name = " ".join(
            [str(next(number)), dtype, str(shape), kind, *(f"{k}={v}" for k, v in more.items())]
        )
        return Case(name, make_array(rng, dtype, shape, kind), dtype, **more)  # type: ignore

    for index, dtype in enumerate(DTYPES):
        kinds = KINDS if dtype in FLOATS + COMPLEXES else ("whole", "huge")
        for turn, kind in enumerate(kinds):
            for step in (0, 3, 5):
                yield case(dtype, SHAPES[(index + turn + step) % len(SHAPES)], kind)
        yield case(dtype, LARGE[index % len(LARGE)], kinds[0])
        for shape in ((0,), (2, 0, 3)):
            yield case(dtype, shape, "whole")
    for index, shape in enumerate(LARGE):
        yield case("float32", shape, KINDS[index % 3])
        yield case("complex64", shape, KINDS[(index + 1) % 3])
    for default in ("float64", "float16", "bfloat16"):
        for dtype in ("float32", "float64", "complex64", "complex128", "int64", default):
            yield case(dtype, (3,), "unit", default=default)
        yield case(default, (0,), "unit", default=default)
    yield from _option_cases(case)
    for border in BORDERS:
        for values in ([border], [1.0, -border]):
            yield Case(f"float64 {values}", np.array(values), "float64")
    for length in range(1, 12):
        yield case("float32", (length,), "whole", requires_grad=True)
        yield case("float64", (1, length), "unit", requires_grad=True, multiplied=True)
    yield case("float64", (0,), "unit", requires_grad=True, multiplied=True)


def _option_cases(case) -> Iterator[Case]:  # type: ignore[no-untyped-def]
    options: list[dict[str, object]] = [
        {"sci_mode": True},
        {"sci_mode": False},
        {"precision": 0},
        {"precision": 8, "sci_mode": True},
        {"precision": 20},
        {"threshold": 0, "edgeitems": 1},
        {"threshold": 0, "edgeitems": 0},
        {"linewidth": 5},
        {"linewidth": 200},
        {"linewidth": 30, "edgeitems": 2, "threshold": 10},
        {"profile": "short"},
        {"profile": "full"},
        {"profile": "short", "precision": 3, "threshold": 5},
    ]
    for chosen in options:
        for dtype, kind in (("float32", "unit"), ("float64", "wide"), ("int64", "huge")):
            yield case(dtype, (3, 7), kind, options=chosen)
        yield case("complex64", (5,), "unit", options=chosen)
        yield case("float32", (), "unit", options=chosen, requires_grad=True)
        yield case("float32", (2, 3), "special", options=chosen)


def torch_text(torch, case: Case) -> str:  # type: ignore[no-untyped-def]
    """What PyTorch shows for a case."""
    array = case.array
    if case.dtype == "bfloat16":
        tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array)
    if case.requires_grad:
        tensor = tensor.clone().requires_grad_()
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, case.default))
    torch.set_printoptions(**case.options)
    try:
        return repr(tensor * 1 if case.multiplied else tensor)
    finally:
        torch.set_default_dtype(before)
        torch.set_printoptions(profile="default")


def main() -> None:
    import torch

    texts = {case.name: torch_text(torch, case) for case in cases()}
    GOLDEN.write_text(json.dumps(texts, indent=0, ensure_ascii=True) + "\n")
    print(f"{len(texts)} texts of PyTorch {torch.__version__} in {GOLDEN.name}")


if __name__ == "__main__":
    main()
