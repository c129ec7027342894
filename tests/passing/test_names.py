"""PyTorch's public names are there, or bital says why not."""

import importlib

import pytest

from tests.passing.names import MODULES, PATH, missing, reason_for, stale, wanted


def test_every_missing_name_has_a_reason(torch):
    unexplained = [
        f"{module}.{name}"
        for module, names in missing().items()
        for name in names
        if reason_for(module, name) is None
    ]
    assert not unexplained


def test_every_reason_is_needed(torch):
    assert not stale()


def test_most_of_the_names_are_there(torch):
    names = {(module, name) for module, listed in wanted().items() for name in listed}
    absent = {(module, name) for module, listed in missing().items() for name in listed}
    assert len(names) > 2500 and len(absent) < 0.2 * len(names)
    assert not absent & {("torch", "Tensor"), ("torch.nn", "Linear"), ("torch.optim", "Adam")}


def test_the_list_is_that_of_this_torch(oracle):
    make_names = pytest.importorskip("tests.golden.make_names")
    assert PATH.exists()
    for module in ("torch", "torch.optim", "torch.nn.functional"):
        assert module in MODULES
        listed = make_names.public_names(importlib.import_module(module), module)
        assert listed == wanted()[module]
