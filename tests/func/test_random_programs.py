"""Random programs under vmap, with writes in place: what loops give, interpreted and linked."""

import random

import numpy as np
import pytest

from bital import torch


def _row(a, b):
    c = a * 1
    c[1] = b[0]
    return c


def _columns(a, b):
    c = a + 0 * b
    c[:, 1:].mul_(2)
    return c


def _turned(a, b):
    c = (a * 2 + 0 * b).t()
    c.add_(b.t())
    return c.t()


STEPS = [
    torch.add, torch.mul, _row, _columns, _turned,
    lambda a, b: a @ b.t(),
    lambda a, b: a.t().contiguous().t() + b,
    lambda a, b: torch.cat([a, b])[1:4],
    lambda a, b: a.softmax(0),
    lambda a, b: a.cumsum(1).flip(0),
    lambda a, b: a.sort(0)[0] - b.mean(),
    lambda a, b: torch.where(a > b, a, b.tanh()),
    lambda a, b: (a + 0 * b).scatter_(1, b.argmax(1, keepdim=True), 0.5),
    lambda a, b: (a + 0 * b).index_add_(0, torch.tensor([0, 2]), b[:2]),
    lambda a, b: (a + 0 * b).masked_fill_(b > 0, 0.1),
    lambda a, b: (a.t() * 1).index_fill_(0, torch.tensor([1]), 0.3).t(),
]  # fmt: skip


def _program(seed):
    draw = random.Random(seed)
    steps = [(draw.choice(STEPS), draw.randrange(3), draw.randrange(3)) for _ in range(6)]

    def run(x, y):
        values = [x, y, x * y]
        for step, i, j in steps:
            values[(i + 2 * j) % 3] = step(values[i], values[j]) + 0 * (x + y)
        return values[0] + values[1] * values[2]

    return run


def _gradient(f):
    weights = torch.arange(9.0).cos().reshape(3, 3).double()
    return torch.func.grad(lambda a, b: (f(a, b) * weights).sum(), (0, 1))


@pytest.mark.parametrize("dims", [(0, 2), (0, None), (None, 2)])
@pytest.mark.parametrize("seed", range(12))
def test_as_a_loop(seed, dims):
    rng = np.random.default_rng(seed)
    x, y = (torch.tensor(rng.standard_normal(s)) for s in ((4, 3, 3), (3, 3, 4)))
    given = [x if dims[0] == 0 else x[0], y if dims[1] == 2 else y[:, :, 0]]
    rows = [[t if d is None else t.select(d, k) for t, d in zip(given, dims)] for k in range(4)]
    for f in (_program(seed), _gradient(_program(seed))):
        loop = [f(*row) for row in rows]
        expected = [loop] if isinstance(loop[0], torch.Tensor) else zip(*loop)
        expected = [torch.stack(list(each)).numpy() for each in expected]
        for _ in range(3):  # the plan is walked first and linked later
            found = torch.vmap(f, dims)(*given)
            found = [found] if isinstance(found, torch.Tensor) else found
            for mine, true in zip(found, expected, strict=True):
                np.testing.assert_allclose(mine.numpy(), true, 1e-9, 1e-9)
