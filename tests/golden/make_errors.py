"""Write `errors.json`: what the real PyTorch raises for every usual mistake.

python -m tests.golden.make_errors
"""

import json
import re
import sys
import warnings
from pathlib import Path

import torch

from tests.parity.errors import refuse
from tests.parity.more_errors import MISTAKES

PATH = Path(__file__).with_name("errors.json")


def main() -> int:
    """Make every mistake and write down how PyTorch complains."""
    if not torch.__version__.startswith("2.13") or "bital" in torch.__version__:
        print(f"golden data come from PyTorch 2.13, this is {torch.__version__}", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    found = {}
    for mistake in MISTAKES:
        refusal = refuse(torch, mistake)
        if refusal is None:
            print(f"{mistake.key} is no mistake: PyTorch accepts it", file=sys.stderr)
            return 1
        message = re.sub(r"0x[0-9a-f]+", "0x0", refusal.message.strip())
        found[mistake.key] = [refusal.kind, message.split("\nException raised from")[0][:400]]
    PATH.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
