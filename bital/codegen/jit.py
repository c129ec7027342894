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
from collections.abc import Callable
from typing import Any, TypeVar

from bital.codegen import background, cache, elf
from bital.codegen.divide import parts
from bital.codegen.target import Target, host, llvm

T = TypeVar("T")

# Of code generation. Level 0 aborts on AVX-512 masks; 1 to 3 are alike in time and speed.
_OPTIONS = {"opt": 2, "reloc": "pic", "codemodel": "small"}


@functools.cache
def _machine(target: Target) -> Any:
    """LLVM's machine for a target."""
    found = llvm().Target.from_triple(target.triple)
    return found.create_target_machine(target.cpu, target.features, **_OPTIONS)


@functools.cache
def _linker() -> Any:
    """LLVM's linker of this process. It is never closed: threads may be running its code."""
    return llvm().create_lljit_compiler(_machine(host()), use_jit_link=True, suppress_errors=True)


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


def _emit(text: str, target: Target, emit: Callable[[Any], T]) -> T:
    """What code generation makes of the text; ValueError where the text is not right."""
    binding = llvm()
    _refuse_foreign(text, target)
    with binding.create_context() as context:
        try:
            # The module is closed before its context, also where the text is refused.
            with binding.parse_assembly(text, context) as module:
                module.triple = target.triple
                module.data_layout = target.data_layout
                module.verify()
                return emit(module)
        except RuntimeError as error:
            raise ValueError(f"not valid LLVM IR: {error}") from None


def compile_object(text: str, target: Target) -> bytes:
    """The object code of LLVM IR text; ValueError where the text is not right."""
    return _emit(text, target, _machine(target).emit_object)


def assembly(text: str, target: Target) -> str:
    """The assembly of LLVM IR text; ValueError where the text is not right."""
    return _emit(text, target, _machine(target).emit_assembly)


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
        linker = _linker()
        builder = llvm().JITLibraryBuilder().add_current_process()
        for code in objects:
            builder.add_object_img(code)
        self._linker, self._name = linker, f"bital{next(_numbers)}"
        self._code = builder.link(linker, self._name)
        self._found: dict[str, int] = {}
        _libraries.add(self)

    def address(self, name: str) -> int:
        if name not in self._found:
            try:
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


def load(*objects: bytes) -> Library:
    """Load object code of the host, in one or several parts."""
    return Library([*objects])


def stored(key: bytes) -> Library | None:
    """Load what is on the disk under a key."""
    objects = cache.get(key)
    return None if objects is None else Library(objects, key, from_cache=True)


def build(text: str) -> Library:
    """Load the code of LLVM IR text for the host, from the disk or compiled now."""
    key = cache.key_of(text, repr(_OPTIONS))
    found = stored(key)
    if found is not None:
        return found
    objects = []
    for part in parts(text):
        background.give_way()
        objects.append(compile_object(part, host()))
    cache.put(key, objects)
    return Library(objects, key)
