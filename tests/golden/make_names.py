"""Write `names.json`: the public names of the real PyTorch, module by module.

python -m tests.golden.make_names
"""

import importlib
import json
import sys
import types
from pathlib import Path

import torch

from tests.passing.names import MODULES

PATH = Path(__file__).with_name("names.json")


def public_names(module: object, owner: str) -> list[str]:
    """What a module's `__all__` lists, else the functions, classes and values that are its own."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(
            {n for n in listed if owner == "torch" or n not in ("Tensor", "common_notes")}
        )
    found = []
    for name, value in vars(module).items():
        home = getattr(value, "__module__", None) or owner
        own = home == owner or home.startswith((f"{owner}.", "torch._C"))
        plain = isinstance(value, (types.ModuleType, str, dict)) or name in (
            "Tensor",
            "TYPE_CHECKING",
        )
        if own and not plain and not name.startswith("_"):
            found.append(name)
    return sorted(found)


def main() -> int:
    """Collect and write."""
    if not torch.__version__.startswith("2.13") or "bital" in torch.__version__:
        print(f"golden data come from PyTorch 2.13, this is {torch.__version__}", file=sys.stderr)
        return 1
    names = {n: public_names(importlib.import_module(n), n) for n in MODULES}
    methods = [n for n in dir(torch.Tensor) if not n.startswith("_") or n.startswith("__")]
    plain = set(dir(object))
    names["torch.Tensor"] = sorted(set(methods) - plain)
    PATH.write_text(json.dumps(names, indent=0) + "\n", encoding="utf-8")
    print(sum(map(len, names.values())), "names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
