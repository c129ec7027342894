"""The text of a tensor: PyTorch's stored texts, its own where it is installed, and the cost."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bital.tensor import format as fmt
from tests.golden import make_format as golden


def our_text(case):
    with fmt.printoptions(**case.options):
        return fmt.tensor_text(
            case.array,
            dtype_name=case.dtype,
            default_float_name=case.default,
            requires_grad=case.requires_grad,
            grad_fn_name="MulBackward0" if case.multiplied else None,
        )


def test_texts_equal_the_stored_ones():
    stored = json.loads(golden.GOLDEN.read_text())
    cases = list(golden.cases())
    assert [case.name for case in cases] == list(stored)
    for case in cases:
        assert our_text(case) == stored[case.name], case.name


def test_suffixes():
    ones = np.ones(2, np.float32)
    text = fmt.tensor_text(ones, dtype_name="float32", device_suffix="cuda:0", requires_grad=True)
    assert text == "tensor([1., 1.], device='cuda:0', requires_grad=True)"
    text = fmt.tensor_text(
        ones, dtype_name="float32", class_name="Mine", grad_fn_name="AddBackward0"
    )
    assert text == "Mine([1., 1.], grad_fn=<AddBackward0>)"
    text = fmt.tensor_text(None, dtype_name="int32", size=(3,), device_suffix="meta")
    assert text == "tensor(..., device='meta', size=(3,), dtype=torch.int32)"


def test_options_are_kept_as_pytorch_keeps_them():
    before = fmt.get_printoptions()
    fmt.set_printoptions(profile="default")
    assert fmt.get_printoptions() == before
    assert list(before.items()) == [
        ("precision", 4),
        ("threshold", 1000),
        ("edgeitems", 3),
        ("linewidth", 80),
        ("sci_mode", None),
    ]
    with fmt.printoptions(precision=2, sci_mode=True):
        assert fmt.get_printoptions()["sci_mode"] is True
        fmt.set_printoptions(profile="short", edgeitems=5)
        changed = {"precision": 2, "edgeitems": 5}
        assert fmt.get_printoptions() == {**before, **changed}
    assert fmt.get_printoptions() == before


def test_only_what_is_shown_is_read():
    # strides of 0: 10^12 elements in the memory of one
    endless = np.broadcast_to(np.float32(1.5), (10**6, 10**6))
    start = time.perf_counter()
    text = fmt.tensor_text(endless, dtype_name="float32")
    assert time.perf_counter() - start < 0.5
    assert text.count("1.5000") == 36


def arrays(dtype):
    """Random arrays of a dtype; floats of any bits, or such as are shown without exponents."""
    plain = golden.np_dtype(dtype)
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    if dtype != "bfloat16":
        elements = hnp.from_dtype(plain)
        if plain.kind == "f":
            elements |= st.integers(-30, 30).map(lambda n: plain.type(n / 4))
        return hnp.arrays(plain, shapes, elements=elements)
    return hnp.arrays(np.int16, shapes).map(lambda bits: bits.view(plain))


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 12),
        "threshold": st.integers(0, 30),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(0, 120),
        "sci_mode": st.booleans(),
    },
)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", golden.DTYPES)
def test_random_texts_equal_torch(dtype):
    torch = pytest.importorskip("torch")

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(arrays(dtype), OPTIONS)
    def compare(array, options):
        case = golden.Case("random", array, dtype, options)
        assert our_text(case) == golden.torch_text(torch, case)

    compare()
