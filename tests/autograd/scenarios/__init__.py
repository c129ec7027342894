"""Programs about gradients; each is a function of the `torch` namespace that returns plain data."""

from tests.autograd.scenarios import (  # noqa: F401 (they register themselves)
    backward,
    functions,
    graph,
    hooks,
    inplace,
    modes,
    refusals,
    views,
)
from tests.autograd.scenarios.case import SCENARIOS

__all__ = ["SCENARIOS"]
