"""A room imports only from itself and the rooms before it, and at the top of the file."""

import sys
from pathlib import PurePath

from tests.structure.source import ROOT, Import, python_files, read_imports

ROOMS = (
    "base",
    "streams",
    "ir",
    "plan",
    "codegen",
    "runtime",
    "tensor",
    "ops",
    "autograd",
    "torch",
)
THIRD_PARTIES = {"ml_dtypes", "numpy"}
# Loaded only by the operator that needs them, so they are imported inside functions and only there.
LAZY = {"llvmlite", "onnx", "onnxruntime", "scipy", "tensorboardX"}
# Imports inside a function that have a reason of their own: (file, module).
LISTED: set[tuple[str, str]] = {
    # the compiler is loaded when a plan is first compiled
    ("bital/runtime/compile.py", "bital.codegen.background"),
    ("bital/runtime/compile.py", "bital.codegen.native"),
    ("bital/runtime/log.py", "bital.codegen"),
    ("bital/runtime/profile.py", "bital.codegen"),
    # and what generates code when a plan is not on the disk
    ("bital/codegen/native.py", "bital.codegen.generate"),
    ("bital/insight.py", "bital.codegen"),
    ("bital/insight.py", "bital.codegen.report"),
}


def room_rank(module: str) -> int:
    """A room's place in the order; the runner and the package itself come after all rooms."""
    parts = module.split(".")
    return ROOMS.index(parts[1]) if len(parts) > 1 and parts[1] in ROOMS else len(ROOMS)


def complaint(path: PurePath, found: Import) -> str | None:
    """What is wrong with one import of `bital/...`, or None."""
    module_name = ".".join(path.with_suffix("").parts)
    top = found.module.partition(".")[0]
    listed = (path.as_posix(), found.module) in LISTED
    if found.relative:
        return "is relative"
    if found.in_function and top not in LAZY and not listed:
        return "stands inside a function"
    if top == "bital":
        if room_rank(found.module) > room_rank(module_name):
            return "reaches up to a later room"
    elif top in LAZY:
        if not found.in_function:
            return "must stand inside the function that needs it"
    elif top not in THIRD_PARTIES and top not in sys.stdlib_module_names:
        return "is no dependency of bital"
    return None


def complaints(path: PurePath, source: str) -> list[str]:
    """Every complaint about one file, as `file:line: import of module ...`."""
    return [
        f"{path}:{found.line}: import of {found.module} {wrong}"
        for found in read_imports(source)
        if (wrong := complaint(path, found))
    ]


def test_imports_follow_the_order_of_rooms():
    found = [
        line
        for path in python_files("bital")
        for line in complaints(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_every_folder_of_the_package_is_a_room():
    folders = {path.parts[1] for path in python_files("bital") if len(path.parts) > 2}
    assert folders <= set(ROOMS)


def test_listed_exceptions_are_still_needed():
    inside = {
        (path.as_posix(), found.module)
        for path in python_files("bital")
        for found in read_imports((ROOT / path).read_text(encoding="utf-8"))
        if found.in_function
    }
    assert inside >= LISTED


def test_each_kind_of_wrong_import_is_seen():
    path = PurePath("bital/ir/example.py")
    for source, expected in {
        "from bital.tensor.tensor import Tensor": "later room",
        "from bital import torch": "later room",
        "import bital.torch as torch": "later room",
        "import bital.importer": "later room",
        "def f():\n    import numpy": "inside a function",
        "class A:\n    def f(self):\n        from bital.base import size": "inside a function",
        "from . import trace": "relative",
        "import scipy.special": "must stand inside",
        "import pandas": "no dependency",
        "if True:\n    import torch": "no dependency",
    }.items():
        found = complaints(path, source)
        assert len(found) == 1 and expected in found[0], (source, found)
    right = "import os\nimport numpy\nfrom bital.base import size\nfrom bital.ir import trace\n"
    assert not complaints(path, right + "def f():\n    from scipy import special\n")
    assert not complaints(PurePath("bital/torch/nn/example.py"), "import bital.torch as torch")
