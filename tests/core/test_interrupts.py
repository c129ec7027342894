"""Ctrl-C wherever it comes: what was recorded is still to be done, or is done, but never lost."""

import signal
import sys

import numpy as np
import pytest

from bital.base import config
from bital.runtime.executor import cache

#: where Ctrl-C comes: recording, and running what was recorded
FILES = ("ir/trace.py", "ir/prefix.py", "runtime/executor.py", "tensor/recorders.py")


class CtrlC:
    """Raises KeyboardInterrupt before instruction number `n` of Python's that runs in `FILES`.

    But not where the program would not be interrupted.
    """

    def __init__(self, n: int) -> None:
        self.left = n

    def __enter__(self):
        sys.settrace(self.enter)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def enter(self, frame, event, arg):
        if frame.f_code.co_filename.replace("\\", "/").endswith(FILES):
            frame.f_trace_opcodes = True
            return self.step
        return None

    def step(self, frame, event, arg):
        if event == "opcode" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.step


def training(torch):
    """Weights, a sum that lives on, and a step that changes both."""
    torch.manual_seed(0)
    w, x, total = torch.randn(3, 3, requires_grad=True), torch.randn(3, 3), torch.zeros(3)

    def step():
        torch.tanh(x @ w).square().sum().backward()
        with torch.no_grad():
            w.sub_(0.1 * w.grad)
            total.add_(w.sum(0))
            w.grad = None

    return w, total, step


def look(*tensors):
    return [t.detach().numpy().copy() for t in tensors]


@pytest.mark.parametrize("mode, runs", [("never", 1), ("never", 4), ("always", 4)])
def test_a_step_is_done_or_to_be_done(torch, mode, runs):
    if mode == "always":
        pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")
    w, total, step = training(torch)
    expected = []
    for _ in range(runs + 1):
        expected.append(look(w, total))
        step()
    expected = [*expected[-1:], look(w, total)]
    with config.override(compile=mode):
        n = 1
        while True:
            w, total, step = training(torch)
            if runs == 1:
                cache.plans.clear()
            for _ in range(runs):
                step()
            look(w, total)
            try:
                with CtrlC(n):
                    step()
            except KeyboardInterrupt:
                n += 7
            else:
                break
            for k, found in enumerate(look(w, total)):
                close = [np.allclose(found, e[k], rtol=1e-4, atol=1e-5) for e in expected]
                assert any(close), f"Ctrl-C at instruction {n - 7}"
            step()  # which finds nothing wrong
    assert n > 300


def test_one_instruction_is_done_or_to_be_done(torch):
    x = torch.zeros(3)
    (x + 1).tolist(), (x + 1).tolist()
    n = 1
    while True:
        y = None
        try:
            with CtrlC(n):
                y = x + 1
                y.tolist()
        except KeyboardInterrupt:
            n += 1
        else:
            break
        assert y is None or y.tolist() == [1, 1, 1]
        assert (x + 2).tolist() == [2, 2, 2]
    assert n > 50
