"""Write `files/*.pt`: files that the real PyTorch saved, which bital must load.

python -m tests.golden.make_files
"""

import sys
from pathlib import Path

import torch

from tests.files.objects import everything

FOLDER = Path(__file__).with_name("files")


def main() -> int:
    """Save everything in today's format, and in that of PyTorch before 1.6."""
    if not torch.__version__.startswith("2.13") or "bital" in torch.__version__:
        print(f"golden data come from PyTorch 2.13, this is {torch.__version__}", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    torch.save(everything(torch), FOLDER / "zip.pt")
    legacy = FOLDER / "legacy.pt"
    torch.save(everything(torch), legacy, _use_new_zipfile_serialization=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
