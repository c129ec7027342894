"""Compiled plans in all that surrounds a run: who holds memory, errors, threads, forks, Ctrl-C."""

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
from operator import itemgetter

import numpy as np
import pytest

from bital.base import config
from bital.runtime.executor import cache
from tests.compiled import both

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def always():
    cache.plans.clear()
    with config.override(compile="always"):
        yield


def test_what_is_an_input_unchanged_is_copied(torch):
    source = np.zeros(3, np.float32)
    t = torch.from_numpy(source).clone()
    source[0] = 9
    assert t.tolist() == [0.0, 0.0, 0.0]


def test_two_names_of_one_value_are_apart_once_exported(torch):
    x = torch.ones(3)
    a, b = x + 1, x + 1
    a.numpy()[0] = 7
    assert b.tolist() == [2.0, 2.0, 2.0]


def test_states_stay_where_they_are(torch):
    """Each of several arrays alike is updated in place, none in another one's."""
    p, mean = torch.zeros(5), torch.zeros(5)
    g = torch.ones(5)
    places = []
    for _ in range(3):
        with torch.no_grad():
            mean.mul_(0.9).add_(g, alpha=0.1)
            p.sub_(mean)
        p.sum().item()
        places.append([t._storage.value.buf.ctypes.data for t in (p, mean)])
    assert places[0] == places[1] == places[2]


def test_nothing_is_overwritten_before_conditions_hold(torch):
    """Conditions may be computed where a result would take an input's place."""
    x = torch.zeros(4)
    at = torch.tensor([0, 5])
    x.sum().item()
    with pytest.raises(IndexError):
        x += 1
        x.index_select(0, at).sum().item()
    y = torch.ones(4)
    assert (y + y).tolist() == [2.0] * 4


def test_whole_division_under_a_mask(torch):
    """Lanes beyond the last element hold zeros; divided by they ended the process (SIGFPE)."""
    with both(exact=True):
        for kind in ("int8", "int16", "int32", "int64"):
            y = torch.tensor([2, -3, 5], dtype=getattr(torch, kind))
            x = torch.tensor([7, 7, -7], dtype=getattr(torch, kind))
            whole, rest = x // y, x % y
            assert whole.tolist() == [3, -3, -2] and rest.tolist() == [1, -2, 3]


def test_groups_of_nodes_that_wait(torch):
    """What waits for a user counts as what it is made of: groups once needed each other."""
    with both():
        x = torch.rand(3, 4, requires_grad=True)
        y = torch.rand(3, 4, requires_grad=True)
        first = torch.autograd.grad(torch.dist(x, y), [x, y], create_graph=True)
        torch.autograd.grad([(f * 0.5).sum() for f in first], [x, y])[0].sum().item()


def test_a_node_seen_along_two_axes(torch):
    with both(exact=True):
        s = torch.tensor([[2.0], [3.0]])
        rows = torch.arange(6.0).reshape(3, 2)[:, 0]
        t = s * s
        u = t.unsqueeze(-1) * t
        assert torch.minimum(u, rows + 30).tolist() == [
            [[16.0] * 3, [30.0, 32.0, 34.0]], [[30.0, 32.0, 34.0], [30.0, 32.0, 34.0]]
        ]  # fmt: skip


@pytest.mark.parametrize("size", [65_536, 66_000, 100_003, 200_000, 262_144])
@pytest.mark.parametrize("kind", ["int64", "int32", "float32", "float64", "uint8"])
def test_reductions_in_parts(torch, size, kind):
    """Chunks that were no whole number of vectors side by side read into the next one."""
    with both():
        x = (torch.arange(2 * size) % 251).to(getattr(torch, kind)).reshape(2, size)
        for how in ("sum", "amax", "amin"):
            getattr(x, how)(1).tolist(), getattr(x, how)().item(), getattr(x.T, how)(0).tolist()


def test_nothing_that_anybody_wants(torch):
    x = torch.rand(3)
    with both() as seen:
        for _ in range(3):
            x * 2
            torch.zeros(3).numpy()  # runs what was recorded
    assert seen.plans


@pytest.mark.parametrize("how", ["sum", "amax", "logsumexp"])
def test_reductions_of_what_is_seen_through_memory(torch, how):
    """They come after the loop that writes it."""
    x = torch.rand(24, 48, dtype=torch.float64) - 0.5
    with both():
        for seen in (x.abs().flip(1), (x + 1).flip(0), x.neg().unfold(1, 48, 1)[:, 0]):
            assert getattr(seen, how)(1).isfinite().all()
            assert getattr(seen * 2, how)(1).isfinite().all()


def test_nothing_of_much_is_written(torch):
    """An empty window of a large array is no work that could be cut into chunks."""
    x = torch.rand(1000, 1000, requires_grad=True)
    with both() as seen:
        (x * 2)[:0].sum().backward()
        y = torch.zeros(1000, 1000)
        y[5:5] = (x.detach() + 1)[:0]
        assert not x.grad.any() and not y.any()
    assert seen.plans


def test_long_chains(torch):
    """Neither fusion nor the writing of a kernel goes down a chain by calls."""
    with both(exact=True):
        x = torch.ones(5)
        y = x
        for k in range(1000):
            y = (y + 1).clamp(max=k)
        assert y.sum().item() == 5 * 999


def test_long_chains_of_numbers_and_of_short_rows(torch):
    """Of numbers alone, and of rows that registers hold; each number is met twice."""
    number, row = torch.ones(()), torch.rand(4, 4)
    with both():
        total = number
        for _ in range(600):
            total = (total + total) * 0.5
        for _ in range(230):
            row = row.t() + 1
        assert total.item() == 1
        assert row.sum(1).isfinite().all()


def test_rows_that_wait_come_after_the_sums_they_need(torch):
    with both():
        a = torch.rand(3, 4, requires_grad=True)
        b = torch.rand(3, 4, requires_grad=True)
        torch.nn.functional.cosine_similarity(a, b).sum().backward()
        assert a.grad.shape == (3, 4) and a.grad.isfinite().all().item()


def test_nothing_to_reduce(torch):
    with both(exact=True):
        x = torch.ones(1, 1)
        assert ((x > 0).all() & (x > -1).any()).item() and x.sum().item() == 1


def test_windows_at_computed_places(torch):
    with both(exact=True):
        g = torch.arange(12.0).reshape(4, 3).requires_grad_()
        x = torch.zeros(6, requires_grad=True)
        (x.unfold(0, 3, 1) * g).sum().backward()
        assert x.grad.tolist() == [0.0, 4.0, 12.0, 21.0, 18.0, 11.0]


def test_errors_of_steps_left_to_numpy(torch):
    """They come as they are, with the line that recorded the step."""
    x = torch.zeros(3, 3)
    y = (x + 1).mul(0)
    with pytest.raises(RuntimeError) as caught:
        torch.linalg.cholesky(y - 1).sum().item()
    assert "test_plans.py" in "".join(getattr(caught.value, "__notes__", ["test_plans.py"]))
    assert (x + 1).tolist() == [[1.0] * 3] * 3


def test_threads_may_run_the_same_plan(torch):
    wrong = []

    def work(k: int) -> None:
        for n in range(200):
            x = torch.full((50,), float(k + n))
            got = ((x * 2 + 1) * x).sum().item()
            if got != 50 * ((k + n) * 2 + 1) * (k + n):
                wrong.append((k, n, got))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def run(program: str, **more) -> subprocess.CompletedProcess:
    env = {**os.environ, "BITAL_COMPILE": "always", "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=env, capture_output=True, text=True,
        timeout=120, **more,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_runs_and_compiles():
    done = run("""
        import os
        from bital import torch
        x = torch.rand(300, 300)
        first = (x @ x).tanh().sum().item()
        child = os.fork()
        if child == 0:
            same = (x @ x).tanh().sum().item() == first
            new = (x[:50] @ x).sigmoid().sum().item() > 0
            os._exit(0 if same and new else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """)
    assert done.stdout.strip() == "0", done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
def test_an_interrupt_leaves_a_usable_state():
    """Ctrl-C while native code writes over its inputs is delivered when it is done."""
    done = run("""
        import os, signal, threading
        from bital import torch
        w = torch.zeros(20_000_000)
        x = torch.ones(20_000_000)

        def step():
            with torch.no_grad():
                w.add_(x)

        for _ in range(3):
            step()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                step()
        except KeyboardInterrupt:
            pass
        low, high = w.min().item(), w.max().item()
        assert low == high, "a step was done in part"
        step()
        assert w.min().item() == w.max().item() == low + 1
        print("usable")
    """)
    assert done.stdout.strip() == "usable", done.stderr[-1500:]


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX does")
@pytest.mark.parametrize(("moment", "size"), [("before", 5), ("within", 6)])
def test_ctrl_c_does_not_divide_a_native_run(torch, monkeypatch, moment, size):
    """It is met when the native code has run and its results are where they belong."""
    w, x = torch.zeros(size, requires_grad=True), torch.ones(size)

    def step():
        with torch.no_grad():
            w.add_(x)

    for _ in range(3):
        step()
    (names,) = [p.at_once.__globals__ for p in cache.plans.values() if p.at_once and not p.brief]

    def before():
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)

    def within(run, *arguments):  # no Python runs between the code and the signal
        signals = map(_thread.interrupt_main, [signal.SIGINT])
        monkeypatch.undo()
        return map(itemgetter(0), zip(map(run, *arguments), signals))

    name, fake = ("now", before) if moment == "before" else ("map", within)
    monkeypatch.setitem(names, name, fake)
    with pytest.raises(KeyboardInterrupt):
        step()
    assert w.tolist() == [4.0] * size
    step()
    assert w.tolist() == [5.0] * size


@pytest.mark.parametrize("times", [3, 4, 13])
def test_the_end_of_a_program_is_quiet(times):
    """llvmlite complained of code that was freed after it was gone."""
    done = run(f"""
        from bital import torch
        from bital.base import config
        config.compile, config.cache = "hot", False
        for _ in range({times}):
            torch.ones(3).tanh().sum().item()
    """)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("size", [100, 250, 256, 270])
def test_rows_that_registers_hold_and_longer_ones(torch, size):
    torch.manual_seed(0)
    x = torch.randn(9, size, requires_grad=True)
    norm = torch.nn.LayerNorm(size)
    with both():
        y = torch.softmax(norm(x), 1)
        (y * y).sum().backward()
        assert x.grad.numpy().any() and norm.weight.grad.numpy().any()
