"""Target: the processor that code is generated for.

Room: codegen. The host is what LLVM finds it to be; other processors are known by name, so that
their code can be looked at on any machine.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from bital.codegen import llvm
from bital.codegen.llvm import Processor


@dataclass(frozen=True)
class Target:
    """A processor, and its vectors."""

    processor: Processor
    data_layout: str
    vector_bytes: int
    registers: int  # vector registers

    @property
    def name(self) -> str:
        """A short name: "znver4-512"."""
        return f"{self.processor.cpu}-{8 * self.vector_bytes}"

    @property
    def is_x86(self) -> bool:
        """Whether it is an x86 of 64 bits."""
        return self.processor.triple.startswith("x86_64")

    @property
    def is_arm(self) -> bool:
        """Whether it is an Arm of 64 bits."""
        return self.processor.triple.startswith(("aarch64", "arm64"))

    @property
    def masks(self) -> bool:
        """Whether it loads and stores under a mask at no cost."""
        return self.vector_bytes == 64

    @property
    def fused(self) -> bool:
        """Whether it multiplies and adds in one instruction, rounding once."""
        return not self.is_x86 or self.vector_bytes >= 32

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


@functools.cache
def host() -> Target:
    """The processor this process runs on."""
    found = llvm.host()
    if found.cpu in ("", "generic") and found.triple.startswith("x86_64"):
        found = found._replace(cpu="x86-64")  # LLVM ends the process where it finds no 64 bits
    has = {feature[1:] for feature in found.features.split(",") if feature[:1] == "+"}
    return Target(found, llvm.data_layout(found), *_vectors(found.triple, has))


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
    llvm.know_all()
    found = Processor(triple, cpu, "")
    return Target(found, llvm.data_layout(found), *_vectors(triple, features))
