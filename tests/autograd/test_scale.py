"""Long chains, many uses and threads: no recursion, no leaks, no mixing."""

import gc
import threading
import weakref

import pytest

from bital.runtime.plan import interpreted

DEPTH = 100_000


def chain(x, depth):
    for _ in range(depth):
        x = x * 1.0
    return x


@pytest.mark.parametrize("depth", [1, 1000, DEPTH])
def test_deep_chains(torch, depth):
    x = torch.ones(2, requires_grad=True)
    y = chain(x * 3, depth)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_deep_chains_towards_inputs(torch):
    x = torch.ones(2, requires_grad=True)
    (g,) = torch.autograd.grad(chain(x * 3, DEPTH).sum(), x)
    assert g.tolist() == [3.0, 3.0]


def test_deep_chains_of_in_place_writes(torch):
    x = torch.ones(2, requires_grad=True)
    y = x * 3
    for _ in range(5000):
        y += 1
        y[:1] *= 1
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_deep_graph_is_freed_at_once_without_backward(torch):
    x = torch.ones(2, requires_grad=True)
    first = x * 3
    node = weakref.ref(first.grad_fn)
    gc.collect()
    gc.disable()
    try:
        y = chain(first, DEPTH)
        del first
        assert node() is not None
        del y
        assert node() is None
    finally:
        gc.enable()


def test_what_was_kept_is_freed_by_backward(torch):
    x = torch.ones(2, requires_grad=True)
    h = x.exp()
    kept = weakref.ref(h._storage)
    y = (h * h).sum()
    del h
    gc.disable()
    try:
        assert kept() is not None
        y.backward()
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.own_runs
def test_a_training_step_leaves_no_cycles(torch):
    w = torch.ones(3, requires_grad=True)

    def step():
        loss = ((w * 2).tanh() ** 2).sum()
        loss.backward()
        with torch.no_grad():
            w.sub_(0.1 * w.grad)
            w.grad.zero_()

    step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_tensor_used_ten_thousand_times(torch):
    x = torch.ones(2, requires_grad=True)
    total = torch.zeros(2)
    for _ in range(10_000):
        total = total + x
    total.sum().backward()
    assert x.grad.tolist() == [10_000.0, 10_000.0]


def train(torch, seed, steps, out):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 4, generator=generator)
    w = torch.randn(4, 2, generator=generator).requires_grad_()
    for _ in range(steps):
        loss = x.mm(w).tanh().pow(2).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.05 * w.grad
            w.grad.zero_()
    out[seed] = w.tolist()


def run_together(*targets):
    failures = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(t,)) for t in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_two_threads_train_as_one_does(torch):
    together, alone = {}, {}
    with interpreted():  # which thread's run is the first native one is a matter of chance
        run_together(*[lambda k=k: train(torch, k, 40, together) for k in range(2)])
        for k in range(2):
            train(torch, k, 40, alone)
    assert together == alone


def test_modes_belong_to_threads(torch):
    seen = {}
    entered, done = threading.Event(), threading.Event()

    def off():
        with torch.no_grad():
            entered.set()
            assert done.wait(10)
            seen["off"] = torch.is_grad_enabled()

    def on():
        assert entered.wait(10)
        seen["on"] = torch.is_grad_enabled()
        seen["inference"] = torch.zeros(1).is_inference()
        done.set()

    run_together(off, on)
    assert seen == {"off": False, "on": True, "inference": False}


def test_inference_mode_marks_only_its_own_threads_tensors(torch):
    seen = {}

    def other():
        t = torch.zeros(2) + 1
        t.add_(1)
        seen["other"] = t.is_inference(), t._version

    with torch.inference_mode():
        run_together(other)
        seen["own"] = (torch.zeros(2) + 1).is_inference()
    assert seen == {"other": (False, 1), "own": True}


def test_pending_values_of_another_thread(torch):
    x = torch.ones(3, requires_grad=True)
    y = (x * 2 + 1).exp()  # recorded here, not yet computed
    seen = {}

    def use():
        z = y * 2
        z.sum().backward()
        seen["values"] = y.tolist()

    run_together(use)
    expected = [float(v) for v in (torch.ones(3) * 3).exp().tolist()]
    assert seen["values"] == pytest.approx(expected)
    assert x.grad.tolist() == pytest.approx([4 * v for v in expected])


def test_backward_in_a_thread_of_a_graph_made_elsewhere(torch):
    x = torch.ones(3, requires_grad=True)
    loss = (x * x).sum()
    run_together(loss.backward)
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_tensor_returned_by_a_finished_thread(torch):
    made = []
    run_together(lambda: made.append(torch.ones(2).exp() + 1))
    assert made[0].tolist() == pytest.approx([3.7182817, 3.7182817])
