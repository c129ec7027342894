"""Where a trace is cut, and what is kept: the rules of docs/architecture.md."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from bital.base import config
from bital.ir import trace as ir
from bital.runtime import executor, plan


@pytest.fixture
def cuts(monkeypatch):
    """The reasons of the cuts made during a test, with the number of instructions."""
    made = []
    real = ir.hooks.run

    def run(trace, reason):
        made.append((reason, len(trace.code)))
        real(trace, reason)

    ir.flush("before the test")
    monkeypatch.setattr(ir.hooks, "run", run)
    return made


def recorded():
    return len(ir.local.trace.code)


def test_nothing_is_computed_before_somebody_looks(torch, cuts):
    a = torch.ones(3) + 1
    b = a * 2
    assert recorded() == 2
    assert not cuts
    assert b.tolist() == [4.0, 4.0, 4.0]
    assert len(cuts) == 1
    assert a.tolist() == [2.0, 2.0, 2.0]
    assert len(cuts) == 1, "a was computed on the way and kept"


@pytest.mark.parametrize(
    "look",
    [
        lambda t: t.sum().item(),
        lambda t: t.tolist(),
        lambda t: t.numpy(),
        lambda t: repr(t),
        lambda t: bool((t > 0).all()),
        lambda t: t.nonzero(),
        lambda t: t[t > 0],
        lambda t: t.unique(),
    ],
)
def test_looking_cuts(torch, cuts, look):
    look(torch.ones(3) + 1)
    assert cuts


def training(torch, style):
    """One iteration of a small network, in the styles that programs are written in."""
    x = torch.ones(4, 3)
    w = torch.full((3, 2), 0.5, requires_grad=True)

    def no_grad_block():
        ((x @ w) ** 2).sum().backward()
        with torch.no_grad():
            w.sub_(0.1 * w.grad)
            w.grad.zero_()

    def data():
        ((x @ w) ** 2).sum().backward()
        w.data -= 0.1 * w.grad
        w.grad = None

    optimizer = torch.optim.SGD([w], lr=0.1)

    def with_optimizer():
        optimizer.zero_grad()
        ((x @ w) ** 2).sum().backward()
        optimizer.step()

    return {"no_grad": no_grad_block, "data": data, "optimizer": with_optimizer}[style]


@pytest.mark.parametrize("style", ["no_grad", "data", "optimizer"])
def test_an_iteration_is_one_trace(torch, cuts, style):
    step = training(torch, style)
    for _ in range(3):
        step()
    cuts.clear()
    misses = executor.cache.misses
    for _ in range(5):
        step()
    assert len(cuts) == 5
    assert len({count for _, count in cuts}) == 1
    assert executor.cache.misses == misses, "the plan is known"


def test_a_changing_learning_rate_is_the_same_program(torch):
    w = torch.ones(3, requires_grad=True)
    for k in range(4):
        if k == 3:
            misses = executor.cache.misses
        for rate in (0.1 / (k + 1), 0.2 / (k + 1)):
            (w * w).sum().backward()
            with torch.no_grad():
                w.sub_(rate * w.grad)
                w.grad.zero_()
    assert executor.cache.misses == misses


def test_another_row_is_the_same_program(torch):
    data = torch.arange(12.0).reshape(4, 3).clone()
    data.tolist()
    sums = []
    for k in range(4):
        if k == 2:
            misses = executor.cache.misses
        sums.append((data[k] * 2).sum().item())
    assert sums == [6.0, 24.0, 42.0, 60.0]
    assert executor.cache.misses == misses


def test_only_what_is_held_is_kept(torch):
    a = torch.ones(1000) + 1
    b = a * 3
    del a
    ir.flush("test")
    assert b._storage.value.buf is not None
    gc.collect()
    spare = ir.local.trace.spare  # kept to be used again: nothing refers to them
    assert all(v.trace is ir.local.trace and v.buf is None for v in spare)
    pending = [v for v in gc.get_objects() if isinstance(v, ir.Value) and v.buf is None]
    assert all(v in spare for v in pending)


def test_a_trace_is_bounded(torch, cuts):
    with config.override(trace_max_bytes=10_000_000):
        ir.local.trace.empty()
        cuts.clear()
        t = torch.ones(10_000)
        for _ in range(2_000):
            t = t + 1
        assert cuts and all(reason == "bound" for reason, _ in cuts)
        assert t[0].item() == 2001


def test_a_loop_without_a_natural_cut_finds_its_plan_again(torch, cuts):
    with config.override(trace_max_bytes=10_000_000):
        ir.local.trace.empty()
        t, total = torch.ones(10_000), torch.zeros(())
        for k in range(5_000):
            if k == 3_000:
                misses = executor.cache.misses
            t = (t * 0.5 + 1).tanh()
            total = total + t.mean()
        assert total.item() > 0
        assert executor.cache.misses - misses <= 2


def test_the_plan_cache_is_bounded(torch):
    with config.override(plan_cache=20):
        for n in range(1, 60):
            torch.ones(n).add(1).sum().item()
        assert len(executor.cache.plans) <= 20


def test_memory_shared_with_numpy_is_read_and_written_at_once(torch):
    t = torch.zeros(3)
    array = t.numpy()
    array[0] = 5
    doubled = t * 2
    array[0] = 7
    assert doubled.tolist() == [10.0, 0.0, 0.0]
    t.add_(1)
    assert array.tolist() == [8.0, 1.0, 1.0]
    del array
    t.add_(1)
    (t * 1).tolist()
    assert recorded() == 0
    t.add_(1)
    assert recorded() == 1, "nobody outside holds the memory any more"


def test_an_error_leaves_a_usable_state(torch):
    table = torch.ones(3, 2)
    with pytest.raises((IndexError, RuntimeError)):
        torch.nn.functional.embedding(torch.tensor([5]), table).tolist()
    assert (table + 1).sum().item() == 12


def test_eager_gives_the_same_bits(torch):
    def program():
        torch.manual_seed(0)
        a = torch.randn(20, 30)
        w = torch.randn(30, 5, requires_grad=True)
        ((a @ w).tanh().sum(1) ** 2).mean().backward()
        return w.grad.numpy().tobytes()

    lazy = program()
    with config.override(eager=True):
        ir.local.trace.empty()
        assert program() == lazy
    ir.local.trace.empty()


def test_an_input_is_overwritten_only_when_nobody_holds_it(torch):
    w = torch.ones(1000)
    (w + 1).tolist()
    before = w.clone()
    kept = w.detach()
    saved = w * 1
    ir.flush("test")
    alias = w._storage.value
    w.sub_(0.5)
    ir.flush("test")
    assert kept[0].item() == 0.5, "detach shares the storage"
    assert before[0].item() == 1 and saved[0].item() == 1
    assert alias.buf[0] == 1, "the old value is still held, so it was not overwritten"


def test_sharing_one_tensor_with_numpy_leaves_equal_ones_alone(torch):
    zeros = torch.zeros(3)
    zeros.numpy()[0] = 5
    assert torch.zeros(3).tolist() == [0.0, 0.0, 0.0]
    w = torch.ones(3, requires_grad=True)
    (w * 2).sum().backward()
    w.grad.numpy()[0] = 7
    (w.detach() * 1).tolist()
    w.grad = None
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2.0, 2.0, 2.0]


def test_exporting_what_is_exclusively_held_does_not_copy(torch):
    t = torch.ones(1000) + 1
    t.tolist()
    before = t._storage.value.buf.ctypes.data
    assert t.numpy().ctypes.data == before


def test_copying_from_shared_memory_takes_a_copy(torch):
    import numpy as np

    source = np.zeros(3, np.float32)
    t = torch.ones(3)
    t.copy_(torch.from_numpy(source))
    source[0] = 9
    assert t.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("arrays", [True, False])
def test_numbers_are_the_same_bits_interpreted_and_linked(torch, monkeypatch, arrays):
    if arrays and not plan._takes_ellipsis():
        pytest.skip("NumPy before 2.3 gives scalars")
    monkeypatch.setattr(plan, "_ARRAYS_OF_NO_AXES", arrays)
    executor.cache.plans.clear()
    x = torch.tensor(0.3)
    seen = set()
    for _ in range(4):  # the first run is interpreted, the others are linked
        y = ((x * 2 + 1).exp().sin() / 3 - x).abs()
        seen.add((y.item(), (y > 0).item(), y.numpy().shape))
    assert len(seen) == 1


def test_a_cut_between_a_cast_and_its_operator(torch):
    """What was cast before a cut is not taken for what is yet to be cast."""
    for _ in range(4):
        mask = torch.from_numpy(np.array([True, False, True] * 40))  # shared: run at once
        grad = torch.from_numpy(np.array([True, True, False] * 40))
        got = np.asarray(grad * (mask * 2.0))
        np.testing.assert_array_equal(got, [2.0, 0.0, 0.0] * 40)


def test_a_class_that_is_not_there_names_the_line_of_the_loss(torch):
    """The message does so in whichever iteration it is met: in the first, or on a known path."""
    scores = torch.zeros(2, 3)
    loss = torch.nn.functional.cross_entropy
    for wrong in (0, 1, 5):
        for k in range(wrong + 1):
            target = torch.tensor([1, 3 if k == wrong else 2])
            error = loss(scores, target)
            if k < wrong:
                error.item()
                continue
            with pytest.raises(IndexError, match="out of bounds") as caught:
                error.item()
            (note,) = caught.value.__notes__
            assert __file__ in note and "the_line_of_the_loss" in note


def test_a_device_by_another_name_makes_the_same_tensors(torch):
    from bital.ir.meta import meta_of

    a = torch.zeros(2, 3)
    other = torch.device("cpu")
    assert meta_of((2, 3), torch.float32, other) is a._meta
    assert torch.zeros(2, 3, device=other)._meta is a._meta
    fresh = meta_of((7, 11, 13), torch.float32, torch.device("cpu"))
    assert fresh is torch.zeros(7, 11, 13)._meta


def test_windows_of_a_constant_take_no_memory(torch):
    zeros = torch.zeros(4, 1000, 1000)
    row = zeros[2].t()
    total = (row + 1).sum()
    assert total.item() == 1e6
    value = row._view.window
    assert value.buf.strides == (0, 0) and not value.buf.flags.writeable


def test_what_ctrl_c_broke_off_is_done_again(torch, monkeypatch):
    """A plan of a few steps that overwrites nothing does not hold Ctrl-C back."""
    x = torch.ones(3)
    y = ((x + 1) * 2 - 1).relu().sum()
    real = plan.Plan.run

    def broken_off(self, arrays, params):
        arrays.clear()
        monkeypatch.setattr(plan.Plan, "run", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(plan.Plan, "run", broken_off)
    with pytest.raises(KeyboardInterrupt):
        y.item()
    assert y.item() == 9.0
