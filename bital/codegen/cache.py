"""Cache: object code and compiled plans on disk, shared by processes.

Room: codegen. Object code is kept under the key of its text, and under the key of a plan what a run
needs beside it, with the key of its text: so nothing is generated only to find it.

An entry is a file under its key, written in one step and checked when read: what
is damaged or incomplete counts as absent and is written anew. A folder that cannot be written
to, or none, only means that nothing is kept. Of too many bytes the entries that were not used for
longest leave; processes may do all of that at once.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from bital.base import config
from bital.base.atomic import write_file
from bital.codegen import identity, stamp
from bital.ir.task import Task

#: bytes of all entries together
MOST_BYTES = 256 << 20
_MAGIC = b"bital o2"
_HEADER = len(_MAGIC) + 2 * sha256().digest_size  # magic, key, checksum of what follows
_SIZE = 8  # bytes of the size before each object
_HOUR = 3600.0


def key_of(text: str, options: str) -> bytes:
    """What the object code of LLVM IR text depends on, in 32 bytes."""
    return _digest(stamp.versions(), stamp.processor(), options, text)


def key_of_plan(task: Task) -> bytes | None:
    """What a compiled plan depends on, in 32 bytes; None where that cannot be said."""
    if stamp.SOURCE is None:
        return None
    try:
        words = identity.words_of(task)
    except TypeError:  # an attribute that means something in this process only
        return None
    return _digest(stamp.versions(), stamp.processor(), stamp.SOURCE, words)


def _digest(*words: str) -> bytes:
    return sha256("\0".join(words).encode()).digest()


def folder() -> Path | None:
    """Where entries are kept; None where they are not to be, or nobody knows where."""
    if not config.cache:
        return None
    if config.cache_dir:
        return Path(config.cache_dir)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "") or os.path.expanduser("~/.cache")
    return Path(base, "bital") if os.path.isabs(base) else None


def _path(root: Path, key: bytes) -> Path:
    return root / key.hex()[:2] / f"{key.hex()}.o"


def get(key: bytes) -> list[bytes] | None:
    """The objects under a key, or None."""
    root = folder()
    if root is None:
        return None
    path = _path(root, key)
    try:
        entry = path.read_bytes()
        if path.stat().st_mtime < time.time() - _HOUR:
            os.utime(path)  # used again
    except OSError:
        return None
    body = entry[_HEADER:]
    if entry[:_HEADER] != _MAGIC + key + sha256(body).digest():
        return None
    objects = []
    while body:
        size = _SIZE + int.from_bytes(body[:_SIZE], "little")
        objects.append(body[_SIZE:size])
        body = body[size:]
    return objects


def put(key: bytes, objects: list[bytes]) -> None:
    """Keep the objects under a key, if that can be."""
    root = folder()
    if root is None:
        return
    body = b"".join(len(code).to_bytes(_SIZE, "little") + code for code in objects)
    entry = _MAGIC + key + sha256(body).digest() + body
    path = _path(root, key)
    with suppress(OSError):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        write_file(path, lambda file: file.write(entry), durable=False)
        if key[0] % 32 == 0:  # now and then, and with nothing to remember
            trim(root)


def trim(root: Path, most_bytes: int = MOST_BYTES) -> None:
    """If entries take more than so many bytes, delete the oldest until a quarter of it is free."""
    found = []
    for path in root.glob("??/*"):
        with suppress(OSError):
            about = path.stat()
            if path.suffix == ".o":
                found.append((about.st_mtime, about.st_size, path))
            elif about.st_mtime < time.time() - _HOUR:
                path.unlink()  # what a killed process was writing
    total = sum(size for _, size, _ in found)
    if total <= most_bytes:
        return
    for _, size, path in sorted(found):
        if total <= most_bytes * 3 // 4:
            return
        total -= size
        with suppress(OSError):  # another process deletes as well
            path.unlink()
