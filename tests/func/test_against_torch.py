"""Transforms of functions compute, and refuse, what PyTorch's do."""

import pytest

from tests.both import same
from tests.func import functional, functions, modules, transforms, vmaps
from tests.func.data import data

PROGRAMS = {
    f"{table}.{name}": program
    for table, programs in {
        "gradients": transforms.GRADIENTS,
        "products": transforms.PRODUCTS,
        "jacobians": transforms.JACOBIANS,
        "refusals": transforms.REFUSALS,
        "maps": vmaps.MAPS,
        "random": vmaps.RANDOM,
        "map_refusals": vmaps.REFUSALS,
        "functions": functions.FUNCTIONS,
        "duals": functions.DUALS,
        "functional": functional.FUNCTIONAL,
        "modules": modules.MODULES,
    }.items()
    for name, program in programs.items()
}


@pytest.mark.parity
@pytest.mark.parametrize("name", PROGRAMS)
def test_as_torch(torch, oracle, name):
    same(lambda lib: PROGRAMS[name](lib, data(lib)), torch, oracle, order=1)
