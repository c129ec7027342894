"""What importing bital loads: nothing heavy before it is used."""

import os
import subprocess
import sys

import pytest

from tests.structure.source import ROOT

HEAVY = {
    "llvmlite", "matplotlib", "multiprocessing", "numba", "pandas", "scipy", "sklearn", "torch",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The modules a fresh process has loaded after the statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_import_bital_loads_not_even_numpy():
    assert not loaded_by("import bital") & (HEAVY | {"numpy", "ml_dtypes"})


@pytest.mark.parametrize("statement", ["import bital.torch", "from bital import torch"])
def test_import_of_the_namespace_loads_nothing_heavy(statement):
    assert not loaded_by(statement) & (HEAVY | {"bital.codegen"})


def test_attributes_are_loaded_on_first_use():
    assert "numpy" in loaded_by("import bital\nassert 'torch' in dir(bital)\nbital.torch")
    loaded_by("import bital\nbital.install_as_torch()\nassert not hasattr(bital, 'nothing')")
