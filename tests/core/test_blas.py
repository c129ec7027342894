"""NumPy's products run on one thread where the compiler needs the other cores, and only there."""

import pytest

from bital.runtime import blas
from bital.runtime.compile import BEGIN, SWITCH


@pytest.mark.own_runs
def test_products_are_alone_while_their_plan_is_compiled(monkeypatch):
    pytest.importorskip("llvmlite")
    from bital import torch
    from bital.base import config

    monkeypatch.setattr(config, "compile", "hot")
    used = []
    monkeypatch.setattr(blas, "threads", lambda: (lambda: 7, used.append))
    w = torch.ones(3, 5) / 8
    for _ in range(SWITCH + 2):
        w = w + (w @ w.T).sigmoid() @ w.tanh()
        w.sum().item()
    assert used == [1, 7] * (SWITCH - BEGIN)


def test_the_number_of_threads_is_put_back():
    found = blas.threads()
    if found is None:
        pytest.skip("NumPy has another BLAS than its wheels bring")
    tell, use = found
    before = tell()
    try:
        use(2)
        with pytest.raises(ZeroDivisionError), blas.alone():
            assert tell() == 1
            raise ZeroDivisionError
        assert tell() == 2
    finally:
        use(before)
