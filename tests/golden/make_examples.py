"""Makes examples.json: what the example programs print under the real PyTorch.

    python -m tests.golden.make_examples

Of examples/autograd_mlp.py every loss is kept, of examples/digits_mlp.py every printed line.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("examples.json")
EVERY_HUNDREDTH = "if iteration % 100 == 0:"
LOSS = re.compile(r"^>>>> Loss:  (\S+)$", re.MULTILINE)

MLP_ITERATIONS = 100
MLP_SEEDS = (0, 7)
DIGITS_SEEDS = (0, 2)


def run(command: list[str], *arguments: str | int) -> str:
    """What a program prints, run on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def every_loss(command: list[str], folder: Path, iterations: int, seed: int) -> list[float]:
    """The losses of examples/autograd_mlp.py, changed in `folder` to print each one."""
    source = (ROOT / "examples" / "autograd_mlp.py").read_text(encoding="utf-8")
    if source.count(EVERY_HUNDREDTH) != 1:
        raise RuntimeError(f"examples/autograd_mlp.py no longer says {EVERY_HUNDREDTH!r}")
    program = folder / "autograd_mlp.py"
    program.write_text(source.replace(EVERY_HUNDREDTH, "if True:"), encoding="utf-8")
    return [float(text) for text in LOSS.findall(run(command, program, iterations, seed))]


def main(folder: Path) -> None:
    """Run everything under torch and write the file."""
    python = [sys.executable]
    golden = {
        "autograd_mlp": {
            str(seed): [float(f"{loss:.7g}") for loss in losses]
            for seed in MLP_SEEDS
            for losses in [every_loss(python, folder, MLP_ITERATIONS, seed)]
        },
        "digits_mlp": {
            str(seed): run(python, ROOT / "examples" / "digits_mlp.py", seed).splitlines()
            for seed in DIGITS_SEEDS
        },
    }
    FILE.write_text(json.dumps(golden, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
