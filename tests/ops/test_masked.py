"""torch.masked against NumPy's masked arrays, and what it does where nothing is left."""

import numpy as np
import pytest

from tests.both import same

REDUCTIONS = {
    "sum": np.ma.sum, "prod": np.ma.prod, "mean": np.ma.mean, "amax": np.ma.max,
    "amin": np.ma.min, "var": lambda x, axis: np.ma.var(x, axis, ddof=1),
    "std": lambda x, axis: np.ma.std(x, axis, ddof=1), "argmax": np.ma.argmax,
    "argmin": np.ma.argmin,
}  # fmt: skip


def numbers():
    """A (4, 5) array and a mask that leaves at least two elements of each row and column."""
    rng = np.random.default_rng(0)
    mask = np.ones((4, 5), bool)
    mask[[0, 1, 2, 3, 0], [0, 1, 2, 3, 4]] = False
    return rng.standard_normal((4, 5)), mask


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(torch, name, dim):
    x, mask = numbers()
    ours = getattr(torch.masked, name)(
        torch.from_numpy(x), dim, mask=torch.from_numpy(mask)
    )  # fmt: skip
    assert np.allclose(ours.numpy(), REDUCTIONS[name](np.ma.masked_array(x, ~mask), axis=dim))


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_masked_out_elements_have_no_part_in_a_softmax(torch, name):
    x, mask = numbers()
    ours = getattr(torch.masked, name)(torch.from_numpy(x), 1, mask=torch.from_numpy(mask)).numpy()
    row, kept = 1, mask[1]
    plain = getattr(torch.nn.functional, name)(torch.from_numpy(x[row, kept]), 0).numpy()
    assert np.allclose(ours[row, kept], plain)


def test_gradients_are_zero_where_masked_out(torch):
    x, mask = numbers()
    x, mask = torch.from_numpy(x).requires_grad_(), torch.from_numpy(mask)
    for name, args in {
        "sum": (0,), "prod": (0,), "mean": (0,), "var": (0,), "amax": (0,), "logsumexp": (0,),
        "norm": (2.0, 0), "softmax": (0,), "normalize": (2.0, 0), "cumsum": (0,), "cumprod": (0,),
    }.items():  # fmt: skip
        (g,) = torch.autograd.grad(getattr(torch.masked, name)(x, *args, mask=mask).sum(), x)
        assert not g[~mask].any(), name
        assert torch.autograd.gradcheck(
            lambda x, n=name, a=args: getattr(torch.masked, n)(x, *a, mask=mask), (x,)
        )


def test_what_a_row_without_elements_gives(torch):
    x, none = torch.ones(2), torch.zeros(2, dtype=torch.bool)
    got = {
        name: getattr(torch.masked, name)(x, 0, mask=none).item()
        for name in ("sum", "prod", "amax", "amin", "logsumexp")
    }
    assert got == {
        "sum": 0, "prod": 1, "amax": -np.inf, "amin": np.inf, "logsumexp": -np.inf
    }  # fmt: skip
    assert np.isnan(torch.masked.mean(x, 0, mask=none).item())
    assert np.isnan(torch.masked.median(x, 0, mask=none).item())


PROGRAMS = {
    "mask with more axes": lambda T: T.masked.sum(T.ones(2), mask=T.ones(2, 2).bool()),
    "mean of integers": lambda T: T.masked.mean(T.ones(2, dtype=T.int64)),
    "median of none": lambda T: T.masked.median(T.ones(2).int(), mask=T.zeros(2).bool()),
    "both corrections": lambda T: T.masked.var(T.ones(2), 0, True, correction=1),
    "maximum of bools": lambda T: T.masked.amax(T.ones(2).bool(), mask=T.ones(2).bool()),
    "integers": lambda T: [
        T.masked.sum(T.ones(3, dtype=T.int8), mask=T.tensor([True, False, True])),
        T.masked.amax(T.arange(3), mask=T.tensor([True, True, False])),
        T.masked.argmin(T.arange(3), mask=T.tensor([False, True, True])),
        T.masked.median(T.arange(4), mask=T.tensor([False, True, True, True])),
    ],
    "normalize": lambda T: T.masked.normalize(
        T.arange(6.0).reshape(2, 3), 2.0, 1, mask=T.tensor([True, False, True])
    ),
    "logaddexp": lambda T: T.masked.logaddexp(
        T.arange(3.0), T.ones(3), input_mask=T.tensor([True, False, True])
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_like_pytorch(torch, oracle, name):
    same(PROGRAMS[name], torch, oracle)
