"""Which of PyTorch's public names bital lacks, and why: patterns with reasons.

`python -m tests.passing.names` prints what is missing, by module.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

#: the modules whose public names are compared; `torch.Tensor` is added
MODULES = (
    "torch", "torch.accelerator", "torch.amp", "torch.autograd", "torch.autograd.forward_ad",
    "torch.autograd.functional", "torch.autograd.graph", "torch.autograd.profiler",
    "torch.backends.cuda", "torch.backends.cudnn", "torch.backends.mps", "torch.compiler",
    "torch.cuda", "torch.distributions", "torch.fft", "torch.func", "torch.hub", "torch.jit",
    "torch.linalg", "torch.masked", "torch.mps", "torch.multiprocessing", "torch.nested",
    "torch.nn", "torch.nn.attention", "torch.nn.functional", "torch.nn.init",
    "torch.nn.parameter", "torch.nn.utils", "torch.nn.utils.parametrizations",
    "torch.nn.utils.parametrize", "torch.nn.utils.prune", "torch.nn.utils.rnn",
    "torch.nn.utils.stateless", "torch.onnx", "torch.optim", "torch.optim.lr_scheduler",
    "torch.optim.swa_utils", "torch.overrides", "torch.profiler", "torch.random",
    "torch.serialization", "torch.signal.windows", "torch.sparse", "torch.special",
    "torch.storage", "torch.testing", "torch.types", "torch.utils.benchmark",
    "torch.utils.checkpoint", "torch.utils.data", "torch.utils.data.distributed",
    "torch.utils.hooks", "torch.utils.model_zoo", "torch.xpu",
)  # fmt: skip
PATH = Path(__file__).parents[1] / "golden" / "names.json"

#: (module, pattern of names, reason)
LACKING: list[tuple[str, str, str]] = []


def wanted() -> dict[str, list[str]]:
    """PyTorch's names by module."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def missing() -> dict[str, list[str]]:
    """The names that bital does not have, by module."""
    found = {}
    for module, names in wanted().items():
        if module == "torch.Tensor":
            target = importlib.import_module("bital.torch").Tensor
        else:
            try:
                target = importlib.import_module(f"bital.{module}")
            except ModuleNotFoundError:
                found[module] = names
                continue
        absent = [name for name in names if not hasattr(target, name)]
        if absent:
            found[module] = absent
    return found


def reason_for(module: str, name: str) -> str | None:
    """Why bital lacks a name, or None where nobody said."""
    for place, pattern, reason in LACKING:
        if place == module and re.fullmatch(pattern, name):
            return reason
    return None


def main() -> None:
    """Print what is missing."""
    names = wanted()
    absent = missing()
    for module in names:
        gone = absent.get(module, [])
        print(f"{module}: {len(names[module]) - len(gone)} of {len(names[module])}")
        for name in gone:
            print(f"    {name}: {reason_for(module, name) or 'NO REASON GIVEN'}")


if __name__ == "__main__":
    main()
