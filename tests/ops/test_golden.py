"""Every case under bital against stored results of PyTorch 2.13; PyTorch is not needed."""

import functools
import json
import warnings

import pytest

from tests.golden.store import Reader
from tests.parity.cases import CASES
from tests.parity.harness import check, run_case

golden = functools.cache(Reader)


@pytest.mark.parametrize("op", CASES, ids=lambda op: op.key)
def test_case(torch, op):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = run_case(torch, op, op.dtypes[0])
    ours.form = json.loads(json.dumps(ours.form))
    check(op, ours, golden()[op.key])


def test_the_file_holds_the_cases_and_no_others():
    assert set(golden()) == {op.key for op in CASES}, "run `python -m tests.golden.make_ops`"
