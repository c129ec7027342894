"""Targets and the jit: vectors of each processor, addresses, and text that is not right."""

import ctypes
import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from bital.codegen import elf, jit, target

pytest.importorskip("llvmlite")

SQUARES = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define void @squares(ptr %a) nounwind {
  %x = load <16 x float>, ptr %a, align 4
  %y = call <16 x float> @llvm.fma.v16f32(<16 x float> %x, <16 x float> %x, <16 x float> %x)
  store <16 x float> %y, ptr %a, align 4
  ret void
}
"""


def call(address: int, *arguments: int) -> None:
    """Call the native function at an address with pointers."""
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(address)(*arguments)


def test_compiled_text_runs():
    library = jit.build(SQUARES)
    a = np.arange(16, dtype=np.float32)
    call(library.address("squares"), a.ctypes.data)
    assert np.array_equal(a, np.arange(16) * np.arange(16.0) + np.arange(16))


@pytest.mark.parametrize(
    ("name", "bytes_", "registers", "words"),
    [
        ("x86-64-v4", 64, 32, ["zmm0", "vfmadd"]),
        ("x86-64-v3", 32, 16, ["ymm0", "ymm1", "vfmadd"]),
        ("aarch64-neon", 16, 32, ["fmla\tv3.4s", "q3"]),
        ("apple-m1", 16, 32, ["fmla.4s", "q3"]),
    ],
)
def test_each_target_has_its_vectors(name, bytes_, registers, words):
    found = target.named(name)
    assert (found.vector_bytes, found.registers) == (bytes_, registers)
    assert found.lanes(4) == bytes_ // 4
    assert found.is_x86 == name.startswith("x86") != found.is_arm
    text = jit.assembly(SQUARES, found)
    assert all(word in text for word in words), text


def test_the_host_is_known():
    host = target.host()
    assert host is target.host() and host.is_x86 | host.is_arm
    assert host.vector_bytes in (16, 32, 64) and str(8 * host.vector_bytes) in host.name
    assert jit.compile_object(SQUARES, host)


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="unknown target 'z80'"):
        target.named("z80")


@pytest.mark.parametrize(
    "text",
    [
        "define void @f() {",
        "define i32 @f() { ret void }",
        # the use comes before the definition: parsed, but not verified
        "define i32 @f() {\n %a = add i32 %b, 1\n %b = add i32 1, 1\n ret i32 %a\n}",
    ],
)
def test_text_that_is_not_right_is_refused(text):
    with pytest.raises(ValueError, match="not valid LLVM IR"):
        jit.build(text)


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("x86-64-v2", ["x86.avx.rcp.ps.256", "x86.avx512.rcp14.ps.512", "aarch64.hint"]),
        ("x86-64-v3", ["x86.avx512.rcp14.ps.512", "aarch64.hint"]),
        ("x86-64-v4", ["aarch64.hint"]),
        ("aarch64-neon", ["x86.sse2.pause", "x86.avx.rcp.ps.256"]),
    ],
)
def test_instructions_of_other_processors_are_refused(name, refused):
    for word in refused:  # LLVM would end the process
        text = f"declare void @llvm.{word}()\ndefine void @f() {{\n ret void\n}}"
        with pytest.raises(ValueError, match="is no instruction of"):
            jit.compile_object(text, target.named(name))


@pytest.fixture(params=["its own", "LLVM's"])
def linker(request, monkeypatch):
    """Both ways in which object code is loaded."""
    if request.param == "LLVM's":
        monkeypatch.setattr(elf, "SERVED", False)
    elif not elf.SERVED:
        pytest.skip("this system's objects are LLVM's linker's")


def test_asking_for_a_name_never_unloads_the_code(linker):
    # Each look-up has a tracker of its own, and whichever is dropped first unloads the code: when
    # several threads asked for a name at once, the code vanished under the one that ran it.
    code = jit.compile_object("define i64 @f() nounwind {\n ret i64 7\n}", target.host())
    for _ in range(30):
        library, start, found = jit.Library([code]), threading.Barrier(4), []

        def ask(library=library, start=start, found=found):
            start.wait()
            function = ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("f"))
            found.extend(function() for _ in range(50))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert found == [7] * 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_code_lives_as_long_as_its_library(linker):
    def mapped(address: int) -> bool:
        lines = Path("/proc/self/maps").read_text().splitlines()
        ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
        return any(begin <= address < end for begin, end in ranges)

    library = jit.Library([jit.compile_object(SQUARES, target.host())])
    address = library.address("squares")
    for _ in range(3):
        assert library.address("squares") == address
    gc.collect()
    assert mapped(address)
    del library
    gc.collect()
    assert not mapped(address)


def test_missing_names_are_refused(linker):
    with pytest.raises(ValueError, match="no function 'cubes'"):
        jit.build(SQUARES).address("cubes")
    calls = "declare void @bital_nowhere()\ndefine void @f() {\n call void @bital_nowhere()\n"
    with pytest.raises(ValueError, match="no function '(f|bital_nowhere)'"):
        jit.build(calls + " ret void\n}").address("f")
