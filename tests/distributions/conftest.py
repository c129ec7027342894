"""PyTorch checks the values of distributions in these tests, whatever was imported before them."""

import pytest


@pytest.fixture(autouse=True)
def checked_values(request):
    """torch.cond, which another test calls, imports what turns PyTorch's checks off for good."""
    if "oracle" in request.fixturenames:
        real = request.getfixturevalue("oracle")
        real.distributions.Distribution.set_default_validate_args(True)
