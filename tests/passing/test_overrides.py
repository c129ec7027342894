"""Subclasses of Tensor and `__torch_function__`, compared with PyTorch.

In processes of their own, since the first subclass makes the public functions ask.
"""

import os
import subprocess
import sys

import pytest

from tests.structure.source import ROOT

PROGRAM = """
import torch
from torch.overrides import handle_torch_function, has_torch_function, is_tensor_like

x = torch.arange(6.0).reshape(2, 3)
print(torch.relu.__name__, is_tensor_like(x), is_tensor_like(3), has_torch_function((x,)))

class Plain(torch.Tensor):
    pass

p = x.as_subclass(Plain)
for y in (p + 1, 1 - p, p.sum(), p @ x.T, torch.relu(p), p[0], p.T, torch.cat([x, p]), p.max(0)[1]):
    print(type(y).__name__, y.tolist())
print(type(torch.nn.functional.softmax(p, -1)).__name__, type(p.split(1)[0]).__name__)
q = p.clone()
q += 1
print(type(q).__name__, isinstance(q, Plain), type(p.shape).__name__, has_torch_function((p,)))

class Logged(torch.Tensor):
    seen = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})

l = x.as_subclass(Logged)
z = torch.mul(l, 2).exp().sum()
print(Logged.seen, type(z).__name__, z.item() > 0)

HANDLED = {}

class Diagonal:
    def __init__(self, n, value):
        self.n, self.value = n, value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func not in HANDLED:
            return NotImplemented
        return HANDLED[func](*args, **(kwargs or {}))

HANDLED[torch.mean] = lambda d: d.value / d.n
print(torch.mean(Diagonal(4, 2.0)), is_tensor_like(Diagonal(1, 1)))
try:
    torch.exp(Diagonal(1, 1))
except TypeError as error:
    print(str(error).split(":")[0])

class Leaf(torch.nn.Parameter):
    pass

w = Leaf(torch.ones(2))
print(type(w * 2).__name__, type(w).__name__)

class Metadata(torch.Tensor):
    @staticmethod
    def __new__(cls, data, note):
        made = torch.Tensor._make_subclass(cls, data)
        made.note = note
        return made

m = Metadata(x, "kept")
print(m.note, type(m * 2).__name__)
g = x.clone().requires_grad_().as_subclass(Plain)
(g * g).sum().backward()
layer = torch.nn.Linear(3, 1)
with torch.no_grad():
    layer.weight.fill_(1.0)
    layer.bias.fill_(0.0)
    out = layer(p)
print(type(out).__name__, out.tolist())

from torch.overrides import TorchFunctionMode

class Count(TorchFunctionMode):
    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        type(self).calls += 1
        return func(*args, **(kwargs or {}))

with Count():
    torch.relu(x)
    torch.exp(x)
print(Count.calls)

def fancy(a):
    if has_torch_function((a,)):
        return handle_torch_function(fancy, (a,), a)
    return a

HANDLED[fancy] = lambda d: "handled"
print(fancy(Diagonal(1, 1)), fancy(3))
"""


def run(*command):
    done = subprocess.run(
        [sys.executable, *command, "-"], input=PROGRAM, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_subclasses_behave_as_in_torch():
    pytest.importorskip("torch")
    assert run("-m", "bital", "run") == run()


def test_the_program_runs_without_torch():
    out = run("-m", "bital", "run")
    assert "Plain [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]" in out and "['mul', 'exp', 'sum'" in out
