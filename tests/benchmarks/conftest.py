"""Settings for quick measurements."""

import sys

import pytest
from harness import Settings


@pytest.fixture
def quick():
    return Settings(rounds=1, seconds=0.05, threads=1, torch_python=sys.executable)
