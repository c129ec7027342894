"""Writing files so that a killed process leaves the old file or the new one, never half of one.

Room: base; the standard library only.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from typing import BinaryIO


def write_file(
    path: str | os.PathLike, write: Callable[[BinaryIO], object], durable: bool = True
) -> None:
    """Let `write(file)` write what `path` shall hold, and put it there in one step.

    The bytes go to a temporary file in the same folder, reach the disk, and take the name only
    then; permissions of a file that is replaced are kept, and a link goes on being one. What is
    no regular file (a device, a pipe) is written to directly. Where `write` raises, or the process
    is killed, what was there before stays. What need not outlive a failure of power is not
    `durable`: nobody waits for the disk.
    """
    target = os.path.realpath(path)
    try:
        old: os.stat_result | None = os.stat(target)
    except FileNotFoundError:
        old = None
    if old is not None and not stat.S_ISREG(old.st_mode):
        with open(target, "wb") as file:
            write(file)
        return
    folder, name = os.path.split(target)
    number, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(number, "wb") as file:
            write(file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, stat.S_IMODE(old.st_mode) if old is not None else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    if durable:
        _sync_folder(folder)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    """Let the new name reach the disk, where the system has a way to ask for it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    except OSError:
        pass  # some file systems know no such thing; the file itself is there
    finally:
        os.close(number)
