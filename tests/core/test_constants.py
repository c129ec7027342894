"""Constants are kept for reuse; equal numbers that are not the same must stay apart."""

from __future__ import annotations


def test_zeros_keep_their_sign(torch):
    assert torch.full((2,), 0.0).signbit().tolist() == [False, False]
    assert torch.full((2,), -0.0).signbit().tolist() == [True, True]
    filled = torch.ones(2)
    filled.fill_(-0.0)
    assert filled.signbit().tolist() == [True, True]


def test_complex_zeros_keep_the_signs_of_their_parts(torch):
    torch.full((1,), complex(1.0, 0.0))
    made = torch.full((1,), complex(1.0, -0.0))
    assert made.imag.signbit().tolist() == [True]


def test_a_truth_value_is_no_number(torch):
    assert torch.full((1,), 1).dtype is torch.int64
    assert torch.full((1,), True).dtype is torch.bool
