"""Every scenario gives what PyTorch 2.13 gave (stored), and what it gives where it is installed."""

import json
import math

import pytest

from tests.autograd.scenarios import SCENARIOS
from tests.autograd.scenarios.case import outcome
from tests.golden.make_autograd import GOLDEN
from tests.tolerance import limits

STORED = json.loads(GOLDEN.read_text(encoding="utf-8"))
RTOL, ATOL = limits("float32", order=1)


def differences(ours, theirs, where="result"):
    """Where two plain results differ, in words."""
    if isinstance(ours, bool) or isinstance(theirs, (bool, str)) or theirs is None:
        return [] if ours == theirs else [f"{where}: {ours!r}, expected {theirs!r}"]
    if isinstance(theirs, (int, float)) and isinstance(ours, (int, float)):
        if math.isclose(ours, theirs, rel_tol=RTOL, abs_tol=ATOL):
            return []
    elif isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{where}[{k}]")]
    elif isinstance(theirs, dict) and isinstance(ours, dict) and list(ours) == list(theirs):
        return [line for k in theirs for line in differences(ours[k], theirs[k], f"{where}.{k}")]
    return [f"{where}: {ours!r}, expected {theirs!r}"]


def test_every_scenario_is_stored():
    assert list(STORED) == list(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_stored(torch, name):
    wrong = differences(outcome(SCENARIOS[name], torch), STORED[name])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parity
@pytest.mark.parametrize("name", SCENARIOS)
def test_stored_is_what_torch_gives(oracle, name):
    wrong = differences(outcome(SCENARIOS[name], oracle), STORED[name])
    assert not wrong, "\n".join(wrong)
