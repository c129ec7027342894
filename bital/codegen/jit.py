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
from typing import Any

from bital.codegen import background, cache, elf, llvm
from bital.codegen.divide import parts
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

    Where objects are not what `elf` serves, LLVM's linker loads them. `key` is that under which
    the objects are kept on disk.
    """

    def __init__(
        self, objects: list[bytes], key: bytes = b"", from_cache: bool = False
    ) -> None:  # fmt: skip
        self.key, self.from_cache = key, from_cache
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


def stored(key: bytes) -> Library | None:
    """Load what is on the disk under a key."""
    objects = cache.get(key)
    return None if objects is None else Library(objects, key, from_cache=True)


def build(text: str, level: int = llvm.LEVEL) -> Library:
    """Load the code of LLVM IR text for the host, from the disk or compiled now."""
    key = cache.key_of(text, f"{level} {llvm.RELOC} {llvm.CODE_MODEL}")
    found = stored(key)
    if found is not None:
        return found

    def compiled(part: str) -> bytes:
        background.give_way()
        return compile_object(part, host(), level)

    objects = background.together(functools.partial(compiled, part) for part in parts(text))
    cache.put(key, objects)
    return Library(objects, key)
