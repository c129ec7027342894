"""Sobol' points are PyTorch's, plain and scrambled."""

import pytest

from tests.both import same


def points(t, **options):
    engine = t.quasirandom.SobolEngine(5, **options)
    first = engine.draw(3)
    engine.fast_forward(6)
    again = engine.draw(2, dtype=t.float64)
    return first, again, engine.reset().draw(), engine.draw_base2(0), repr(engine)


@pytest.mark.parametrize("options", [{}, {"scramble": True, "seed": 7}, {"scramble": True}])
def test_the_points_are_pytorchs(torch, oracle, options):
    same(lambda t: points(t, **options), torch, oracle)


def test_many_points_fill_the_cube_evenly(torch):
    for engine in (
        torch.quasirandom.SobolEngine(3),
        torch.quasirandom.SobolEngine(3, scramble=True, seed=1),
    ):
        drawn = engine.draw(64)
        cells = (drawn * 64).long()
        assert all(len(set(cells[:, k].tolist())) == 64 for k in range(3))
    with pytest.raises(ValueError, match="power of 2"):
        engine.draw_base2(3)
    with pytest.raises(ValueError, match="21201"):
        torch.quasirandom.SobolEngine(0)


def test_tensors_are_sorted_by_dtype(torch):
    from bital.torch.utils._foreach_utils import _group_tensors_by_device_and_dtype as group

    a, b, c = torch.ones(1), torch.ones(1, dtype=torch.float64), torch.zeros(1)
    groups = group([[a, b, c], [None, None, None], []], with_indices=True)
    (lists, at), (_, others) = groups.values()
    assert lists[0][1] is c and at == [0, 2] and others == [1] and lists[1:] == [[None, None], []]
