"""What the benchmark commands share: measured processes, results, tables.

Each program is run in turns with its peers, a fresh process every time, all with the same number
of threads. What counts is the best time of all rounds: on a busy machine noise only ever adds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAMS = HERE / "programs"
PEERS = HERE / "peers"
#: how far the value of a program after some steps may lie from torch's, relative to it: training
#: the residual network, torch's own float32 comes 1.5e-4 away from its float64
TOLERANCE = 5e-4


@dataclass
class Settings:
    """How long and how often."""

    rounds: int
    seconds: float
    threads: int
    torch_python: str

    def environment(self) -> dict[str, str]:
        """The environment of a measured process; NPROC is the number of threads of JAX."""
        names = ("OMP", "MKL", "OPENBLAS", "VECLIB_MAXIMUM")
        threads = {f"{name}_NUM_THREADS": str(self.threads) for name in names}
        threads["VECLIB_MAXIMUM_THREADS"] = threads["NPROC"] = str(self.threads)
        paths = [str(ROOT), str(PROGRAMS), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            **threads,
            "PYTHONDONTWRITEBYTECODE": "",  # an installed package has its bytecode, too
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "BENCHMARK_THREADS": str(self.threads),
            "BENCHMARK_SECONDS": str(self.seconds),
            "BENCHMARK_START": repr(time.time()),
        }

    def on(self, threads: int) -> Settings:
        """The same with another number of threads."""
        return replace(self, threads=threads)


def add_settings(parser: argparse.ArgumentParser, peers: str) -> None:
    """Give a command the options that say how long and how often; `peers` are what Python has."""
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes per side")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time per process")
    parser.add_argument("--threads", type=int, default=2, help="of every side")
    parser.add_argument("--torch-python", default=sys.executable, help=f"a Python that has {peers}")
    parser.add_argument("--json", metavar="FILE", help="also write all figures; - for stdout")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """What the options of `add_settings` say."""
    rounds, seconds = (1, 0.5) if arguments.quick else (arguments.rounds, arguments.seconds)
    return Settings(rounds, seconds, arguments.threads, arguments.torch_python)


@dataclass
class Result:
    """One line of a table. `measured` is what the limit limits: a ratio, or seconds."""

    title: str
    korean: str
    measured: float
    limit: float | None
    unit: str
    bital_s: float | None = None
    torch_s: float | None = None
    notes: dict = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """ok or over; empty where there is no limit."""
        if self.limit is None:
            return ""
        return "ok" if self.measured <= self.limit else "over"


@dataclass
class Figures:
    """What several processes of one program found: seconds per step, and its value."""

    best: float = float("inf")
    first: float = float("inf")
    medians: list[float] = field(default_factory=list)
    value: float = float("nan")

    def add(self, found: dict) -> None:
        """Count one more process."""
        self.best, self.first = min(self.best, found["best"]), min(self.first, found["first"])
        self.medians.append(found["median"])
        self.value = found["value"]


class Failed(RuntimeError):
    """A measured process ended with an error."""


def call(command: list[str], settings: Settings, **environment: str) -> dict:
    """Run a program; its last line of output is JSON."""
    done = subprocess.run(
        command, env=settings.environment() | environment, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def torch_command(program: str, settings: Settings) -> list[str]:
    """A program under torch."""
    return [settings.torch_python, str(PROGRAMS / program)]


def bital_command(program: str, *arguments: str) -> list[str]:
    """A program under bital."""
    return [sys.executable, "-m", "bital", "run", str(PROGRAMS / program), *arguments]


def in_turns(
    commands: dict[str, list[str]],
    settings: Settings,
    tick: Callable,
    title: str,
    optional: tuple[str, ...] = (),
) -> tuple[dict[str, Figures], dict[str, str]]:
    """What each side's command finds, one round after the other.

    Also why those of the `optional` sides that failed did; the others must not fail.
    """
    figures: dict[str, Figures] = {}
    failures: dict[str, str] = {}
    for number in range(settings.rounds):
        for side, command in commands.items():
            if side in failures:
                continue
            tick(f"{title}: {side}, round {number + 1} of {settings.rounds}")
            try:
                figures.setdefault(side, Figures()).add(call(command, settings))
            except Failed as error:
                if side not in optional:
                    raise
                failures[side] = str(error).splitlines()[-1]
                del figures[side]
    return figures, failures


def recording(settings: Settings, tick: Callable, limit: float) -> list[Result]:
    """Seconds per recorded operation in the main example, by itself and among runs of traces."""
    found: list[dict] = []
    for number in range(settings.rounds):
        tick(f"Recording: round {number + 1} of {settings.rounds}")
        found.append(call(bital_command("recording.py"), settings))
    results = []
    for way, title, korean, most in (
        ("alone", "Recording one operation (main example)", "연산 하나의 기록 (주 예제)", limit),
        ("among_runs", "- with caches emptied by the runs", "- 실행이 캐시를 비운 상태에서", None),
    ):
        best = min((figures[way] for figures in found), key=lambda figures: figures["best"])
        results.append(Result(title, korean, best["best"], most, "s", best["best"], None, best))
    return results


def show_seconds(seconds: float | None) -> str:
    """Seconds as s, ms or µs."""
    if seconds is None or seconds == float("inf"):
        return "–"
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError(seconds)


def show(result: Result, value: float | None) -> str:
    """A measured value or limit in the result's unit."""
    if value is None:
        return "–"
    return f"{value:.2f}" if result.unit == "x" else show_seconds(value)


def plain_table(table: list[list[str]]) -> str:
    """Aligned columns for a terminal."""
    widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)


def markdown_table(table: list[list[str]]) -> str:
    """The same for a page."""
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|---" + "|---:" * (len(table[0]) - 1) + "|")
    return "\n".join(lines)


def machine(settings: Settings, packages: tuple[str, ...] = ("numpy", "torch")) -> str:
    """Processor, threads and versions, in one line."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        processor = found[1] if found else processor
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return (
        f"{processor}, {settings.threads} threads, {platform.system()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def write(path: Path, text: str) -> None:
    """Put a whole new file in the place of an old one, in one step."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(beside, 0o644)
    os.replace(beside, path)


@contextmanager
def progress(*, always: bool = False) -> Iterator[Callable[[str], None]]:
    """A function that shows what is being measured: one changing line, with rich if installed.

    Where nobody watches the terminal there are lines only if `always` asks for them.
    """
    terminal = sys.stderr.isatty()
    if not terminal and not always:
        yield lambda text: None
        return
    if not terminal or find_spec("rich") is None:
        yield lambda text: print(text, file=sys.stderr, flush=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield status.update
