"""Sizes that change: what is decided once holds for every size that is left."""

import itertools

import pytest

from bital.base.extent import Bounds, Extent, fewest, hint, hints, most


@pytest.mark.parametrize("how", ["__lt__", "__le__", "__gt__", "__ge__"])
def test_a_comparison_leaves_the_sizes_for_which_it_is_so(how):
    for a, b, c, d in itertools.product((1, 2, 3), (-3, 0, 5), (0, 1, 2, 5), (-7, 0, 4, 13)):
        for example in (2, 7, 30):
            bounds = Bounds(example, 2, 30)
            left = Extent(bounds, a, b)
            right = Extent(bounds, c, d) if c else d
            answer = getattr(left, how)(right)
            for n in range(2, 31):
                same = getattr(a * n + b, how)(c * n + d) == answer
                assert same == (n in bounds) or (same and c == a)
            assert example in bounds


def test_equal_sizes_are_equal_always_and_others_are_left_out():
    bounds = Bounds(10, 2, 100)
    n = Extent(bounds)
    assert n == Extent(bounds, 1, 0) and hash(n) == hash(Extent(bounds))
    assert n != 32 and 32 not in bounds and 33 in bounds
    assert 2 * n != n + 5 and 5 not in bounds
    assert 2 * n != 7 and bounds.left_out == {32, 5}
    assert (n, 3) == (n, 3) and n != Extent(Bounds(10, 2, 100))
    assert n and (n, 4) != (4, 4)


def test_arithmetic_stays_affine_or_is_refused():
    bounds = Bounds(10, 2, 100)
    n = Extent(bounds)
    assert repr((3 * n + 4) - (n - 2)) == "2 * n + 6"
    assert n - n == 0 and type(n - n) is int
    assert (6 * n) // 3 == 2 * n and (6 * n) // (2 * n) == 3
    assert hint(3 * n + 1) == 31 and hints((n, 4)) == (10, 4)
    assert (fewest(3 * n), most(3 * n), most(7), most(5 - n)) == (6, 300, 7, 3)
    for wrong in (
        lambda: n // 2, lambda: n * n, lambda: n / 2, lambda: range(n), lambda: f"{n}",
        lambda: int(n), lambda: [0] * n, lambda: n * 0.5, lambda: n + Extent(Bounds(1, 1, 2)),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            wrong()
