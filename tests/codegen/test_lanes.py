"""What crosses the lanes of vectors, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.codegen.lanes import deal, totals
from bital.codegen.scalar import Builder
from tests.codegen.test_gemm import run

LANES = 8


def rows_of(b, count):
    return [b.load(b.argument(0), "f32", LANES * k, LANES) for k in range(count)]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_sums_of_lanes(count):
    b = Builder()
    b.store(totals(b, rows_of(b, count)), b.argument(1))
    a, sums = np.arange(LANES * count, dtype=np.float32) ** 2, np.zeros(count, np.float32)
    run(b, 1, (a, sums))
    assert np.array_equal(sums, a.reshape(count, LANES).sum(1))


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_rows_are_dealt_to_columns(count):
    b = Builder()
    for k, row in enumerate(deal(b, rows_of(b, count))):
        b.store(row, b.argument(1), LANES * k)
    a, dealt = np.arange(LANES * count, dtype=np.float32), np.zeros((LANES, count), np.float32)
    run(b, 1, (a, dealt))
    assert np.array_equal(dealt, a.reshape(count, LANES).T)
