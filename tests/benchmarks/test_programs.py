"""Every benchmark program: two steps under bital, and the same numbers under torch."""

import json
import os
import subprocess
import sys

import harness
import performance
import pytest

from tests.tolerance import limits

NAMES = [program.name for program in performance.PROGRAMS]
TWO_STEPS = """
import json, sys
from importlib import import_module
import torch
values = {}
for name in sys.argv[1:]:
    torch.manual_seed(0)
    values[name] = import_module(name).setup()(2)
print(json.dumps(values))
"""


def two_steps(script, *command):
    """The value of every program after two steps, from one process."""
    script.write_text(TWO_STEPS, encoding="utf-8")
    path = os.pathsep.join([str(harness.PROGRAMS), str(harness.ROOT)])
    done = subprocess.run(
        [sys.executable, *command, str(script), *NAMES],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    return two_steps(tmp_path_factory.mktemp("programs") / "steps.py", "-m", "bital", "run")


def test_every_program_runs(values):
    assert list(values) == NAMES
    assert all(abs(value) < 1e4 for value in values.values())


@pytest.mark.parity
def test_every_program_gives_the_numbers_of_torch(values, tmp_path):
    pytest.importorskip("torch")
    rtol, atol = limits("float32", order=2)
    assert values == pytest.approx(two_steps(tmp_path / "steps.py"), rel=rtol, abs=atol)


@pytest.mark.parametrize("program", ["tanh_network.py", "numpy_by_hand.py", "item.py"])
def test_a_program_measures_itself(program, quick):
    figures = harness.call(harness.bital_command(program), quick)
    assert 0 < figures["best"] <= figures["median"]
    assert 0 < figures["first"] < 60


def test_breakdown(quick):
    figures = harness.call(harness.bital_command("breakdown.py", "tanh_network"), quick)
    assert figures["recording"] + figures["running"] == pytest.approx(figures["step"])
    assert figures["cuts"] >= 1
    assert figures["instructions"] > 20
    assert figures["opaque"] == []
    assert all(seconds > 0 for _, seconds, _ in figures["dearest"])


def test_plans(quick, tmp_path):
    pytest.importorskip("llvmlite", reason="without llvmlite nothing is compiled")
    command = harness.bital_command("plans.py")
    compiled, loaded = (harness.call(command, quick, XDG_CACHE_HOME=str(tmp_path)) for _ in "12")
    assert compiled["steps"] == loaded["steps"] > 2
    assert compiled["compiled"] > compiled["compile_s"] > 0


def test_failures(quick):
    commands = {
        "bital": harness.bital_command("item.py"),
        "jax": [sys.executable, "-c", "raise SystemExit('no jax here')"],
    }
    figures, failures = harness.in_turns(commands, quick, lambda text: None, "", ("jax",))
    assert list(figures) == ["bital"] and figures["bital"].value == 1.0
    assert failures == {"jax": "no jax here"}
    with pytest.raises(harness.Failed, match="no jax here"):
        harness.in_turns(commands, quick, lambda text: None, "")
