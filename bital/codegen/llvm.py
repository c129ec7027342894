"""LLVM: what the compiler asks of it, by the C functions of llvmlite's library.

Room: codegen. llvmlite's Python side is imported only where LLVM's linker is needed (see jit): it
takes six times as long to import as the library to load, and lets one thread at a time into LLVM.
LLVM itself serves several at once, each with a context and a machine of its own: a *seat*.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_void_p, string_at
from importlib.machinery import PathFinder
from types import SimpleNamespace
from typing import NamedTuple

#: of code generation. Level 0 aborts on AVX-512 masks; 1 to 3 are alike in time and speed.
LEVEL = 2
RELOC, CODE_MODEL = "pic", "small"

_OUT = POINTER(c_char_p)  # where a string is put
#: result and arguments of the functions, whose names begin with LLVMPY_
SIGNATURES: dict[str, tuple] = {
    "InitializeNativeTarget": (None,),
    "InitializeNativeAsmPrinter": (None,),
    "InitializeAllTargetInfos": (None,),
    "InitializeAllTargets": (None,),
    "InitializeAllTargetMCs": (None,),
    "InitializeAllAsmPrinters": (None,),
    "GetProcessTriple": (None, _OUT),
    "GetHostCPUName": (None, _OUT),
    "GetHostCPUFeatures": (c_int, _OUT),
    "DisposeString": (None, c_char_p),
    "GetTargetFromTriple": (c_void_p, c_char_p, _OUT),
    # target, triple, processor, features, level, relocation, code model, print, jit, abi
    "CreateTargetMachine": (
        c_void_p, c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_char_p, c_char_p, c_int, c_int,
        c_char_p,
    ),
    "CreateTargetMachineData": (c_void_p, c_void_p),
    "CopyStringRepOfTargetData": (None, c_void_p, _OUT),
    "DisposeTargetData": (None, c_void_p),
    "ContextCreate": (c_void_p,),
    "ContextDispose": (None, c_void_p),
    "ParseAssembly": (c_void_p, c_void_p, c_char_p, _OUT),
    "SetTarget": (None, c_void_p, c_char_p),
    "SetDataLayout": (None, c_void_p, c_char_p),
    "VerifyModule": (c_bool, c_void_p, _OUT),
    "DisposeModule": (None, c_void_p),
    "TargetMachineEmitToMemory": (c_void_p, c_void_p, c_void_p, c_int, _OUT),
    "GetBufferStart": (c_void_p, c_void_p),
    "GetBufferSize": (c_size_t, c_void_p),
    "DisposeMemoryBuffer": (None, c_void_p),
}  # fmt: skip
#: those that let go of the interpreter meanwhile: who wants it back may wait for 5 ms
_LONG = {"ParseAssembly", "TargetMachineEmitToMemory"}
_LIBRARY = {"win32": "llvmlite.dll", "darwin": "libllvmlite.dylib"}


def folder() -> str:
    """Where llvmlite is installed; ImportError where it is not. It is not imported."""
    found = PathFinder.find_spec("llvmlite")
    if found is None or not found.submodule_search_locations:
        raise ImportError("No module named 'llvmlite'", name="llvmlite")
    return next(iter(found.submodule_search_locations))


@functools.cache
def _load() -> SimpleNamespace:
    name = _LIBRARY.get(sys.platform, "libllvmlite.so")
    path = os.path.join(folder(), "binding", name)
    library, short = ctypes.CDLL(path), ctypes.PyDLL(path)
    functions = SimpleNamespace()
    for word, (result, *arguments) in SIGNATURES.items():
        # by index, it is nobody else's
        function = (library if word in _LONG else short)["LLVMPY_" + word]
        function.restype, function.argtypes = result, arguments
        setattr(functions, word, function)
    functions.InitializeNativeTarget()
    functions.InitializeNativeAsmPrinter()
    return functions


_loading = threading.Lock()


def functions() -> SimpleNamespace:
    """The functions, ready for the host; ImportError where llvmlite is not installed."""
    with _loading:
        return _load()


@functools.cache
def know_all() -> None:
    """Make all processors known, not the host's kind alone."""
    llvm = functions()
    llvm.InitializeAllTargetInfos()
    llvm.InitializeAllTargets()
    llvm.InitializeAllTargetMCs()
    llvm.InitializeAllAsmPrinters()


def _taken(text: c_char_p) -> str:
    """A string that LLVM has put somewhere."""
    found = (text.value or b"").decode()
    if text:
        functions().DisposeString(text)
    return found


class Processor(NamedTuple):
    """What code is generated for, as LLVM spells it."""

    triple: str
    cpu: str
    features: str  # "+avx2,-avx512f"


def host() -> Processor:
    """The processor of this process."""
    llvm, words = functions(), []
    for ask in (llvm.GetProcessTriple, llvm.GetHostCPUName, llvm.GetHostCPUFeatures):
        text = c_char_p()
        ask(byref(text))
        words.append(_taken(text))
    triple, cpu, features = words
    return Processor(triple, cpu, ",".join(sorted(features.split(","), key=lambda f: f[1:])))


class _Seat:
    """What one thread at a time needs for LLVM: its lock, and machines by what they are for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.machines: dict[tuple, int] = {}

    def machine(self, processor: Processor, level: int = LEVEL) -> int:
        """LLVM's machine for a processor; RuntimeError where LLVM does not know it."""
        key = processor, level
        if key not in self.machines:
            llvm, wrong = functions(), c_char_p()
            triple, cpu, features = (word.encode() for word in processor)
            target = llvm.GetTargetFromTriple(triple, byref(wrong))
            if not target:
                raise RuntimeError(_taken(wrong))
            options = level, RELOC.encode(), CODE_MODEL.encode(), 0, 0, b""
            self.machines[key] = llvm.CreateTargetMachine(target, triple, cpu, features, *options)
        return self.machines[key]


_SEATS = [_Seat(), _Seat()]  # for the background thread, and for who waits for it


@contextmanager
def seat() -> Iterator[_Seat]:
    """Be the only one on a seat; a fork waits until nobody is."""
    found = next((s for s in _SEATS if s.lock.acquire(blocking=False)), None)
    if found is None:
        found = _SEATS[0]
        found.lock.acquire()
    try:
        yield found
    finally:
        found.lock.release()


# who loads takes no seat meanwhile, so this order is safe
_LOCKS = [*(each.lock for each in _SEATS), _loading]


def _before_fork() -> None:
    for lock in _LOCKS:
        lock.acquire()


def _after_fork() -> None:
    for lock in _LOCKS:
        lock.release()


if hasattr(os, "register_at_fork"):
    # Forked while another thread is inside LLVM, a child would wait for that thread for ever.
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


def data_layout(processor: Processor) -> str:
    """How a processor's data lie in memory, as LLVM spells it."""
    llvm, text = functions(), c_char_p()
    with seat() as mine:
        data = llvm.CreateTargetMachineData(mine.machine(processor))
        llvm.CopyStringRepOfTargetData(data, byref(text))
        llvm.DisposeTargetData(data)
        return _taken(text)


def emit(
    text: str, processor: Processor, layout: str, level: int = LEVEL, assembly: bool = False
) -> bytes:
    """The object code of LLVM IR text, or its assembly; ValueError where the text is not right."""
    llvm, wrong, triple = functions(), c_char_p(), processor.triple.encode()
    with seat() as mine:
        machine = mine.machine(processor, level)
        context = llvm.ContextCreate()
        module = llvm.ParseAssembly(context, text.encode(), byref(wrong))
        try:
            if not module:
                raise ValueError(f"not valid LLVM IR: {_taken(wrong)}")
            llvm.SetTarget(module, triple)
            llvm.SetDataLayout(module, layout.encode())
            refused = llvm.VerifyModule(module, byref(wrong))
            message = _taken(wrong)
            if refused:
                raise ValueError(f"not valid LLVM IR: {message}")
            code = llvm.TargetMachineEmitToMemory(machine, module, not assembly, byref(wrong))
            if not code:
                raise ValueError(f"no code for LLVM IR: {_taken(wrong)}")
            found = string_at(llvm.GetBufferStart(code), llvm.GetBufferSize(code))
            llvm.DisposeMemoryBuffer(code)
            return found
        finally:
            if module:
                llvm.DisposeModule(module)
            llvm.ContextDispose(context)
