"""Fixtures every test may use: `torch` is bital's namespace, `oracle` the real PyTorch."""

import pytest


@pytest.fixture(scope="session")
def torch():
    """bital's `torch` namespace, the subject of the tests."""
    from bital import torch as namespace

    return namespace


@pytest.fixture(scope="session")
def oracle():
    """The real PyTorch on one thread; tests that use it are skipped where it is not installed."""
    real = pytest.importorskip("torch")
    if "bital" in real.__version__:
        pytest.skip("`torch` is bital itself in this process")
    real.set_num_threads(1)
    return real
