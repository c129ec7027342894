"""BITAL_LOG: what was recorded, where it was cut and why, and whether the plan was known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import torch

x = torch.ones(4, 3)
w = torch.ones(3, 2, requires_grad=True)
for _ in range(4):
    loss = x.mm(w).pow(2).sum()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad.zero_()
print(loss.item())
"""


def log(tmp_path, words, folder=None):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "bital", "run", str(script)],
        env={**os.environ, "BITAL_LOG": words, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines(), script


def test_plan_names_reason_line_and_whether_the_plan_was_known(tmp_path):
    lines, script = log(tmp_path, "plan")
    assert len(lines) == 4, "one cut an iteration, and the loss was computed with its own"
    assert all(f"at {script}:" in line and "updated a leaf" in line for line in lines)
    assert lines[0].endswith("plan new")
    assert lines[-1].endswith("plan known")


def test_trace_names_operations_shapes_and_lines(tmp_path):
    lines, script = log(tmp_path, "trace")
    product = next(line for line in lines if "= mm(" in line)
    assert "float32[4,2]" in product
    assert product.endswith(f"# {script}:7")
    kept = [line for line in lines if "kept" in line and "= sub(" in line]
    assert kept, "the updated weights are kept"


def test_files_below_the_working_directory_are_named_from_there(tmp_path):
    lines, _ = log(tmp_path, "plan", tmp_path)
    assert all("at program.py:" in line for line in lines)


def test_nothing_is_printed_unless_asked_for(tmp_path):
    lines, _ = log(tmp_path, "")
    assert lines == []
