"""Arrays that begin with a line of the cache."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

from bital import torch
from bital.base import lines

pytestmark = pytest.mark.skipif(lines.BY_LINES is None, reason="memory is had in another way here")


def begins(array):
    return array.ctypes.data % lines.LINE


def made(*sizes):
    before = lines.allocator.set(lines.BY_LINES)
    try:
        return [np.empty(n, np.uint8) for n in sizes]
    finally:
        lines.allocator.reset(before)


def test_new_arrays_begin_with_lines_while_it_is_asked_for():
    arrays = made(*range(1, 20000, 317))
    assert not any(map(begins, arrays))
    assert any(begins(np.empty(n, np.uint8)) for n in range(1, 20000, 317))
    assert get_handler_name(arrays[0]) != get_handler_name(np.empty(5))


def test_arrays_of_either_kind_grow_and_are_freed():
    rng = np.random.default_rng(0)
    kept = []
    for _ in range(300):
        kept += made(*rng.integers(1, 5000, 5))
        kept.append(np.ones(rng.integers(1, 5000), np.uint8))
        grown = kept.pop(rng.integers(len(kept)))
        grown[:] = 7
        size = grown.size
        grown.resize(2 * size, refcheck=False)
        assert grown[:size].min() == 7 and not grown[size:].any()
        del kept[:: rng.integers(2, 5)]


def test_a_thread_asks_for_itself():
    before = lines.allocator.set(lines.BY_LINES)
    names = []
    thread = threading.Thread(target=lambda: names.append(get_handler_name(np.empty(5))))
    thread.start()
    thread.join()
    lines.allocator.reset(before)
    assert names == [get_handler_name(np.empty(5))]


def test_parameters_state_and_results_begin_with_lines():
    layer = torch.nn.Linear(100, 50)
    optimizer = torch.optim.Adam(layer.parameters())
    for _ in range(15):
        optimizer.zero_grad()
        layer(torch.ones(20, 100)).square().mean().backward()
        optimizer.step()
    state = optimizer.state[layer.weight]
    for t in (layer.weight, layer.weight.grad, state["exp_avg"], state["exp_avg_sq"]):
        assert begins(t._storage.value.buf) == 0


def test_which_arrays_are_worth_it():
    assert lines.worth_it([8, 100_000])
    assert not lines.worth_it([8, 64])
    assert not lines.worth_it([])
    assert not lines.worth_it([100_000, 5 << 20])


def test_arrays_may_outlive_everything():
    program = (
        "from bital import torch\n"
        "import sys\n"
        "sys.kept = torch.randn(3000).numpy()\n"
        "torch.kept = torch.randn(3000)\n"
        "kept = torch.randn(3000)\n"
        "assert torch.rand(3000)._storage.value.buf.ctypes.data % 64 == 0\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
