"""Recurrences written by hand: some rows go through all steps apart from the others."""

import pytest

from bital.base import config, cores
from bital.runtime.executor import cache
from tests.compiled import both

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def fresh():
    cache.plans.clear()
    before = cores.get_threads()
    yield
    cores.set_threads(before)


def tracks():
    """The tracks of the chains in the plans that were compiled, and how many groups have them."""
    plans = [p.compiler.native for p in cache.plans.values() if p.compiler and p.compiler.native]
    found = [c.group.tracks for native in plans for c in native.calls if c.group.tracks]
    return set(found), len(found)


def gru(torch, x, h, weights):
    """The states of a gated recurrent unit."""
    wr, ur, wz, uz, wn, un, bias = weights
    states = []
    for t in x:
        r, z = torch.sigmoid(t @ wr + h @ ur + bias), torch.sigmoid(t @ wz + h @ uz)
        n = torch.tanh(t @ wn + r * (h @ un))
        h = (1 - z) * n + z * h
        states.append(h)
    return states


def lstm(torch, x, h, weights):
    """The states of a long short-term memory whose gates are parts of one product."""
    w, u, bias = weights
    states, c = [], torch.zeros_like(h)
    for t in x:
        i, f, g, o = (t @ w.T + h @ u.T + bias).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return states


def learn(torch, cell, batch, width, dtype, inner=None):
    """The loss and the gradients of a recurrence whose states are looked at by rows."""
    torch.manual_seed(0)
    depth = inner or width

    def draw(*shape):
        return (torch.randn(*shape, dtype=dtype) * width**-0.5).requires_grad_()

    if cell is gru:
        shapes = [(depth, width), (width, width)] * 3 + [(width,)]
    else:
        shapes = [(4 * width, depth), (4 * width, width), (4 * width,)]
    weights = [draw(*shape) for shape in shapes]
    x, h = torch.randn(9, batch, depth, dtype=dtype), torch.zeros(batch, width, dtype=dtype)
    head = draw(width, 7)
    total = 0
    for state in cell(torch, x, h, weights):
        total = total - torch.log_softmax(state @ head, 1)[:, 0].mean()
    total.backward()
    return [total.detach().numpy(), *[p.grad.numpy() for p in (*weights, head)]]


# rows that are even parts, and a number that has none; columns that fill vectors or do not
@pytest.mark.parametrize("cell", [gru, lstm])
@pytest.mark.parametrize(
    ("batch", "width", "expected"), [(12, 33, {2}), (32, 64, {2}), (48, 18, {3}), (37, 40, set())]
)
def test_rows_go_through_all_steps(torch, cell, batch, width, expected):
    with both():
        learn(torch, cell, batch, width, torch.float32)
    found, count = tracks()
    assert found == expected
    assert not expected or count > 30


@pytest.mark.parametrize("cell", [gru, lstm])
def test_in_double_precision_and_of_other_inputs(torch, cell):
    with both():
        learn(torch, cell, 24, 30, torch.float64, inner=11)
    assert tracks()[0] == {2}


def test_any_number_of_threads_gives_the_same_bits(torch):
    got = []
    for number in (1, 2, 3):
        cores.set_threads(number)
        cache.plans.clear()
        with config.override(compile="always"):
            got.append([a.tobytes() for a in learn(torch, gru, 32, 48, torch.float32)])
    assert got[0] == got[1] == got[2]
    assert tracks()[0] == {2}


def test_little_work_and_few_steps_stay_as_they_are(torch):
    with config.override(compile="always"):
        learn(torch, gru, 12, 5, torch.float32)
        layers = [torch.nn.Linear(64, 64) for _ in range(3)]
        out = torch.randn(32, 64)
        for layer in layers:
            out = layer(out).relu()
        out.sum().backward()
    assert tracks() == (set(), 0)
