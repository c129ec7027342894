"""Training as native code: the same bits for every number of threads and in every run."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")

PROGRAM = """
import hashlib, sys
from bital import torch
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
net = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
    torch.nn.Linear(8 * 13 * 13, 64), torch.nn.LayerNorm(64), torch.nn.GELU(),
    torch.nn.Linear(64, 10),
)
optimizer = torch.optim.Adam(net.parameters())
images, labels = torch.randn(16, 1, 28, 28), torch.randint(0, 10, (16,))
for _ in range(20):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
import bital
assert any(p.state == "native" for p in bital.plans())
bits = b"".join(p.detach().numpy().tobytes() for p in net.parameters())
print(hashlib.sha256(bits).hexdigest(), loss.item())
"""


def run(threads, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(threads)], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_threads_and_runs_do_not_change_bits():
    first = run(1)
    assert run(1, PYTHONHASHSEED="1") == first
    assert run(2, PYTHONHASHSEED="2") == first
    assert run(3) == first


def test_results_in_the_place_of_inputs(torch):
    """A parameter that is read again after its update was recorded keeps its old value there."""
    w, x = torch.ones(40, 30), torch.arange(40.0 * 30).reshape(40, 30)
    seen = []
    for _ in range(16):
        before = w * 2
        w = w - 0.5 * x / 100
        seen.append((before.sum().item(), w.sum().item(), (w + before).sum().item()))
    expected, v = [], np.ones((40, 30), np.float32)
    for _ in range(16):
        then = v * 2
        v = v - np.float32(0.5) * np.asarray(x) / np.float32(100)
        expected.append((then.sum(), v.sum(), (v + then).sum()))
    np.testing.assert_allclose(seen, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("hold", ["value", "memory", "window"])
def test_what_somebody_holds_is_not_overwritten_by_a_known_program(torch, hold):
    """However long the plan that overwrites a parameter has been native."""
    w = torch.ones(64, requires_grad=True)

    def step():
        (w * w).sum().backward()
        with torch.no_grad():
            w.sub_(w.grad, alpha=0.25)
            w.grad = None

    for _ in range(30):
        step()
    with torch.no_grad():
        w.fill_(3)
    step()
    value = w._storage.value
    held = {"value": value, "memory": value.buf, "window": value.buf[1:]}[hold]
    del value
    step()
    seen = held.buf if hold == "value" else held
    assert (seen == 1.5).all() and w.tolist() == [0.75] * 64


def test_inputs_laid_out_otherwise_are_copied(torch):
    """What was compiled for contiguous arrays also runs for others, and for those again."""
    a = torch.randn(12, 7)
    for k in range(30):
        x = a if k < 15 else a.t().contiguous().t()
        got = torch.sigmoid(x) @ torch.ones(7, 3)
        want = 1 / (1 + np.exp(-a.numpy())) @ np.ones((7, 3), np.float32)
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-5)


def test_a_number_that_becomes_none_or_an_integer(torch):
    x = torch.linspace(-2, 2, 50)
    for k in range(40):
        low = None if k % 3 == 0 else -1
        high = 1 if k % 2 else 0.5
        got = torch.clamp(x, low, high)
        want = np.clip(x.numpy(), low, high)
        np.testing.assert_array_equal(np.asarray(got), want)


@pytest.mark.parametrize("last", [0, 1, 2, 8, 25])
def test_an_error_names_the_line_that_recorded_it(torch, last):
    """However the plan is run: step by step, as one Python function, as native code."""
    x = torch.zeros(4, 3, requires_grad=True)
    with pytest.raises(IndexError, match="Target 9 is out of bounds") as error:
        for k in range(30):
            target = torch.tensor([0, 1, 9 if k == last else 2, 0])
            loss = torch.nn.functional.cross_entropy(x, target)
            loss.backward()
            with torch.no_grad():
                x -= x.grad
                x.grad = None
    assert k == last
    line = test_an_error_names_the_line_that_recorded_it.__code__.co_firstlineno + 7
    assert f'test_native.py", line {line}, in' in "".join(error.value.__notes__)
