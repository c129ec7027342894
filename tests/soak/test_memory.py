"""Memory over many iterations: what an iteration made is gone when it is over."""

import gc
import tracemalloc

import pytest

from bital.autograd import replay
from bital.base import config
from bital.ir.trace import Value, flush, forget_programs
from bital.ops import create
from bital.runtime.executor import cache

ITERATIONS = 5000


def settle(plans: bool = True) -> None:
    """Run what is recorded, forget plans and recipes: their tables have bounds of their own.

    So have constants, the tree of known programs, and the values kept for the next trace, as many
    as the last one had.
    """
    flush("soak")
    create._constants.clear()
    forget_programs()
    if plans:
        cache.plans.clear()
        replay.table.clear()
    gc.collect()


def living(kind: type) -> int:
    """How many objects of a class are alive once everything recorded has run."""
    settle()
    return sum(type(thing) is kind for thing in gc.get_objects())


def growth(
    iterate, warm: int = 200, count: int = ITERATIONS, plans: bool = False
) -> tuple[int, int]:
    """Bytes and objects that `count` iterations add after `warm` ones; `plans` are no part of it
    where nothing cuts the loop, so that its programs are long and do not come back."""
    for _ in range(warm):
        iterate()
    settle(plans)
    things = len(gc.get_objects())
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(count):
        iterate()
    settle(plans)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before, len(gc.get_objects()) - things


def by_hand(torch, **kw):
    """An iteration of a tiny network with a hand-written update."""
    torch.manual_seed(0)
    x, y = torch.randn(4, 3), torch.randn(4, 1)
    w = torch.randn(3, 1, requires_grad=True)

    def iterate():
        loss = ((x.mm(w) - y) ** 2).sum()
        loss.backward()
        with torch.no_grad():
            w.sub_(1e-3 * w.grad)
            w.grad.zero_()

    return iterate


def by_optimizer(torch, optimizer="SGD", **kw):
    """An iteration of a tiny network with a module and an optimiser."""
    torch.manual_seed(0)
    x, y = torch.randn(4, 3), torch.randn(4, 1)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    rule = getattr(torch.optim, optimizer)(net.parameters(), lr=1e-3, **kw)

    def iterate():
        rule.zero_grad()
        torch.nn.functional.mse_loss(net(x), y).backward()
        rule.step()

    return iterate


def accumulated(torch):
    """Gradients that are never set to zero, and a running sum that nobody looks at."""
    w = torch.ones(3, requires_grad=True)
    total = torch.zeros(())

    def iterate():
        loss = (w * w).sum()
        loss.backward()
        total.add_(loss.detach())

    return iterate


def looked_at(torch):
    """Losses that are read in the middle of the iteration."""
    inner = by_hand(torch)
    x = torch.ones(3)

    def iterate():
        inner()
        assert (x * 2).sum().item() == 6.0

    return iterate


def in_cycles(torch):
    """A graph whose tensors are part of reference cycles: hooks and custom functions."""

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2 + 0 * ctx.saved_tensors[0]

    w = torch.ones(3, requires_grad=True)

    def iterate():
        y = Double.apply(w)
        y.register_hook(lambda g: g * 1)
        y.sum().backward()
        w.grad = None

    return iterate


LOOPS = {
    "by hand": by_hand,
    "SGD": by_optimizer,
    "Adam": lambda torch: by_optimizer(torch, "Adam"),
    "accumulated": accumulated,
    "looked at": looked_at,
    "in cycles": in_cycles,
}


@pytest.mark.parametrize("name", LOOPS)
def test_iterations_leave_nothing_behind(torch, name):
    count = ITERATIONS if name == "by hand" else ITERATIONS // 5
    iterate = LOOPS[name](torch)
    for _ in range(50):
        iterate()
    values = living(Value)
    size, things = growth(iterate, count=count, plans=name in ("accumulated", "in cycles"))
    assert living(Value) <= values + 8
    assert things < 200, f"{things} objects more after {count} iterations"
    assert size < 200_000, f"{size} bytes more after {count} iterations"


def test_a_graph_that_is_dropped_is_freed_at_once(torch):
    gc.collect()
    gc.disable()
    try:
        before = sum(type(thing) is Value for thing in gc.get_objects())
        w = torch.ones(100, requires_grad=True)
        for _ in range(50):
            y = (w * 2).tanh().sum()
            y.item()
            y.backward()
            w.grad = None
        del y, w
        after = sum(type(thing) is Value for thing in gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 20, f"{after - before} values live on without the cycle collector"


def test_a_chain_of_a_hundred_thousand_operations(torch):
    def chain():
        x = torch.ones(2, requires_grad=True)
        y = x
        for _ in range(100_000):
            y = y * 1.0
        y.sum().backward()
        assert x.grad.tolist() == [1.0, 1.0]

    chain()
    before = living(Value)
    chain()
    assert living(Value) <= before + 8


def test_a_chain_that_is_never_differentiated(torch):
    x = torch.ones(2, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    assert y.tolist() == [100_001.0, 100_001.0]
    del y
    gc.collect()


def test_a_loop_without_an_end_of_iteration_is_cut(torch):
    x = torch.zeros(100_000)
    tracemalloc.start()
    for _ in range(1500):
        x = x * 0.5 + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(x[0].item() - 2.0) < 1e-6
    assert peak < 150_000_000, f"{peak} bytes at the peak"


def test_plans_are_bounded(torch):
    with config.override(plan_cache=64):
        for n in range(1, 300):
            (torch.ones(n) * 2 + 1).sum().item()
        assert len(cache.plans) <= 64
