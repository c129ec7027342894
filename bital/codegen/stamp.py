"""Stamp: what compiled code depends on beside what is compiled: versions, processor, own source.

Room: codegen. All of it is found without importing llvmlite, which takes longer than loading code.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from itertools import takewhile

import numpy as np

from bital.codegen import elf, llvm
from bital.codegen.target import host

#: the rooms whose source decides what a trace becomes
_ROOMS = ("base", "streams", "ir", "plan", "codegen", "ops")
#: what tells x86 processors apart; LLVM goes by the same facts
_FACTS = ("vendor_id", "cpu family", "model", "stepping", "flags")


@functools.cache
def versions() -> str:
    """Of bital, llvmlite with its LLVM, NumPy and Python; ImportError where there's no llvmlite."""
    folder = llvm.folder()
    words = [sys.modules["bital"].__version__, np.__version__, sys.version, _text(folder)]
    with os.scandir(os.path.join(folder, "binding")) as entries:
        words += sorted(f"{e.name} {e.stat().st_size}" for e in entries if "llvmlite" in e.name)
    return "\n".join(words)


def _text(folder: str) -> str:
    with open(os.path.join(folder, "_version.py"), encoding="utf-8") as file:
        return file.read()


@functools.cache
def processor() -> str:
    """The processor of this process and all that it can do."""
    facts = _cpuinfo() if elf.SERVED else {}
    if not all(facts.get(name) for name in _FACTS):
        return " ".join(host().processor)
    return "\n".join(facts[name] for name in _FACTS)


def _cpuinfo() -> dict[str, str]:
    """The system's facts on the first processor; none where it does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            rows = [line.partition(":") for line in takewhile(str.strip, file)]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in rows}


def source() -> str | None:
    """What bital's own code is, by names, sizes and times of its files.

    None where that is not sure: a file was changed since this process began, or there are none.
    """
    package = sys.modules["bital"]
    digest, newest = sha256(), 0
    try:
        for room in _ROOMS:
            for name, size, changed in sorted(_files(os.path.join(package.__path__[0], room))):
                digest.update(f"{name} {size} {changed}\n".encode())
                newest = max(newest, changed)
    except OSError:
        return None
    return digest.hexdigest() if newest < package.BEGAN else None


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """Path, bytes and time (in ns) of every file of source in a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                about = entry.stat()
                yield entry.path, about.st_size, about.st_mtime_ns
            elif entry.is_dir():
                yield from _files(entry.path)


#: as it was when the compiler was first needed; asked on the main thread, as others wait long for
#: the interpreter after each of hundreds of calls of the system
SOURCE = source()
