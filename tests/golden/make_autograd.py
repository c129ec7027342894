"""Writes `autograd.json`: what PyTorch returns for the scenarios of tests/autograd.

python -m tests.golden.make_autograd      (where torch 2.13 is installed)
"""

import json
from pathlib import Path

from tests.autograd.scenarios import SCENARIOS
from tests.autograd.scenarios.case import outcome

GOLDEN = Path(__file__).with_name("autograd.json")


def main() -> None:
    import torch

    torch.set_num_threads(1)
    results = {name: outcome(program, torch) for name, program in SCENARIOS.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(result)}" for name, result in results.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
