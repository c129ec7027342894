"""Write `ops.npz`: what the real PyTorch gives for every case, in the case's first dtype.

    python -m tests.golden.make_ops

Needs PyTorch 2.13; the tests that read the file do not.
"""

import json
import sys
import warnings

import torch

from tests.golden.store import PATH, Reader, Writer
from tests.parity.cases import CASES
from tests.parity.harness import run_case


def main() -> int:
    """Run every case and write the file; say how large it has become."""
    if not torch.__version__.startswith("2.13") or "bital" in torch.__version__:
        print(f"golden data come from PyTorch 2.13, this is {torch.__version__}", file=sys.stderr)
        return 1
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    writer = Writer()
    for op in CASES:
        record = run_case(torch, op, op.dtypes[0])
        record.form = json.loads(json.dumps(record.form))
        writer.add(op.key, record)
    writer.save(PATH, f"torch {torch.__version__}")
    print(f"{len(list(Reader()))} cases, {PATH.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
