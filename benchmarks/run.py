"""The benchmarks: one table of ratios to torch.

    python benchmarks/run.py [--quick] [--json FILE] [--readme]

Each file in `programs/` is run in turns under torch (`python FILE`) and under bital
(`python -m bital run FILE`), a fresh process every time, both with the same number of threads.
What counts is the best time of all rounds: on a busy machine noise only ever adds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness import (
    ROOT,
    Result,
    Settings,
    add_settings,
    bital_command,
    call,
    in_turns,
    machine,
    markdown_table,
    plain_table,
    progress,
    recording,
    settings_of,
    show,
    show_seconds,
    torch_command,
)

HEAVY = ("scipy", "llvmlite", "matplotlib")
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"


def compare(
    program: str, title: str, korean: str, limit: float, settings: Settings, tick: Callable
) -> Result:
    """The same program under both, in turns; the ratio of the best times."""
    commands = {"torch": torch_command(program, settings), "bital": bital_command(program)}
    found, _ = in_turns(commands, settings, tick, title)
    bital, torch = found["bital"], found["torch"]
    return Result(
        title, korean, bital.best / torch.best, limit, "x", bital.best, torch.best,
        {"medians": {side: figures.medians for side, figures in found.items()}},
    )  # fmt: skip


def by_hand(main: Result, settings: Settings, tick: Callable) -> Result:
    """The main example's iteration in NumPy by hand: the floor of what calls NumPy."""
    best = float("inf")
    for number in range(settings.rounds):
        tick(f"NumPy by hand: round {number + 1} of {settings.rounds}")
        best = min(best, call(bital_command("numpy_by_hand.py"), settings)["best"])
    assert main.torch_s is not None
    return Result(
        "- its products and sums in NumPy, by hand", "- 그 곱과 합을 NumPy로 직접 쓴 것",
        best / main.torch_s, None, "x", best, main.torch_s,
    )  # fmt: skip


def importing(
    module: str, limit: float | None, settings: Settings, tick: Callable, python: str
) -> Result:
    """Seconds of `import module` in a fresh process, and the heavy modules that come with it."""
    code = (
        "import json, sys, time; start = time.perf_counter(); import " + module + "; "
        "seconds = time.perf_counter() - start; "
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]; "
        "print(json.dumps({'best': seconds, 'heavy': heavy}))"
    )
    seconds, heavy = float("inf"), []
    for _ in range(2 * settings.rounds):
        tick(f"import {module}")
        times = call([python, "-c", code], settings)
        seconds, heavy = min(seconds, times["best"]), times["heavy"]
    side = {"torch_s" if module == "torch" else "bital_s": seconds}
    return Result(
        f"`import {module}`", f"`import {module}`", seconds, limit, "s",
        notes={"heavy modules imported": heavy}, **side,
    )  # fmt: skip


def all_results(settings: Settings, tick: Callable) -> list[Result]:
    """Every line of the table, in order."""
    ratios = [
        ("main_example.py", "Main example, per iteration", "주 예제, 반복당", 0.85),
        ("tanh_network.py", "2-16-16-1 tanh network, 100 points, per step",
         "2-16-16-1 tanh 신경망, 점 100개, 단계당", 1.2),
        ("item.py", "`(x + 1).item()`", "`(x + 1).item()`", 2.0),
        ("char_lstm.py", "Character LSTM (128 units, 32 steps, batch 32), per step",
         "문자 LSTM (128 유닛, 32 시점, 배치 32), 단계당", 2.0),
        ("char_gpt.py", "Character GPT (4 layers, width 128, block 64, batch 12), per step",
         "문자 GPT (4층, 폭 128, 블록 64, 배치 12), 단계당", 2.0),
        ("lenet.py", "LeNet, batch 32 of 1x28x28, per step",
         "LeNet, 1x28x28 배치 32, 단계당", 2.0),
        ("residual.py", "Batch-norm residual network, batch 16 of 3x32x32, per step",
         "배치 정규화 잔차망, 3x32x32 배치 16, 단계당", 2.0),
    ]  # fmt: skip
    imports = [("bital", 0.25), ("bital.torch", None), ("torch", None)]
    main, *others = (compare(*ratio, settings, tick) for ratio in ratios)
    return [
        main,
        by_hand(main, settings, tick),
        *others,
        *recording(settings, tick, limit=2.5e-6),
        *(
            importing(
                module, limit, settings, tick,
                settings.torch_python if module == "torch" else sys.executable,
            )
            for module, limit in imports
        ),
    ]  # fmt: skip


def rows(results: list[Result], *, korean: bool = False) -> list[list[str]]:
    """The table as text cells, heading first."""
    headings = [
        ["", "bital", "torch", "bital / torch", "limit", ""],
        ["", "bital", "torch", "bital / torch", "한도", ""],
    ]
    table = [headings[korean]]
    for result in results:
        table.append(
            [
                result.korean if korean else result.title,
                show_seconds(result.bital_s),
                show_seconds(result.torch_s),
                f"{result.measured:.2f}" if result.unit == "x" else "–",
                show(result, result.limit),
                result.verdict,
            ]
        )
    return table


def write_readme(path: Path, text: str) -> None:
    """Replace what stands between the two marks."""
    old = path.read_text(encoding="utf-8")
    before, mark, rest = old.partition(BEGIN)
    _, other_mark, after = rest.partition(END)
    if not mark or not other_mark:
        raise SystemExit(f"{path.name} needs the lines {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print a table of bital's times and torch's.")
    add_settings(parser, "torch")
    parser.add_argument("--readme", action="store_true", help="rewrite the tables in the READMEs")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write; 1 if a limit was exceeded."""
    arguments = parse_arguments()
    settings = settings_of(arguments)
    with progress() as tick:
        results = all_results(settings, tick)
    figures = {
        "machine": machine(settings),
        "settings": {"rounds": settings.rounds, "seconds": settings.seconds},
        "results": [{**asdict(result), "verdict": result.verdict} for result in results],
    }
    if arguments.json == "-":
        print(json.dumps(figures, indent=1))
    else:
        print(plain_table(rows(results)))
        print(f"\n{figures['machine']}")
    if arguments.json and arguments.json != "-":
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if arguments.readme:
        for name, korean in (("README.md", False), ("README.ko.md", True)):
            table = markdown_table(rows(results, korean=korean))
            write_readme(ROOT / name, f"{table}\n\n{figures['machine']}")
    return int(any(result.verdict == "over" for result in results))


if __name__ == "__main__":
    sys.exit(main())
