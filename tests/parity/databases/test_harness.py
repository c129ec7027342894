"""Tests of the tests: each kind of fault in bital must be found, and what is right must pass."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from bital import torch as bital
from tests.ops.test_harness import sine
from tests.parity.databases import gaps
from tests.parity.databases.call import Call, compare, compare_errors
from tests.parity.databases.entry import QUESTIONS, Entry
from tests.parity.databases.translate import Translator, leaves
from tests.tolerance import as_good


def call(fn, dtype=torch.float32, order=2) -> Call:
    x = torch.linspace(0.1, 0.9, 6, dtype=dtype).reshape(2, 3).requires_grad_(True)
    return Call(fn, (x,), {}, order)


def test_what_is_right_passes() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.complex64):
        assert compare(call(torch.sin, dtype)) == []


def writes(x):
    out = SINE(x)
    x.data.add_(1)
    return out


def refuses(x):
    raise ValueError("no")


SINE = bital.sin
FAULTS = {
    "values": (lambda x: SINE(x) * 1.0001, "outputs 0: "),
    "one value": (lambda x: SINE(x) + bital.tensor([[0, 0, 0], [0, 1e-3, 0]]), "outputs 0: 1 of 6"),
    "dtype": (lambda x: SINE(x).double(), "dtype float64 for float32"),
    "shape": (lambda x: SINE(x).reshape(3, 2), "shape (3, 2) for (2, 3)"),
    "history": (lambda x: SINE(x).detach(), "requires_grad False for True"),
    "structure": (lambda x: (SINE(x),), "returned"),
    "gradient": (sine(bital, 1.001), "grads 0: 6 of 6"),
    "second gradient": (sine(bital, 1, 1.01), "grads2 0: 6 of 6"),
    "arguments": (writes, "given 0: 6 of 6"),
    "an error": (refuses, "raised ValueError: no"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch) -> None:
    wrong, expected = FAULTS[fault]
    monkeypatch.setattr(bital, "sin", wrong)
    lines = compare(call(torch.sin))
    assert lines and expected in lines[0]


def test_what_is_missing_is_said(monkeypatch) -> None:
    monkeypatch.delattr(bital, "sin")
    assert compare(call(torch.sin)) == ["torch.sin is missing"]


def test_errors_must_be_of_the_same_class() -> None:
    assert compare_errors(IndexError("i"), IndexError("i")) is None
    assert compare_errors(IndexError("i"), LookupError("i")) is None  # caught by the same clause
    assert compare_errors(None, ValueError("v"))
    assert compare_errors(ValueError("v"), None)
    assert compare_errors(TypeError("t"), ValueError("v"))
    assert compare_errors(NotImplementedError("bital has none"), RuntimeError("r"))


def test_tensors_that_share_memory_share_it_translated() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    for make in (Translator(), leaves):
        whole, part = make([x, x.t()[1:]])
        whole[2, 3] = -1
        assert part[2, 2].item() == -1 and part.stride() == (1, 4)
    assert x[2, 3].item() == 11


def test_a_rough_result_passes_only_beside_one_as_rough() -> None:
    truth, theirs = np.array([1.0, 2.0]), np.array([1.0, 2.0002])
    assert as_good(truth, theirs, truth, "float32", 0)
    assert as_good(np.array([1.0, 1.9996]), theirs, truth, "float32", 0)
    assert not as_good(np.array([1.0, 1.99]), theirs, truth, "float32", 0)
    assert not as_good(np.array([1.0, 5.0]), np.array([1.0, 4.0]), truth, "float32", 0)


def test_gaps_are_strict() -> None:
    right = Entry("right", "torch", lambda dtypes: [], lambda: [None])
    wrong = Entry("wrong", "torch", lambda dtypes: ["off"], lambda: ["off", None])
    known = {(name, question): "?" for name in ("right", "wrong") for question in QUESTIONS}
    for question in QUESTIONS:
        gaps.check(right, question, {})
        gaps.check(wrong, question, known)
        with pytest.raises(AssertionError, match="off"):
            gaps.check(wrong, question, {})
        with pytest.raises(AssertionError, match="strike it out"):
            gaps.check(right, question, known)
