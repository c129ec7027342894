"""The zip archives of PyTorch's files: written byte by byte, read with nothing taken on trust.

Room: base; the standard library only. PyTorch stores members uncompressed, each beginning at a
multiple of 64 bytes, so that a file can be mapped into memory. What it never writes (compression,
encryption, members that overlap or have one name) is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

#: what members begin at a multiple of
ALIGNMENT = 64
#: sizes and counts from here on are written in zip64's wider fields
_WIDE, _MANY = 0xFFFFFFFF, 0xFFFF
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
#: a general flag: names are UTF-8; a date: 1 January 1980
_UTF8, _DATE = 0x800, 0x21


class Writer:
    """Writes an archive's members in order, never going back: `write` takes bytes."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._write = write
        self._offset = 0
        self._central: list[bytes] = []

    def _put(self, data: Any) -> None:
        self._write(data)
        self._offset += memoryview(data).nbytes

    def add(self, name: str, data: Any) -> None:
        """Append a member; `data` is bytes or another contiguous buffer."""
        size, crc, encoded = memoryview(data).nbytes, zlib.crc32(data), name.encode()
        begin = self._offset
        wide = struct.pack("<2H2Q", 1, 16, size, size) if size >= _WIDE else b""
        start = begin + _LOCAL.size + len(encoded) + len(wide) + 4
        padding = -start % ALIGNMENT
        extra = wide + struct.pack("<2H", 0x4246, padding) + b"Z" * padding
        small, version = min(size, _WIDE), 45 if wide else 20
        fields = (_UTF8, 0, 0, _DATE, crc, small, small, len(encoded))
        self._put(_LOCAL.pack(b"PK\3\4", version, *fields, len(extra)) + encoded + extra)
        self._put(data)
        sizes = (size, size) if size >= _WIDE else ()
        offsets = (begin,) if begin >= _WIDE else ()
        numbers = (*sizes, *offsets)
        wide = struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        entry = (len(wide), 0, 0, 0, 0, min(begin, _WIDE))
        self._central.append(
            _CENTRAL.pack(b"PK\1\2", version, version, *fields, *entry) + encoded + wide
        )

    def close(self) -> None:
        """Write the directory of members."""
        begin = self._offset
        for entry in self._central:
            self._put(entry)
        size, count = self._offset - begin, len(self._central)
        if count >= _MANY or begin >= _WIDE:
            where = self._offset
            self._put(_END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begin))
            self._put(_LOCATOR64.pack(b"PK\6\7", 0, where, 1))
        few = min(count, _MANY)
        self._put(_END.pack(b"PK\5\6", 0, 0, few, few, size, min(begin, _WIDE), 0))


class Member(NamedTuple):
    """Where a member's bytes lie in the archive, and their checksum."""

    start: int
    size: int
    crc: int


class BadArchive(RuntimeError):
    """The file is no archive as PyTorch writes them; the message says what is wrong."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"PytorchStreamReader failed reading zip archive: {what}. The file is corrupted or was "
            "not written by torch.save"
        )


class Reader:
    """An archive's members by name: `read_at(offset, count)` gives up to count bytes of the file.

    Raises BadArchive where the file is truncated, contradicts itself, or holds what PyTorch does
    not write. Members lie inside the file and apart from one another, so all of them together
    are no larger than it is.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], file_size: int) -> None:
        self._read_at, self._file_size = read_at, file_size
        self.members: dict[str, Member] = {}
        spans = [self._locate(entry) for entry in self._directory()]
        spans.sort()
        for (_, end), (start, _) in zip(spans, spans[1:]):
            if start < end:
                raise BadArchive("members overlap")

    def _exactly(self, offset: int, count: int, what: str) -> bytes:
        if not 0 <= offset <= offset + count <= self._file_size:
            raise BadArchive(f"{what} lies outside the file")
        data = self._read_at(offset, count)
        if len(data) != count:
            raise BadArchive(f"{what} is cut short")
        return data

    def _end(self) -> tuple[int, int, int]:
        """How many entries the directory has, its size and its place."""
        tail_at = max(0, self._file_size - _END.size - 0xFFFF)
        tail = self._exactly(tail_at, self._file_size - tail_at, "the end")
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise BadArchive("failed finding central directory")
        _, disk, first, here, count, size, begin, _ = _END.unpack_from(tail, at)
        if disk or first or here != count:
            raise BadArchive("it is one of several parts")
        locator_at = tail_at + at - _LOCATOR64.size
        if locator_at >= 0:
            locator = self._exactly(locator_at, _LOCATOR64.size, "the zip64 locator")
            mark, _, where, _ = _LOCATOR64.unpack(locator)
            if mark == b"PK\6\7":
                record = self._exactly(where, _END64.size, "the zip64 end")
                mark, *_, here, count, size, begin = _END64.unpack(record)
                if mark != b"PK\6\6" or here != count:
                    raise BadArchive("the zip64 end is damaged")
        return count, size, begin

    def _directory(self) -> list[tuple[str, int, int, int]]:
        """The (name, offset, size, crc) of every entry."""
        count, size, begin = self._end()
        data = self._exactly(begin, size, "the central directory")
        entries = []
        at = 0
        for _ in range(count):
            if len(data) - at < _CENTRAL.size:
                raise BadArchive("the central directory has fewer entries than it says")
            (mark, _, _, flags, method, _, _, crc, packed, full, name_size, extra_size,
             comment_size, _, _, _, offset) = _CENTRAL.unpack_from(data, at)  # fmt: skip
            name_at = at + _CENTRAL.size
            extra_at = name_at + name_size
            at = extra_at + extra_size + comment_size
            if mark != b"PK\1\2" or at > len(data):
                raise BadArchive("the central directory is damaged")
            try:
                name = data[name_at:extra_at].decode()
            except UnicodeDecodeError:
                raise BadArchive("a member's name is no text") from None
            if method or flags & 0x2041:
                raise BadArchive(f"member {name!r} is compressed or encrypted")
            numbers = _widened(data[extra_at : extra_at + extra_size], (full, packed, offset))
            full, packed, offset = numbers
            if full != packed:
                raise BadArchive(f"member {name!r} has two sizes")
            entries.append((name, offset, full, crc))
        return entries

    def _locate(self, entry: tuple[str, int, int, int]) -> tuple[int, int]:
        """Check an entry against the member's own header and keep it; gives the span it takes."""
        name, offset, size, crc = entry
        header = self._exactly(offset, _LOCAL.size, f"member {name!r}")
        mark, *_, method, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack(header)
        name_at = offset + _LOCAL.size
        if mark != b"PK\3\4" or method or name_size != len(name.encode()):
            raise BadArchive(f"member {name!r} has another header than the directory says")
        if self._exactly(name_at, name_size, f"member {name!r}") != name.encode():
            raise BadArchive(f"member {name!r} has another name in its header")
        start = name_at + name_size + extra_size
        if start + size > self._file_size:
            raise BadArchive(f"member {name!r} lies outside the file")
        if name in self.members:
            raise BadArchive(f"there are two members {name!r}")
        self.members[name] = Member(start, size, crc)
        return offset, start + size

    def read(self, name: str) -> bytes:
        """A member's bytes, checked against their checksum."""
        member = self.members.get(name)
        if member is None:
            raise BadArchive(f"file not found: {name}")
        data = self._exactly(member.start, member.size, f"member {name!r}")
        if zlib.crc32(data) != member.crc:
            raise BadArchive(f"member {name!r} does not match its checksum")
        return data


def _widened(extra: bytes, numbers: tuple[int, int, int]) -> list[int]:
    """The numbers, those that say "see zip64's extra field" taken from there."""
    found = list(numbers)
    wanted = [k for k, n in enumerate(found) if n == _WIDE]
    at = 0
    while wanted and at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            if size < 8 * len(wanted) or at + 4 + size > len(extra):
                raise BadArchive("a zip64 field is too short")
            for k, n in zip(wanted, struct.unpack_from(f"<{len(wanted)}Q", extra, at + 4)):
                found[k] = n
            return found
        at += 4 + size
    return found
