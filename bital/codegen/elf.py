"""Elf: object code made runnable by the process itself, without LLVM's linker.

Room: codegen. It takes what LLVM writes for 64-bit x86 under Linux: relocatable, position
independent, with the small code model (System V ABI, AMD64 supplement). Sections are copied to
memory of their own, references are filled in, and what is not written to becomes executable. That
takes neither llvmlite, which is slow to import, nor what LLVM's linker keeps of every library.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
import sys
import weakref
from collections.abc import Iterator
from typing import NamedTuple

#: whether objects of the host are of this kind
SERVED = sys.platform == "linux" and platform.machine() == "x86_64" and sys.maxsize > 1 << 32

_HEADER = struct.Struct("<16s2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")
_SYMBOL = struct.Struct("<I2BH2Q")
_RELOCATION = struct.Struct("<Q2Iq")
_SYMBOLS, _RELOCATIONS, _EMPTY = 2, 4, 8  # kinds of section; of an empty one there are no bytes
_WRITTEN, _LOADED = 1, 2  # flags of a section
_UNDEFINED = 0  # in place of a symbol's section
# S: the symbol's address, A: what is added, P: the place that is filled in
_WORD, _PC32, _PLT32 = 1, 2, 4  # S + A in 64 bits; S + A - P in 32, of data and of calls
_THROUGH_WORD = (9, 41, 42)  # the address of a word that holds S, + A - P in 32 bits
# jmp *2(%rip); ud2; the word itself: calls of what may be further away than 2 GB go through it
_FAR = struct.Struct("<8sQ")
_JUMP = b"\xff\x25\x02\x00\x00\x00\x0f\x0b"

_c = ctypes.PyDLL(None, use_errno=True)  # these calls are too short to let go of the interpreter
_c.mmap.restype = ctypes.c_void_p
_c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    each: int


class _Symbol(NamedTuple):
    name: str  # "" of those that only their own object knows
    section: int
    value: int


class _Object:
    """A relocatable object, taken apart."""

    def __init__(self, code: bytes) -> None:
        begin, _, machine, *_, at, _, _, _, _, each, count, _ = _HEADER.unpack_from(code)
        if begin[:6] != b"\x7fELF\x02\x01" or machine != 62 or each != _SECTION.size:
            raise ValueError("no object code of 64-bit x86")
        self.code = code
        self.sections = [_Section(*_SECTION.unpack_from(code, at + k * each)) for k in range(count)]
        self.symbols = [s for table in self._tables(_SYMBOLS) for s in self._symbols(table)]
        #: where each section lies that is loaded, from the beginning of all
        self.places: dict[int, int] = {}

    def _tables(self, kind: int) -> Iterator[_Section]:
        return (s for s in self.sections if s.kind == kind)

    def bytes_of(self, section: _Section) -> bytes:
        """What the file has of a section."""
        if section.kind == _EMPTY:
            return b""
        return self.code[section.offset : section.offset + section.size]

    def _symbols(self, table: _Section) -> Iterator[_Symbol]:
        names = self.bytes_of(self.sections[table.link])
        for name, info, _, section, value, _ in _SYMBOL.iter_unpack(self.bytes_of(table)):
            known = names[name : names.index(0, name)].decode() if info >> 4 else ""
            yield _Symbol(known, section, value)

    def relocations(self) -> Iterator[tuple[int, int, int, int]]:
        """Of every reference where it is, its kind, its symbol, and what is added."""
        for table in self._tables(_RELOCATIONS):
            place = self.places.get(table.info)
            if place is not None:
                for at, kind, symbol, more in _RELOCATION.iter_unpack(self.bytes_of(table)):
                    yield place + at, kind, symbol, more


class Image:
    """Loaded code: the addresses of its functions hold as long as it lives.

    ValueError where the objects are not right; OSError where memory must not become code.
    """

    def __init__(self, codes: list[bytes]) -> None:
        objects = [_Object(code) for code in codes]
        names = dict.fromkeys(s.name for o in objects for s in o.symbols if s.name)
        fixed = _place(objects, 0, len(names) * _FAR.size)
        size = _place(objects, _WRITTEN, fixed) or mmap.PAGESIZE  # a plan may have no code
        self._base = base = _memory(size)
        # never at the end of the process: threads may be running it
        weakref.finalize(self, _c.munmap, base, size).atexit = False
        self._found = {
            s.name: base + o.places[s.section] + s.value
            for o in objects for s in o.symbols
            if s.name and s.section != _UNDEFINED
        }  # fmt: skip
        bits = bytearray(size)
        targets: dict[str, tuple[int, int]] = {}  # an address, and where the word of it is
        for at, name in zip(range(0, len(names) * _FAR.size, _FAR.size), names):
            targets[name] = self._found.get(name) or _outside(name), base + at
            _FAR.pack_into(bits, at, _JUMP, targets[name][0])
        for each in objects:
            for number, place in each.places.items():
                code = each.bytes_of(each.sections[number])
                bits[place : place + len(code)] = code
            _refer(each, targets, bits, base)
        ctypes.memmove(base, bytes(bits), size)
        _check(_c.mprotect(base, fixed, mmap.PROT_READ | mmap.PROT_EXEC) == 0)

    def address(self, name: str) -> int:
        """The address of a function; ValueError where there is none of that name."""
        if name not in self._found:
            raise ValueError(f"no function {name!r} in the library")
        return self._found[name]


def _place(objects: list[_Object], written: int, begin: int) -> int:
    """Give the sections that are loaded a place, those that are written to or the others.

    They begin at `begin`; returns where they end, at the beginning of a page.
    """
    at = begin
    for each in objects:
        for number, section in enumerate(each.sections):
            if section.flags & _LOADED and section.flags & _WRITTEN == written:
                at += -at % max(section.align, 1)
                each.places[number] = at
                at += section.size
    return at + -at % mmap.PAGESIZE


def _refer(
    each: _Object, targets: dict[str, tuple[int, int]], bits: bytearray, base: int
) -> None:  # fmt: skip
    """Fill in an object's references."""
    for at, kind, number, more in each.relocations():
        symbol = each.symbols[number]
        if symbol.name:
            value, far = targets[symbol.name]
        else:
            value, far = base + each.places[symbol.section] + symbol.value, 0
        if kind == _WORD:
            bits[at : at + 8] = (value + more).to_bytes(8, "little")
            continue
        if kind in _THROUGH_WORD:
            value = far + len(_JUMP)
        elif kind == _PLT32 and abs(value - base) >> 30 and far:
            value = far
        elif kind not in (_PC32, _PLT32):
            raise ValueError(f"a reference of unknown kind {kind} in object code")
        try:
            bits[at : at + 4] = (value + more - base - at).to_bytes(4, "little", signed=True)
        except OverflowError:
            raise ValueError(f"{symbol.name!r} is too far away") from None


def _outside(name: str) -> int:
    """The address of a function of the process."""
    try:
        return ctypes.cast(getattr(_c, name), ctypes.c_void_p).value or 0
    except AttributeError:
        raise ValueError(f"no function {name!r} in this process") from None


def _memory(size: int) -> int:
    """Memory of whole pages, zeros."""
    access, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base: int = _c.mmap(None, size, access, kind, -1, 0)
    _check(base != ctypes.c_void_p(-1).value)
    return base


def _check(done: bool) -> None:
    if not done:
        number = ctypes.get_errno()
        raise OSError(number, f"no memory for code: {os.strerror(number)}")
