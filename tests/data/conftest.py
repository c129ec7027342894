"""What the tests of data loading share: running one case under bital and under PyTorch."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest


@pytest.fixture
def same(torch, oracle) -> Callable:
    """`same(case)` runs `case(torch)` under both and compares results, errors and warnings.

    Returns bital's result in plain Python values.
    """

    def compare(case: Callable[[Any], Any]) -> Any:
        ours, theirs = outcome(torch, case), outcome(oracle, case)
        assert ours == theirs
        return ours

    return compare


def outcome(torch: Any, case: Callable[[Any], Any]) -> Any:
    """What `case` gives, with every tensor as (dtype, nested list), or the error it raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(torch, case(torch))
        except Exception as error:
            result = type(error).__name__, str(error)
    return result, [str(warning.message) for warning in caught]


def plain(torch: Any, value: Any) -> Any:
    """`value` in plain Python types; other types are named so that they are compared too."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, Mapping):
        return type(value).__name__, {key: plain(torch, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(torch, item) for item in value]
    return value
