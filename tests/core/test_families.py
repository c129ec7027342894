"""Programs whose batch changes all the time: native for all sizes, and right for each."""

import os
import subprocess
import sys

import numpy as np
import pytest

import bital
from bital.base import config
from bital.runtime import compile, executor, families
from bital.runtime.budget import Budget

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Nothing is known from other tests."""
    fresh = Budget()
    for module in (compile, families):
        monkeypatch.setattr(module, "budget", fresh)
    executor.cache.plans.clear()
    executor.tree.clear()
    families.families.clear()
    return families.families.known


def of_kin(known):
    return [family for kin in known.values() for family in kin.families]


def train(torch, sizes):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 24), torch.nn.Tanh(), torch.nn.Linear(24, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for n in sizes:
        x, y = torch.randn(n, 6), torch.randint(0, 4, (n,))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


SIZES = [int(n) for n in np.random.default_rng(0).integers(1, 90, 60)]


@pytest.mark.own_runs
def test_training_on_batches_of_all_sizes(torch, known):
    got = train(torch, SIZES)
    (family,) = [f for f in of_kin(known) if len(f.code) > 10]
    assert family.state == "native" and family.native.clock[0] > 30
    with config.override(compile="never"):
        want = train(torch, SIZES)
    np.testing.assert_allclose(got, want, rtol=2e-5)


@pytest.mark.own_runs
def test_a_family_is_one_plan_to_look_at(torch):
    train(torch, SIZES)
    plan = next(p for p in bital.plans() if p.instructions > 10 and p.state == "native")
    assert plan.runs > 40 and plan.native_runs > 30
    assert "[n, 24]" in str(plan) and "n * " not in plan.llvm_ir
    assert plan.nbytes > 0


PROGRAM = """
import hashlib
from bital import torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(6, 24), torch.nn.ReLU(), torch.nn.Linear(24, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for n in torch.randint(9, 200, (40,)).tolist():
    optimizer.zero_grad()
    net(torch.randn(n, 6)).square().mean().backward()
    optimizer.step()
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in net.parameters())).hexdigest())
"""


def test_every_run_has_the_same_bits():
    def run(**environment):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    first, _ = run(OMP_NUM_THREADS="1")
    again, log = run(OMP_NUM_THREADS="2", BITAL_LOG="plan")
    assert again == first
    assert "native from now on, n from " in log


@pytest.mark.parametrize(
    "step",
    [
        lambda torch, n: torch.linalg.eigvalsh(torch.eye(n) + 1).sum().item(),  # NumPy's
        lambda torch, n: (torch.ones(n, 4) @ torch.ones(4, n)).sum().item(),  # n * n
        lambda torch, n: torch.ones(n).sort().values.sum().item(),
        lambda torch, n: torch.nn.functional.one_hot(torch.arange(n) % 5, n).sum().item(),
        lambda torch, n: torch.ones(n, n + n % 2).sum(0).sum().item(),  # n says not all
        lambda torch, n: (torch.ones(n) * (2.0 if n > 20 else 3.0)).sum().item(),
        lambda torch, n: (torch.arange(n) % 7).float().cumsum(0)[-1].item(),
        lambda torch, n: torch.ones(n, 3)[: n // 2].sum().item(),
        lambda torch, n: torch.ones(3, n).sum(1).mul(2).sum().item(),  # strides of n
        lambda torch, n: torch.ones(n, 3).std(0).sum().item(),
        lambda torch, n: torch.ones(n, 2, 4, 4).amax((2, 3)).sum().item(),
    ],
)
def test_programs_that_are_no_family_or_an_odd_one(torch, step):
    sizes = [*range(1, 40), *range(100, 90, -1)]
    got = [step(torch, n) for n in sizes]
    with config.override(compile="never"):
        want = [step(torch, n) for n in sizes]
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_errors_of_data_are_raised_for_every_size(torch):
    table = torch.ones(10, 3)
    for n in range(9, 40):
        rows = torch.arange(n) % 10
        assert torch.nn.functional.embedding(rows, table).sum().item() == 3 * n
    with pytest.raises(IndexError):
        torch.nn.functional.embedding(torch.arange(30), table).sum().item()


def test_two_changing_sizes_are_no_family(torch, known):
    for n in range(2, 30):
        assert (torch.ones(n, n * n % 17 + 2) * 2).sum().item() == 2 * n * (n * n % 17 + 2)
    assert not [f for f in of_kin(known) if len(f.code) > 1]
