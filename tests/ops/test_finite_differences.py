"""Every gradient, and every gradient's gradient, against central differences in float64."""

import warnings

import pytest

from tests.golden.store import Reader
from tests.parity.cases import CASES
from tests.parity.differences import check_first, check_second
from tests.parity.harness import is_smooth

GOLDEN = Reader()
SMOOTH = [
    op
    for op in CASES
    if op.differences
    and is_smooth(op)
    and op.key in GOLDEN
    and any(seen.requires_grad for seen in GOLDEN[op.key].outputs)
]


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_first_order(torch, op):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_first(torch, op)


@pytest.mark.parametrize("op", [op for op in SMOOTH if op.order > 1], ids=lambda op: op.key)
def test_second_order(torch, op):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_second(torch, op)
