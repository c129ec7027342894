"""Search: random programs played for as long as one likes, for what goes wrong with them."""

import random
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

#: what begins alike is the same complaint while lines are taken away, and of one kind after
_SAME, _KIND = 20, 60
#: letters of a program that is printed
_SHOWN = 3000


class Game(NamedTuple):
    """A program: its lines, in one list or several, its text, and what goes wrong with it."""

    lines: list[list]
    text: Callable[[], str]
    complaint: Callable[[], str | None]


def shorten(game: Game, wanted: str) -> str:
    """Take lines away for as long as it goes wrong in the same way; the text that is left."""
    for lines in game.lines:
        n = len(lines)
        while n:
            n -= 1
            line = lines.pop(n)
            found = game.complaint()
            if found is None or found[:_SAME] != wanted[:_SAME]:
                lines.insert(n, line)
            else:
                wanted = found
    return f"{game.text()}\n# {wanted}"


def search(play: Callable[[random.Random], Game]) -> None:
    """Play for the seconds and with the seed of the command line, by default 30 and 0."""
    seconds, seed = (float(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (30.0, 0)
    dice = random.Random(seed)
    end = time.monotonic() + seconds
    games, kinds = 0, set()
    while time.monotonic() < end:
        game = play(dice)
        games += 1
        found = game.complaint()
        if found is not None and found[:_KIND] not in kinds:
            kinds.add(found[:_KIND])
            print(f"\n# game {games}\n" + shorten(game, found)[:_SHOWN], flush=True)
    print(f"\n{games} games, {len(kinds)} kinds of disagreement", flush=True)
