"""Random programs for as long as one likes; the smallest program of every kind of disagreement.

    python -m tests.property.fuzz [SECONDS] [SEED]

Needs PyTorch. Lines are taken away from a failing program for as long as it fails in the same way.
"""

import random
import re
import sys
import time
import warnings

import torch as oracle

from bital import torch
from tests.property.compare import Disagreement, metadata, step, values
from tests.property.program import Program, Side


class Dice(Program):
    """A program drawn by Python's own generator instead of hypothesis."""

    def __init__(self, dice: random.Random, side: Side) -> None:
        super().__init__(None, side, numpy=dice.random() < 0.5)
        self.dice = dice

    def pick(self, choices: list):
        return self.dice.choice(choices)


def play(lines: list[str]) -> str | None:
    """What goes wrong when these lines run on both sides, or None."""
    ours, theirs = Side(torch), Side(oracle)
    program = Program(None, theirs)
    try:
        for line in lines:
            program.lines.append(line)
            step(program, line, ours, theirs)
        metadata(program, ours, theirs)
        values(program, ours, theirs)
    except Disagreement as error:
        return str(error).split("\n\n")[0]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def kind(complaint: str) -> str:
    """A complaint without its numbers and names."""
    return re.sub(r"\bt?\d+(\.\d+)?\b|\[.*\]|\n", "", complaint)[:70]


def shrink(lines: list[str], wanted: str) -> list[str]:
    """Fewer lines that fail in the same way."""
    smaller = True
    while smaller:
        smaller = False
        for n in reversed(range(len(lines))):
            fewer = lines[:n] + lines[n + 1 :]
            complaint = play(fewer)
            if complaint is not None and kind(complaint) == wanted:
                lines, smaller = fewer, True
                break
    return lines


def main(seconds: float, seed: int) -> int:
    """Play until the time is over; print what was found."""
    warnings.simplefilter("ignore")
    oracle.set_num_threads(1)
    dice = random.Random(seed)
    end = time.monotonic() + seconds
    found: dict[str, tuple[list[str], str]] = {}
    games = 0
    while time.monotonic() < end:
        side = Side(oracle)
        program = Dice(dice, side)
        for _ in range(dice.randint(3, 25)):
            side.run(program.line())
        games += 1
        complaint = play(program.lines)
        if complaint is None or kind(complaint) in found:
            continue
        lines = shrink(program.lines, kind(complaint))
        found[kind(complaint)] = lines, play(lines) or complaint
    for lines, complaint in found.values():
        print("\n".join(["", f"# {complaint[:300]}".replace("\n", " "), *lines]))
    print(f"\n{games} programs, {len(found)} kinds of disagreement")
    return 1 if found else 0


if __name__ == "__main__":
    seconds, seed = [*sys.argv[1:], *("30", "0")[len(sys.argv) - 1 :]]
    sys.exit(main(float(seconds), int(seed)))
