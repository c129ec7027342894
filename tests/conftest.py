"""Fixtures every test may use: `torch` is bital's namespace, `oracle` the real PyTorch.

`--both` runs every plan of the session interpreted and compiled, and compares.
"""

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


def pytest_addoption(parser):
    parser.addoption("--both", action="store_true", help="run every plan interpreted and compiled")
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config, items):
    left_out = []
    if not config.getoption("--slow"):
        left_out.append(("slow", "takes minutes: pytest --slow"))
    if config.getoption("--both"):
        left_out.append(("own_runs", "looks at how plans are run"))
    for item in items:
        for mark, reason in left_out:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _both(request):
    if not request.config.getoption("--both"):
        yield
        return
    from tests.compiled import both

    with both() as seen:
        yield
    print(f"\n{seen.plans} plans compiled, {seen.runs} runs compared, {seen.refused} refused")
