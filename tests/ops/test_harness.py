"""Tests of the tests: wrong results and wrong gradients must make the harness fail."""

import copy

import numpy as np
import pytest

from tests.parity.case import Op, f
from tests.parity.differences import check_first, check_second
from tests.parity.harness import compare, run_case


def sine(torch, first: float = 1.0, second: float = 1.0):
    """sin as a custom Function whose first and second derivatives are wrong by given factors."""

    class Cosine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.cos()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return -g * x.sin() * second

    class Sine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * Cosine.apply(x) * first

    return Sine.apply


def case(**wrong) -> Op:
    return Op("sine", lambda torch, x: sine(torch, **wrong)(x), (f(3, 4),), family="harness")


def test_a_right_gradient_passes(torch):
    check_first(torch, case())
    check_second(torch, case())


def test_a_wrong_gradient_fails(torch):
    with pytest.raises(AssertionError, match="order 1"):
        check_first(torch, case(first=1.001))


def test_a_wrong_second_gradient_fails(torch):
    check_first(torch, case(second=1.01))
    with pytest.raises(AssertionError, match="order 2"):
        check_second(torch, case(second=1.01))


def test_records_show_wrong_gradients(torch):
    right = run_case(torch, case(), "float32")
    assert not compare(case(), run_case(torch, case(), "float32"), right)
    wrong = compare(case(), run_case(torch, case(first=1.001), "float32"), right)
    assert wrong and all(line.startswith("gradient") for line in wrong)
    wrong = compare(case(), run_case(torch, case(second=1.01), "float32"), right)
    assert wrong and all(line.startswith("second gradient") for line in wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"values": np.float32(1)},
        {"dtype": "float64"},
        {"shape": (4, 3)},
        {"stride": (1, 3)},
        {"requires_grad": False},
        {"grad_fn": "CosBackward0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_an_output_counts(torch, change):
    op = Op("sine", lambda T, x: x.sin(), (f(3, 4),), family="harness")
    right = run_case(torch, op, "float32")
    wrong = copy.deepcopy(right)
    for name, value in change.items():
        setattr(
            wrong.outputs[0], name, right.outputs[0].values + value if name == "values" else value
        )
    assert not compare(op, right, right)
    assert compare(op, wrong, right)


def test_a_changed_input_counts(torch):
    quiet = Op("quiet", lambda T, x: x + 1, (f(3).nograd,), family="harness")
    loud = Op("loud", lambda T, x: x.add_(1), (f(3).nograd,), family="harness")
    wrong = compare(quiet, run_case(torch, loud, "float32"), run_case(torch, quiet, "float32"))
    assert any("versions" in line or "values" in line for line in wrong)
