"""Keep what the programs of tests/programs print under torch.

    python tests/golden/make_programs.py [NAME ...]

Run it where torch 2.13 is installed; one thread, so that sums are taken in one order.
"""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROGRAMS = TESTS / "programs"
GOLDEN = TESTS / "golden" / "programs"


def printed(path: Path) -> str:
    """What the program prints under torch."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{path.name} failed:\n{done.stderr}")
    return done.stdout


def main(names: list[str]) -> None:
    """Write the golden files of the named programs, or of all."""
    for path in sorted(PROGRAMS.glob("*.py")):
        if path.stem in ("__init__", "test_programs") or (names and path.stem not in names):
            continue
        text = printed(path)
        (GOLDEN / f"{path.stem}.txt").write_text(text, encoding="utf-8")
        print(path.stem, len(text.splitlines()), "lines")


if __name__ == "__main__":
    main(sys.argv[1:])
