"""Cases interpreted, compiled and under PyTorch. `pytest --both tests/parity` takes all of them."""

import warnings

import pytest

from tests.parity.cases import RUNS, run_id
from tests.parity.harness import check, run_case

pytest.importorskip("llvmlite")
#: every so many cases, and which of them: those of all families, in a minute
EVERY, FIRST = 14, 3


@pytest.mark.parametrize("run", RUNS[FIRST::EVERY], ids=run_id)
def test_compiled_is_interpreted(torch, run):
    from tests.compiled import both

    op, dtype = run
    with warnings.catch_warnings(), both():
        warnings.simplefilter("ignore")
        ours = run_case(torch, op, dtype)
    oracle = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(op, ours, run_case(oracle, op, dtype))
