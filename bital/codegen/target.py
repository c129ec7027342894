"""Target: the processor that code is generated for.

Room: codegen. The host is what LLVM finds it to be; other processors are known by name, so that
their code can be looked at on any machine.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from types import ModuleType


@functools.cache
def llvm() -> ModuleType:
    """llvmlite's binding, ready for the host; ImportError where llvmlite is not installed."""
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    if hasattr(os, "register_at_fork"):
        lock = binding.ffi.lib._lock
        # Forked while another thread is inside LLVM, a child would wait for that thread for ever.
        os.register_at_fork(
            before=lock.__enter__, after_in_parent=lock.__exit__, after_in_child=lock.__exit__
        )
    return binding


@functools.cache
def _all_llvm() -> ModuleType:
    binding = llvm()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


@dataclass(frozen=True)
class Target:
    """A processor: what LLVM calls it, and its vectors."""

    cpu: str
    features: str  # as LLVM spells them: "+avx2,-avx512f"
    triple: str
    data_layout: str
    vector_bytes: int
    registers: int  # vector registers

    @property
    def name(self) -> str:
        """A short name: "znver4-512"."""
        return f"{self.cpu}-{8 * self.vector_bytes}"

    @property
    def is_x86(self) -> bool:
        """Whether it is an x86 of 64 bits."""
        return self.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        """Whether it is an Arm of 64 bits."""
        return self.triple.startswith(("aarch64", "arm64"))

    def lanes(self, dtype_bytes: int) -> int:
        """How many elements of so many bytes a vector holds."""
        return self.vector_bytes // dtype_bytes


# What a vector of so many bytes takes, of x86's features.
_AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
_AVX2 = {"avx2", "fma"}


def _vectors(triple: str, features: set[str]) -> tuple[int, int]:
    """The bytes of a vector and the number of registers, from the features that are there."""
    if not triple.startswith("x86_64"):
        return 16, 32
    if features >= _AVX512:
        return 64, 32
    return (32 if features >= _AVX2 else 16), 16


def _data_layout(binding: ModuleType, cpu: str, features: str, triple: str) -> str:
    machine = binding.Target.from_triple(triple).create_target_machine(cpu, features)
    return str(machine.target_data)


@functools.cache
def host() -> Target:
    """The processor this process runs on."""
    binding = llvm()
    triple = binding.get_process_triple()
    cpu = binding.get_host_cpu_name()
    found = binding.get_host_cpu_features()
    if cpu in ("", "generic") and triple.startswith("x86_64"):
        cpu = "x86-64"  # LLVM ends the process where it is left without 64-bit code
    features = found.flatten()
    width, registers = _vectors(triple, {word for word, there in found.items() if there})
    layout = _data_layout(binding, cpu, features, triple)
    return Target(cpu, features, triple, layout, width, registers)


_LINUX_X86 = "x86_64-unknown-linux-gnu"
# name: cpu, triple, features that decide about vectors (the cpu has them already)
_NAMED: dict[str, tuple[str, str, set[str]]] = {
    "x86-64-v2": ("x86-64-v2", _LINUX_X86, set()),
    "x86-64-v3": ("x86-64-v3", _LINUX_X86, _AVX2),
    "x86-64-v4": ("x86-64-v4", _LINUX_X86, _AVX2 | _AVX512),
    "aarch64-neon": ("generic", "aarch64-unknown-linux-gnu", set()),
    "apple-m1": ("apple-m1", "arm64-apple-macosx11.0.0", set()),
}


@functools.cache
def named(name: str) -> Target:
    """A processor by name; ValueError for any other than the few known here."""
    if name not in _NAMED:
        raise ValueError(f"unknown target {name!r}; known are {', '.join(_NAMED)}")
    cpu, triple, features = _NAMED[name]
    layout = _data_layout(_all_llvm(), cpu, "", triple)
    return Target(cpu, "", triple, layout, *_vectors(triple, features))
