"""What was recorded and compiled can be looked at."""

import os
import subprocess
import sys

import pytest

import bital
from bital.runtime import compile
from bital.runtime.budget import Budget

pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")


@pytest.fixture(autouse=True)
def _own_budget(monkeypatch):
    """Plans that other tests have compiled do not count."""
    fresh = Budget()
    monkeypatch.setattr(compile, "budget", fresh)


PROGRAM = """
from bital import torch
torch.manual_seed(0)
x, w = torch.randn(8, 5), torch.randn(5, 3, requires_grad=True)
for _ in range(20):
    loss = torch.relu(x @ w).sum()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None
"""


@pytest.mark.own_runs
def test_plans_show_their_kernels():
    exec(PROGRAM, {})
    found = [p for p in bital.plans() if p.state == "native" and "relu" in str(p)]
    assert found
    plan = found[0]
    assert 0 < plan.native_runs < plan.runs <= 20 and plan.seconds > 0 and plan.compile_s > 0
    first = plan.kernels[0]
    assert first.name.startswith("matmul + relu") or first.name.startswith("mm + relu")
    assert first.kind == "product" and first.shape == (8, 3) and first.nbytes > 4 * 8 * 5
    assert not plan.opaque
    assert f"@{first.function}(" in plan.llvm_ir and first.function in plan.assembly()
    assert "relu" in str(plan) and "interpreted" not in str(plan)
    assert "native_runs=" in repr(plan) and " object at " not in repr(plan)


def test_the_log_names_kernels_and_lines(tmp_path):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(file)], capture_output=True, text=True,
        env={**os.environ, "BITAL_LOG": "plan", "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kernels = [line for line in done.stderr.splitlines() if "product [8, 3]" in line]
    assert kernels and f"{file}:6" in kernels[0]


@pytest.mark.own_runs
def test_a_plan_without_native_code_says_so():
    from bital import torch

    (torch.arange(7) * 3).sum().item()
    plain = [p for p in bital.plans() if p.state == "interpreted"]
    with pytest.raises(RuntimeError, match="no native code"):
        plain[0].assembly()


@pytest.mark.own_runs
def test_a_profiler_shows_kernels():
    from bital import torch

    x = torch.arange(1000.0)

    def work():
        return (torch.tanh(x) * 3 + 1).sum().item()

    expected = [work() for _ in range(20)][-1]
    with torch.profiler.profile() as prof:
        assert work() == expected
    names = [e.key for e in prof.key_averages()]
    assert [n for n in names if n.startswith("kernel: tanh")], names
