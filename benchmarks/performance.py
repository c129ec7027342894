"""The limits of speed: every program against torch, torch.compile and jax.jit, and what bounds it.

    python benchmarks/performance.py [--quick] [--only NAME ...] [--json FILE]

A complete measurement writes docs/performance.md and docs/performance.ko.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import report
from harness import (
    HERE,
    PEERS,
    ROOT,
    TOLERANCE,
    Figures,
    Result,
    Settings,
    add_settings,
    bital_command,
    call,
    in_turns,
    machine,
    plain_table,
    progress,
    recording,
    settings_of,
    torch_command,
    write,
)

JAX_LIMIT = 0.8
#: what two threads may take of one thread's time where the second core is busy: noise is 5 %
BUSY_LIMIT = 1.05
BUSY = ("main_example", "adam_network", "black_scholes")


@dataclass
class Program:
    """A line of the table: `limit` of torch's time, `jax_limit` of that of jax.jit."""

    name: str
    title: str
    korean: str
    limit: float
    jax_limit: float | None = JAX_LIMIT
    uncompiled: str = ""  # why torch.compile does not apply


PROGRAMS = [
    Program("main_example", "Main example (1000-100-2, batch 32)",
            "주 예제 (1000-100-2, 배치 32)", 0.33),
    Program("adam_network", "784-256-128-10 with Adam, batch 64",
            "784-256-128-10, Adam, 배치 64", 0.45),
    Program("tanh_network", "2-16-16-1 tanh network on 100 points, SGD",
            "2-16-16-1 tanh 신경망, 점 100개, SGD", 0.35, None),
    Program("scalar_graph", "Scalar graph of 200 operations",
            "연산 200개의 스칼라 그래프", 0.5, None),
    Program("black_scholes", "Black-Scholes gradient on 1,000,000 elements",
            "블랙-숄즈 기울기, 원소 1,000,000개", 0.15),
    Program("logistic_regression",
            "Logistic regression 10,000 x 100 with Hessian-vector products",
            "로지스틱 회귀 10,000 x 100, 헤세-벡터 곱", 0.6,
            uncompiled="torch.compile does not differentiate twice"),
    Program("gru", "GRU written by hand over 32 steps", "직접 쓴 GRU, 32 시점", 0.45),
    Program("char_gpt", "Character GPT (4 layers, width 128, block 64, batch 12) with AdamW",
            "문자 GPT (4층, 폭 128, 블록 64, 배치 12), AdamW", 0.7),
    Program("lenet", "LeNet-like CNN, batch 32", "LeNet류 CNN, 배치 32", 0.6),
    Program("residual", "BatchNorm residual network, 3x32x32, batch 16",
            "배치 정규화 잔차망, 3x32x32, 배치 16", 0.9),
    Program("char_lstm", "Character LSTM, hidden 128, 32 steps",
            "문자 LSTM, 은닉 128, 32 시점", 0.6),
    Program("inference", "Batch-1 inference of 784-256-128-10 under no_grad",
            "784-256-128-10의 배치 1 추론, no_grad", 0.8, None),
]  # fmt: skip


@dataclass
class Row:
    """What was measured of a program: figures per side, reasons where a side is absent."""

    program: Program
    sides: dict[str, Figures]
    absent: dict[str, str] = field(default_factory=dict)
    breakdown: dict = field(default_factory=dict)

    def ratio(self, other: str) -> float | None:
        """bital's time in units of another side's."""
        if other not in self.sides:
            return None
        return self.sides["bital"].best / self.sides[other].best

    def verdict(self, other: str) -> str:
        """ok or over, against torch or jax.jit; empty where nothing is limited."""
        limit = self.program.limit if other == "torch" else self.program.jax_limit
        ratio = self.ratio(other)
        if limit is None or ratio is None:
            return ""
        return "ok" if ratio <= limit else "over"

    def strays(self) -> list[str]:
        """The sides whose value is not torch's."""
        truth = self.sides["torch"].value
        return [
            side
            for side, figures in self.sides.items()
            if not abs(figures.value - truth) <= TOLERANCE * abs(truth)
        ]


@dataclass
class Measured:
    """All that one run of this command found."""

    machine: str
    settings: Settings
    load: float = 0.0  # of the machine before measuring, in processes
    rows: list[Row] = field(default_factory=list)
    others: list[Result] = field(default_factory=list)
    busy: list[Result] = field(default_factory=list)
    floors: dict[int, dict] = field(default_factory=dict)

    def figures(self) -> dict:
        """Everything, for a JSON file."""
        verdicts = {
            row.program.name: [row.verdict("torch"), row.verdict("jax")] for row in self.rows
        }
        return {**asdict(self), "verdicts": verdicts}

    def fails(self) -> bool:
        """Whether a limit was exceeded or two sides disagree."""
        verdicts = [row.verdict(side) for row in self.rows for side in ("torch", "jax")]
        verdicts += [result.verdict for result in self.others + self.busy]
        return "over" in verdicts or any(row.strays() for row in self.rows)


def measure(program: Program, settings: Settings, tick: Callable, *, peers: bool) -> Row:
    """A program under torch and bital, and its peers, in turns; then where bital's time goes."""
    file, python = f"{program.name}.py", settings.torch_python
    commands = {"torch": torch_command(file, settings), "bital": bital_command(file)}
    if peers:
        commands["jax"] = [python, str(PEERS / f"jax_{file}")]
        if not program.uncompiled:
            commands["compiled"] = [python, str(PEERS / "compiled.py"), program.name]
    sides, absent = in_turns(commands, settings, tick, program.title, ("jax", "compiled"))
    if peers and program.uncompiled:
        absent["compiled"] = program.uncompiled
    tick(f"{program.title}: where the time goes")
    breakdown = call(bital_command("breakdown.py", program.name), settings)
    return Row(program, sides, absent, breakdown)


def start(row: Row) -> Result:
    """From the start of the process until the first iteration of the main example is done."""
    bital, torch = row.sides["bital"].first, row.sides["torch"].first
    return Result(
        "From process start until the first iteration is done (main example)",
        "프로세스 시작부터 첫 반복이 끝날 때까지 (주 예제)",
        bital / torch, 0.25, "x", bital, torch,
    )  # fmt: skip


def plans(settings: Settings, tick: Callable) -> list[Result]:
    """Compiling the main example's plan, and loading it from the user's cache."""
    found: dict[str, list[dict]] = {"empty": [], "filled": []}
    for number in range(settings.rounds):
        tick(f"Compiling and loading plans: round {number + 1} of {settings.rounds}")
        with tempfile.TemporaryDirectory() as cache:
            for way in found:
                figures = call(bital_command("plans.py"), settings, XDG_CACHE_HOME=cache)
                found[way].append(figures)

    def least(way: str, key: str) -> float:
        return min(f[key] if f[key] is not None else float("inf") for f in found[way])

    until = "From process start until the compiled plan runs"
    lines = [
        (f"{until}, cache empty", "프로세스 시작부터 컴파일된 계획이 실행될 때까지, 빈 캐시",
         "empty", "compiled", None),
        (f"{until}, cache filled", "- 채워진 캐시", "filled", "compiled", None),
        ("Compiling the main example's plan", "주 예제의 계획 컴파일", "empty", "compile_s", 0.2),
        ("Loading it from the cache", "캐시에서 읽기", "filled", "compile_s", 0.02),
    ]  # fmt: skip
    return [
        Result(title, korean, least(way, key), limit, "s", least(way, key))
        for title, korean, way, key, limit in lines
    ]


@contextmanager
def spinning() -> Iterator[None]:
    """A process that keeps the last core busy."""
    code = (
        "import os\n"
        "if hasattr(os, 'sched_setaffinity'):\n"
        "    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
        "while True: pass"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def beside_another(names: list[str], settings: Settings, tick: Callable) -> list[Result]:
    """Two threads against one while another process keeps the second core busy: typical blocks."""
    results = []
    for program in PROGRAMS:
        if program.name not in names:
            continue
        medians: dict[int, list[float]] = {1: [], 2: []}
        command = bital_command(f"{program.name}.py")
        with spinning():
            for number in range(settings.rounds):
                tick(f"{program.title}: beside a busy process, round {number + 1}")
                for threads, found in medians.items():
                    found.append(call(command, settings.on(threads))["median"])
        one, two = min(medians[1]), min(medians[2])
        results.append(
            Result(program.title, program.korean, two / one, BUSY_LIMIT, "x", two, None,
                   {"one thread": one, "medians": medians})
        )  # fmt: skip
    return results


def floors(settings: Settings, tick: Callable) -> dict[int, dict]:
    """Per number of threads the best matrix product and the best copy."""
    found = {}
    for threads in sorted({1, settings.threads}):
        tick(f"What the machine can do on {threads} threads")
        command = [settings.torch_python, str(HERE / "floors.py")]
        rounds = [call(command, settings.on(threads)) for _ in range(settings.rounds)]
        found[threads] = {key: max(r[key] for r in rounds) for key in rounds[0]}
    return found


def everything(arguments: argparse.Namespace, settings: Settings, tick: Callable) -> Measured:
    """What the command line asks for."""
    packages = ("numpy", "llvmlite", "torch", "jax")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    measured = Measured(machine(settings, packages), settings, load)
    names = arguments.only or [program.name for program in PROGRAMS]
    measured.floors = floors(settings, tick)
    for program in PROGRAMS:
        if program.name in names:
            measured.rows.append(measure(program, settings, tick, peers=arguments.peers))
    if "main_example" in names:
        measured.others = [
            start(measured.rows[0]),
            *plans(settings, tick),
            *recording(settings, tick, limit=1.3e-6),
        ]
    measured.busy = beside_another([name for name in BUSY if name in names], settings, tick)
    return measured


def parse_arguments() -> argparse.Namespace:
    names = [program.name for program in PROGRAMS]
    parser = argparse.ArgumentParser(
        description="Measure bital's programs against torch, torch.compile and jax.jit.",
        epilog="example: python benchmarks/performance.py --quick --only gru --only lenet",
    )
    add_settings(parser, "torch and jax")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=names,
        help=f"this program only (several times for several): {', '.join(names)}",
    )
    parser.add_argument(
        "--no-peers", dest="peers", action="store_false", help="leave out torch.compile and jax.jit"
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print, write; 1 if a limit was exceeded or values differ."""
    arguments = parse_arguments()
    settings = settings_of(arguments)
    with progress(always=True) as tick:
        measured = everything(arguments, settings, tick)
    text = json.dumps(measured.figures(), indent=1)
    if arguments.json == "-":
        print(text)
    else:
        print(plain_table(report.programs(measured, report.ENGLISH)))
        print(f"\n{measured.machine}")
    if arguments.json and arguments.json != "-":
        write(Path(arguments.json), text + "\n")
    if not arguments.only:
        write(ROOT / "docs" / "performance.md", report.page(measured, report.ENGLISH))
        write(ROOT / "docs" / "performance.ko.md", report.page(measured, report.KOREAN))
    return int(measured.fails())


if __name__ == "__main__":
    sys.exit(main())
