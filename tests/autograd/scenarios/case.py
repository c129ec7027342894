"""What scenarios are written with: the table of them, and how results become plain data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

SCENARIOS: dict[str, Callable[[Any], Any]] = {}


def scenario(program: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Enter `program` in the table, under its file's and its own name."""
    key = f"{program.__module__.rpartition('.')[2]}/{program.__name__}"
    assert key not in SCENARIOS, key
    SCENARIOS[key] = program
    return program


def refused(program: Callable[..., Any], *args: Any, chars: int = 50) -> str:
    """The class of the error that a call raises, and how its message begins."""
    try:
        program(*args)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip()[:chars]}"
    return "no error"


def warned(program: Callable[..., Any], *args: Any, chars: int = 40) -> list[str]:
    """The warnings that a call gives: their classes and how their messages begin."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program(*args)
    return [f"{w.category.__name__}: {str(w.message).strip()[:chars]}" for w in caught]


def plain(x: Any) -> Any:
    """`x` as JSON data; of a tensor its dtype where that is not float32, and its elements."""
    if hasattr(x, "detach"):
        name = str(x.dtype).removeprefix("torch.")
        data = _numbers(x.detach().tolist())
        return data if name == "float32" else {name: data}
    if isinstance(x, dict):
        return {str(key): plain(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(each) for each in x]
    if x is None or isinstance(x, (bool, int, str)):
        return x
    if isinstance(x, float):
        return _numbers(x)
    raise TypeError(f"a scenario returned {type(x).__name__}")


def _numbers(x: Any) -> Any:
    if isinstance(x, list):
        return [_numbers(each) for each in x]
    if isinstance(x, complex):
        return [_numbers(x.real), _numbers(x.imag)]
    if isinstance(x, float):
        return float(f"{x:.8g}") if abs(x) < float("inf") else str(x)
    return x


def outcome(program: Callable[[Any], Any], torch: Any) -> Any:
    """What `program` returns under `torch`, as plain data."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(program(torch))
        except Exception as error:
            return f"raised {type(error).__name__}: {error}"
