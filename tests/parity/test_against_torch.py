"""Every case under bital and under the real PyTorch: values, dtypes, layouts, gradients."""

import warnings

import pytest

from tests.parity.cases import RUNS, run_id
from tests.parity.harness import check, run_case


@pytest.mark.parity
@pytest.mark.parametrize("run", RUNS, ids=run_id)
def test_case(torch, oracle, run):
    op, dtype = run
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = run_case(oracle, op, dtype)
        ours = run_case(torch, op, dtype)
    check(op, ours, theirs)
