"""Every BITAL_* switch: its name, type, default and meaning.

Room: base; the standard library only. The environment is read once, at import, into plain module
attributes, so that reading a switch on a hot path costs one attribute look-up. Read them as
`config.eager` (not `from ... import eager`), so that `override` is seen. `docs/configuration.md`
is this module's output: `python -m bital.base.config > docs/configuration.md`.
"""

import os
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


SWITCHES: list[Switch] = []


def _declare(name: str, parser: tuple[str, Callable[[str], T]], default: str, help: str) -> T:
    """List the switch and return its value; ValueError when the environment's cannot be read."""
    kind, parse = parser
    SWITCHES.append(Switch(name, kind, default, help))
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


_FLAG = ("0 or 1", _parse_flag)
_COUNT = ("a positive integer", _parse_count)

log: frozenset[str] = _declare(
    "BITAL_LOG",
    _words("trace", "plan"),
    "",
    "Print to stderr what happens: `trace` prints each recorded trace, where it was cut and why; "
    "`plan` prints how each trace was run and whether its plan was known.",
)
eager: bool = _declare(
    "BITAL_EAGER",
    _FLAG,
    "0",
    "Run every operation at once instead of recording it. The results are the same bits.",
)
trace_max_ops: int = _declare(
    "BITAL_TRACE_MAX_OPS",
    _COUNT,
    "10000",
    "Cut a trace when it has recorded this many operations.",
)
trace_max_bytes: int = _declare(
    "BITAL_TRACE_MAX_BYTES",
    _COUNT,
    str(256 * 1024 * 1024),
    "Cut a trace when its pending results would take this many bytes.",
)
plan_cache: int = _declare(
    "BITAL_PLAN_CACHE",
    _COUNT,
    "512",
    "How many plans are kept; beyond it the least recently used is forgotten.",
)


@contextmanager
def override(**values: object) -> Iterator[None]:
    """Give switches other values inside a `with` block: `with config.override(eager=True):`.

    The names are this module's attributes (`log`, `eager`, `trace_max_ops`, ...); AttributeError
    for any other. The change is seen by every thread.
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


def document() -> str:
    """The text of `docs/configuration.md`: one section for each switch."""
    head = (
        "# Configuration\n\n"
        "bital reads these environment variables once, when it is imported. "
        "None is needed for ordinary use.\n"
    )
    sections = (
        f"\n## `{switch.name}`\n\n"
        f"{switch.help}\n\n"
        f"Takes {switch.kind}; default: "
        + (f"`{switch.default}`.\n" if switch.default else "empty.\n")
        for switch in SWITCHES
    )
    return head + "".join(sections)


if __name__ == "__main__":
    print(document(), end="")
