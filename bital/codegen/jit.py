"""Jit: LLVM IR text to object code, object code to addresses.

Room: codegen. The text is explicit vector code and goes to code generation as it is: no optimiser
passes run. Code that was loaded stays as long as its `Library` lives; the holder sees to it that
the library outlives every call.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

from bital.codegen import background, cache, elf, llvm
from bital.codegen.target import Target, host


@functools.cache
def _linker(target: Target) -> Any:
    """LLVM's linker of this process. It is never closed: threads may be running its code."""
    import llvmlite.binding as binding

    triple, cpu, features = target.processor
    machine = binding.Target.from_triple(triple).create_target_machine(
        cpu, features, opt=llvm.LEVEL, reloc=llvm.RELOC, codemodel=llvm.CODE_MODEL
    )
    return binding.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)


def _refuse_foreign(text: str, target: Target) -> None:
    """ValueError for instructions of another processor, at which LLVM would end the process."""
    for family, there in (
        ("@llvm.x86.", target.is_x86),
        ("@llvm.x86.avx", target.is_x86 and target.vector_bytes >= 32),
        ("@llvm.x86.avx512", target.is_x86 and target.vector_bytes >= 64),
        ("@llvm.aarch64.", target.is_arm),
    ):
        if family in text and not there:
            raise ValueError(f"{family}… is no instruction of {target.name}")


def compile_object(text: str, target: Target, level: int = llvm.LEVEL) -> bytes:
    """The object code of LLVM IR text; ValueError where the text is not right."""
    _refuse_foreign(text, target)
    return llvm.emit(text, target.processor, target.data_layout, level)


def assembly(text: str, target: Target) -> str:
    """The assembly of LLVM IR text; ValueError where the text is not right."""
    _refuse_foreign(text, target)
    return llvm.emit(text, target.processor, target.data_layout, assembly=True).decode()


class Library:
    """Loaded code: the addresses of its functions hold as long as it lives.

    Where objects are not what `elf` serves, LLVM's linker loads them. `keys` are those under which
    they are kept on disk, if all are.
    """

    def __init__(
        self, objects: list[bytes], keys: Sequence[bytes] = (), from_cache: bool = False
    ) -> None:  # fmt: skip
        self.keys, self.from_cache = keys, from_cache
        self._code = elf.Image(objects) if elf.SERVED else _Linked(objects)

    def address(self, name: str) -> int:
        """The address of a function; ValueError where there is none of that name."""
        return self._code.address(name)


class _Linked:
    """What LLVM's linker has loaded."""

    def __init__(self, objects: list[bytes]) -> None:
        from llvmlite.binding import JITLibraryBuilder

        self._name, target = f"bital{next(_numbers)}", host()
        with llvm.seat():
            self._linker = _linker(target)
            builder = JITLibraryBuilder().add_current_process()
            for code in objects:
                builder.add_object_img(code)
            self._code = builder.link(self._linker, self._name)
        self._found: dict[str, int] = {}
        _libraries.add(self)

    def address(self, name: str) -> int:
        if name not in self._found:
            try:
                with llvm.seat():
                    tracker = self._linker.lookup(self._name, name)
            except RuntimeError as error:
                raise ValueError(f"no function {name!r} in the library: {error}") from None
            self._found[name] = tracker[name]
            tracker.detach()  # to drop it would unload the code, whoever runs it: `_code` owns it
        return self._found[name]

    def leave(self) -> None:
        """Let the code be: the process ends."""
        self._code.detach()


_numbers = itertools.count()
_libraries: weakref.WeakSet[_Linked] = weakref.WeakSet()


def _leave_all() -> None:
    """Before llvmlite is gone, which would complain of what is freed later."""
    background.end()  # of the job that runs there may be a library, too
    for library in list(_libraries):
        library.leave()


atexit.register(_leave_all)


def stored(keys: Sequence[bytes]) -> Library | None:
    """Load what is on the disk under some keys."""
    objects = []
    for key in keys:
        found = cache.get(key)
        if found is None:
            return None
        objects += found
    return Library(objects, keys, from_cache=True)


class _Object(NamedTuple):
    """Object code, and where it is on the disk."""

    code: bytes
    key: bytes
    from_cache: bool


def _object(text: str, level: int) -> _Object:
    """The object code of LLVM IR text for the host, from the disk or compiled now."""
    key = cache.key_of(text, f"{level} {llvm.RELOC} {llvm.CODE_MODEL}")
    found = cache.get(key)
    if found is not None:
        return _Object(found[0], key, True)
    background.give_way()
    code = compile_object(text, host(), level)
    cache.put(key, [code])
    return _Object(code, key, False)


def _loaded(objects: list[_Object]) -> Library:
    codes, keys, from_cache = zip(*objects)
    return Library([*codes], keys, all(from_cache))


def build(text: str, level: int = llvm.LEVEL) -> Library:
    """Load the code of LLVM IR text for the host, from the disk or compiled now."""
    return _loaded([_object(text, level)])


class Building:
    """Code that is compiled part by part, by who waits for it while more text is written.

    Leaving it as a context lets go of parts that nobody has begun.
    """

    def __init__(self) -> None:
        self._parts: list[background.Job[_Object]] = []

    def add(self, text: str) -> None:
        """Compile LLVM IR text, from now on."""
        self._parts.append(background.offer(lambda: _object(text, llvm.LEVEL)))

    def library(self) -> Library:
        """Load all that was added."""
        return _loaded([part.result() for part in self._parts])

    def __enter__(self) -> Building:
        return self

    def __exit__(self, *error: object) -> None:
        for part in self._parts:
            part.cancel()
