"""Every BITAL_* switch: its name, type, default and meaning.

Room: base; the standard library only. The environment is read once, at import, into plain module
attributes, so that reading a switch on a hot path costs one attribute look-up. Read them as
`config.eager` (not `from ... import eager`), so that `override` is seen. `docs/configuration.md`
is this module's output: `python -m bital.base.config > docs/configuration.md`, its Korean twin
`python -m bital.base.config ko > docs/configuration.ko.md`.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Switch(NamedTuple):
    """One declared environment variable, as its documentation shows it."""

    name: str
    kind: str
    default: str
    help: str
    korean: str


SWITCHES: list[Switch] = []


def _declare(
    name: str, parser: tuple[str, Callable[[str], T]], default: str, help: str, korean: str
) -> T:
    """List the switch and return its value; ValueError when the environment's cannot be read."""
    kind, parse = parser
    SWITCHES.append(Switch(name, kind, default, help, korean))
    text = os.environ.get(name, "").strip() or default
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"{name} must be {kind}, got {text!r}") from None


def _parse_flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _parse_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _words(*known: str) -> tuple[str, Callable[[str], frozenset[str]]]:
    def parse(text: str) -> frozenset[str]:
        words = frozenset(word.strip() for word in text.split(",") if word.strip())
        if not words <= set(known):
            raise ValueError(text)
        return words

    return f"a comma list of {', '.join(known)}", parse


def _one_of(*known: str) -> tuple[str, Callable[[str], str]]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return " or ".join(known), parse


_FLAG = ("0 or 1", _parse_flag)
_FOLDER = ("a folder", str)
_COUNT = ("a positive integer", _parse_count)

log: frozenset[str] = _declare(
    "BITAL_LOG",
    _words("trace", "plan"),
    "",
    "Print to stderr what happens: `trace` prints each recorded trace, where it was cut and why; "
    "`plan` prints how each trace was run, whether its plan was known, and the kernels of plans "
    "that became native.",
    "무슨 일이 일어나는지 표준 오류로 출력합니다. `trace`는 기록된 트레이스와 끊긴 곳, 그 이유를, "
    "`plan`은 트레이스를 어떻게 실행했는지, 플랜이 이미 있었는지, 네이티브가 된 플랜의 커널이 "
    "무엇인지를 보여 줍니다.",
)
traceback: str = _declare(
    "BITAL_TRACEBACK",
    _one_of("program", "full"),
    "program",
    "Which calls the traceback of a program shows under `bital run`: `program` ends where "
    "PyTorch's would, `full` goes on into bital's own code.",
    "`bital run`으로 실행한 프로그램의 역추적에 보일 호출입니다. `program`은 PyTorch에서와 같은 "
    "곳에서 끝나고, `full`은 bital 안의 코드까지 이어집니다.",
)
eager: bool = _declare(
    "BITAL_EAGER",
    _FLAG,
    "0",
    "Run every operation at once instead of recording it. With `BITAL_COMPILE=never` the results "
    "are the same bits either way.",
    "연산을 기록하지 않고 바로 실행합니다. `BITAL_COMPILE=never`이면 결과는 어느 쪽이든 비트까지 "
    "같습니다.",
)
compile: str = _declare(
    "BITAL_COMPILE",
    _one_of("never", "hot", "always"),
    "hot",
    "When a trace is compiled to native code: `hot` when it comes back (its third run begins to, "
    "its twelfth is native), `never`, or `always` before it runs for the first time, which is for "
    "tests.",
    "트레이스를 네이티브 코드로 컴파일하는 때입니다. `hot`은 다시 나타날 때(세 번째 실행에서 "
    "시작하고 열두 번째부터 네이티브), `never`는 하지 않음, `always`는 처음 실행하기 전이며 "
    "시험용입니다.",
)
trace_max_ops: int = _declare(
    "BITAL_TRACE_MAX_OPS",
    _COUNT,
    "10000",
    "Cut a trace when it has recorded this many operations.",
    "연산이 이만큼 기록되면 트레이스를 끊습니다.",
)
trace_max_bytes: int = _declare(
    "BITAL_TRACE_MAX_BYTES",
    _COUNT,
    str(1024 * 1024 * 1024),
    "Cut a trace when its pending results would take this many bytes.",
    "아직 계산하지 않은 결과가 이만큼의 바이트에 이르면 트레이스를 끊습니다.",
)
plan_cache: int = _declare(
    "BITAL_PLAN_CACHE",
    _COUNT,
    "512",
    "How many plans are kept; beyond it those not used for longest are forgotten.",
    "보관하는 플랜의 수입니다. 넘으면 가장 오래 쓰지 않은 것부터 잊습니다.",
)
cache: bool = _declare(
    "BITAL_CACHE",
    _FLAG,
    "1",
    "Keep compiled code on disk, for later runs and other processes.",
    "컴파일한 코드를 디스크에 보관하여 다음 실행과 다른 프로세스가 쓰게 합니다.",
)
cache_dir: str = _declare(
    "BITAL_CACHE_DIR",
    _FOLDER,
    "",
    "Where compiled code is kept, 256 MiB at most. If empty, it is `bital` in the user's folder "
    "for caches: `XDG_CACHE_HOME` or `~/.cache`, on macOS `~/Library/Caches`, on Windows "
    "`LOCALAPPDATA`.",
    "컴파일한 코드를 보관할 폴더로, 많아야 256 MiB를 씁니다. 비어 있으면 사용자의 캐시 폴더"
    "(`XDG_CACHE_HOME` 또는 `~/.cache`, macOS에서는 `~/Library/Caches`, Windows에서는 "
    "`LOCALAPPDATA`) 안의 `bital`입니다.",
)


@contextmanager
def override(**values: object) -> Iterator[None]:
    """Give switches other values inside a `with` block: `with config.override(eager=True):`.

    The names are this module's attributes (`log`, `eager`, `trace_max_ops`, ...); AttributeError
    for any other. The change is seen by every thread; `eager` and the bounds hold from the next
    cut on.
    """
    settings = globals()
    known = {switch.name.removeprefix("BITAL_").lower() for switch in SWITCHES}
    for name in values:
        if name not in known:
            raise AttributeError(f"bital has no switch {name!r}; it has {', '.join(sorted(known))}")
    saved = {name: settings[name] for name in values}
    settings.update(values)
    try:
        yield
    finally:
        settings.update(saved)


def document(language: str = "en") -> str:
    """The text of `docs/configuration.md`, or of its Korean twin: one section for each switch."""
    if language == "ko":
        head = (
            "# 설정\n\n"
            "bital은 다음 환경 변수를 불러올 때 한 번 읽습니다. "
            "보통은 아무것도 필요하지 않습니다.\n"
        )
        takes, empty = "값: {kind}, 기본값: ", "없음.\n"
    else:
        head = (
            "# Configuration\n\n"
            "bital reads these environment variables once, when it is imported. "
            "None is needed for ordinary use.\n"
        )
        takes, empty = "Takes {kind}; default: ", "empty.\n"
    sections = (
        f"\n## `{switch.name}`\n\n"
        f"{switch.korean if language == 'ko' else switch.help}\n\n"
        + takes.format(kind=_KOREAN_KINDS[switch.kind] if language == "ko" else switch.kind)
        + (f"`{switch.default}`.\n" if switch.default else empty)
        for switch in SWITCHES
    )
    return head + "".join(sections)


_KOREAN_KINDS = {
    "0 or 1": "0 또는 1",
    "a positive integer": "양의 정수",
    "a folder": "폴더",
    "a comma list of trace, plan": "쉼표로 나눈 목록 (trace, plan)",
    "program or full": "program 또는 full",
    "never or hot or always": "never, hot 또는 always",
}


if __name__ == "__main__":
    print(document(*sys.argv[1:2]), end="")
