"""One program run under bital and under PyTorch: what it returns, prints or raises must be equal.

A program is a function of the `torch` namespace it is run with. Numbers are compared within
`tests.tolerance`, all else exactly; names of modules are compared as under PyTorch.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.tolerance import difference, limits

Program = Callable[[Any], Any]


def _text(x: object) -> str:
    """Text without addresses, the same for both namespaces."""
    return re.sub(r"0x[0-9a-f]+", "0x", str(x).replace("bital.torch", "torch"))


def _plain(x: Any, lib: Any) -> Any:
    """`x` with tensors as (dtype, array) and other objects as text."""
    if isinstance(x, lib.Tensor):
        x = x.detach()
        name = str(x.dtype).removeprefix("torch.")
        kept = name in ("float64", "complex64", "complex128") or not x.dtype.is_floating_point
        return name, np.array((x if kept else x.double()).tolist()).reshape(tuple(x.shape))
    if isinstance(x, Mapping):
        return {key: _plain(value, lib) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(value, lib) for value in x]
    if x is None or isinstance(x, (bool, int, float)):
        return x
    return _text(x)


def outcome(program: Program, lib: Any) -> Any:
    """What `program` does with `lib`: its plain result, or the class and text of its error."""
    lib.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = program(lib)
        except Exception as error:
            return "raised", type(error).__name__, _text(error)
        return "returned", _plain(result, lib)


def _check(ours: Any, theirs: Any, where: str, order: int) -> None:
    assert type(ours) is type(theirs), f"{where}: {ours!r} is not {theirs!r}"
    if isinstance(theirs, tuple) and len(theirs) == 2 and isinstance(theirs[1], np.ndarray):
        assert ours[0] == theirs[0], f"{where}: dtype {ours[0]}, expected {theirs[0]}"
        assert ours[1].shape == theirs[1].shape, f"{where}: {ours[1].shape} {theirs[1].shape}"
        wrong = difference(ours[1], theirs[1], *limits(theirs[0], order=order))
        assert wrong is None, f"{where}: {wrong}"
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), f"{where}: keys {list(ours)}, expected {list(theirs)}"
        for key in theirs:
            _check(ours[key], theirs[key], f"{where}[{key!r}]", order)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), f"{where}: {ours!r} is not {theirs!r}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            _check(a, b, f"{where}[{i}]", order)
    elif isinstance(theirs, float):
        wrong = difference(np.array(ours), np.array(theirs), *limits("float32", order=order))
        assert wrong is None, f"{where}: {wrong}"
    else:
        assert ours == theirs, f"{where}: {ours!r} is not {theirs!r}"


def same(program: Program, torch: Any, oracle: Any, order: int = 0) -> None:
    """Fail unless `program` does with `torch` what it does with `oracle`.

    `order` chooses the tolerance of values (0), gradients (1) or long computations (2).
    """
    _check(outcome(program, torch), outcome(program, oracle), "result", order)
