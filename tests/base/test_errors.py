"""The errors that name what bital lacks."""

import pytest

from bital.base.errors import Unsupported, missing_attribute


@pytest.mark.parametrize("module", ["torch.nn", "bital.torch.nn"])
def test_missing_attribute_names_the_public_module(module):
    with pytest.raises(AttributeError, match=r"module 'torch\.nn' .* 'Quantum': bital lacks it"):
        missing_attribute(module)("Quantum")


def test_unsupported_is_what_pytorch_programs_catch():
    assert issubclass(Unsupported, NotImplementedError)
