"""What `import torch` and its submodules mean once bital has been installed as torch."""

import pytest

INSTALL = "import bital\nbital.install_as_torch()\n"
SAME_MODULES = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim, Tensor
from torch.nn import Linear
from torch.optim import Adam
from torch.utils.data import DataLoader
import torch.utils.data
import bital.torch
assert torch is bital.torch is sys.modules["torch"]
assert nn is bital.torch.nn is torch.nn and F is nn.functional
assert optim is bital.torch.optim and Adam is bital.torch.optim.Adam
assert torch.utils.data.DataLoader is DataLoader
for name, module in list(sys.modules.items()):
    if name.startswith("bital.torch"):
        assert sys.modules[name.removeprefix("bital.")] is module, name
        assert module.__spec__.name == name, (name, module.__spec__)
        assert module.__name__ == ("torch" if module is torch else name)
        assert module.__spec__.parent == module.__package__, name
print("same")
"""


@pytest.fixture
def decoy(programs):
    """A `torch` which a program would find first, were it not for bital."""
    programs.write("torch/__init__.py", "raise SystemExit('the wrong torch')")
    return programs


def test_every_way_to_import_gives_the_same_modules(decoy):
    decoy.write("program.py", SAME_MODULES)
    decoy.write("called.py", INSTALL + SAME_MODULES)
    assert decoy.bital("run", "program.py") == (0, "same\n", "")
    assert decoy.bital("run", "-m", "program") == (0, "same\n", "")
    assert decoy.python("called.py") == (0, "same\n", "")


def test_a_deep_import_comes_first(decoy):
    decoy.write(
        "program.py", "import torch.nn.functional\nimport bital\nprint(torch is bital.torch)"
    )
    assert decoy.bital("run", "program.py") == (0, "True\n", "")


def test_find_spec(decoy):
    text = """
from importlib.util import find_spec
import sys
specs = [find_spec("torch"), find_spec("torch.nn"), find_spec("torch.utils.data")]
print(all(specs), specs[0].origin.endswith("bital/torch/__init__.py"))
print(find_spec("torch.surely_missing"), find_spec("bital.torch.surely_missing"))
import torch.nn
print(find_spec("torch.nn").name)
"""
    decoy.write("program.py", text)
    out = decoy.bital("run", "program.py")
    assert out == (0, "True True\nNone None\nbital.torch.nn\n", "")


@pytest.mark.parametrize(
    "statement",
    [
        "import torch.surely_missing",
        "from torch import surely_missing",
        "from torch.surely_missing import x",
        "import importlib; importlib.import_module('torch.surely_missing')",
    ],
)
def test_a_missing_submodule_is_named(decoy, statement):
    path = decoy.write("program.py", f"def f():\n    {statement}\nf()\n")
    out = decoy.bital("run", "program.py")
    assert out.code == 1
    error = "ImportError" if "from torch import" in statement else "ModuleNotFoundError"
    assert out.stderr.endswith(
        f"\n{error}: bital does not have 'torch.surely_missing' "
        "(PyTorch 2.13 API not yet covered)\n"
    )
    files = {line for line in out.stderr.splitlines() if line.startswith("  File ")}
    if "importlib" not in statement:
        assert all(str(path) in line for line in files), "only the program's own frames are shown"


def test_a_missing_submodule_can_be_caught(decoy):
    decoy.write(
        "program.py",
        "try:\n    from torch import surely_missing\n"
        "except ImportError as error:\n    print(error.name)\n",
    )
    assert decoy.bital("run", "program.py") == (0, "torch.surely_missing\n", "")


def test_a_missing_attribute_is_named(decoy):
    decoy.write("program.py", "import torch\nprint(hasattr(torch, 'surely_missing'))\n")
    assert decoy.bital("run", "program.py").stdout == "False\n"
    owners = ["torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.autograd"]
    for owner in [*owners, "torch.linalg", "torch.utils", "torch.utils.data"]:
        decoy.write("program.py", f"import {owner}\n{owner}.surely_missing\n")
        error = decoy.bital("run", "program.py").stderr.splitlines()[-1]
        assert error.startswith(
            f"AttributeError: module '{owner}' has no attribute 'surely_missing': bital lacks it"
        )


def test_the_real_torch_must_not_have_come_first(programs):
    programs.write("torch/__init__.py", "")
    programs.write("program.py", "import torch\n" + INSTALL)
    out = programs.python("program.py")
    assert out.code == 1
    assert "RuntimeError: bital cannot stand in for torch: the real torch has already" in out.stderr


def test_installing_twice_is_installing_once(programs):
    programs.write("program.py", INSTALL + INSTALL + "import sys\nprint(len(sys.meta_path))")
    programs.write("plain.py", "import sys\nprint(len(sys.meta_path) + 1)")
    assert programs.python("program.py") == programs.python("plain.py")
    programs.write("later.py", "import bital.torch\n" + INSTALL + INSTALL + "import torch")
    assert programs.python("later.py").code == 0


def test_libraries_find_torchs_name_and_version(decoy):
    text = """
from importlib import metadata
import torch
assert torch.__name__ == "torch" and torch.__spec__.name == "bital.torch"
assert metadata.version("torch") == metadata.distribution("Torch").version == torch.__version__
assert "torch" in metadata.packages_distributions()["torch"]
assert metadata.files("torch") is None and metadata.requires("torch") is None
try:
    metadata.version("torch-surely-missing")
except metadata.PackageNotFoundError:
    print("found")
"""
    decoy.write("program.py", text)
    assert decoy.bital("run", "program.py") == (0, "found\n", "")
