"""Kernels in parts: linked they do what the whole does, and exit need not wait for all."""

import ctypes
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from bital.base import config
from bital.codegen import jit
from bital.codegen.divide import LEAST, Functions
from bital.codegen.kernel import Kernel
from bital.codegen.scalar import Builder

KERNELS = 9
HELPER = "define internal void @helper(ptr %p) #0 {\n  ret void\n}\n"


def kernel(number: int, lines: int) -> Kernel:
    """Of so many lines, each of which adds its number to a place; number 4 calls a function."""
    b = Builder()
    b.line("%x0 = load ptr, ptr %args")
    if number == 4:
        b.declared.add(HELPER)
        b.line("call void @helper(ptr %x0)")
    for n in range(lines):
        b.line(f"%x{n + 1} = getelementptr i8, ptr %x{n}, i64 {number}")
    b.line(f"store ptr %x{lines}, ptr %args")
    return Kernel(b, 1, [])


def divided(lines: int, use) -> str:
    """A module that runs them all."""
    functions = Functions(use)
    names = [functions.name(kernel(k, lines)) for k in range(KERNELS)]
    assert names == [functions.name(kernel(k, lines)) for k in range(KERNELS)]
    calls = "".join(f"  call void @{name}(ptr %args, i64 0)\n" for name in names)
    return functions.end(f"define void @all(ptr %args) #0 {{\n{calls}  ret void\n}}\n")


def moved(library: jit.Library) -> int:
    """How far the kernels move a pointer."""
    start = np.array([1000], np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(start.ctypes.data)
    return int(start[0]) - 1000


def built(lines: int) -> jit.Library:
    """The module, compiled in parts."""
    with jit.Building() as building:
        divided(lines, building.add)
        return building.library()


def test_a_short_module_is_one_part():
    parts = []
    assert divided(10, parts.append).count("define internal void @k") == KERNELS
    assert len(parts) == 1


def test_parts_do_what_the_whole_does(tmp_path):
    lines, parts = LEAST // 2, []
    text = divided(lines, parts.append)
    assert len(parts) == 5 and all(part.count("\n") < LEAST + 100 for part in parts[:-1])
    assert "define internal void @k4" in parts[-1]  # it refers to another function
    assert all(HELPER not in part for part in parts[:-1])
    with config.override(cache=True, cache_dir=str(tmp_path)):
        expected = lines * sum(range(KERNELS))
        assert moved(jit.build(text)) == moved(built(lines)) == moved(built(lines)) == expected
        assert built(lines).from_cache and jit.stored(built(lines).keys).from_cache


def test_long_modules_have_longer_parts():
    parts = []
    functions = Functions(parts.append)
    for k in range(300):
        functions.name(kernel(k, 100))
    sizes = [part.count("\n") for part in parts]
    assert sizes == sorted(sizes) and sizes[0] < LEAST + 110 and len(sizes) < 30


def test_parts_that_nobody_began_are_let_go():
    with jit.Building() as building:
        building.add("not right")
        building.add("define void @f() {\n ret void\n}")
        with pytest.raises(ValueError, match="not valid LLVM IR"):
            building.library()


def test_exit_does_not_wait_for_all_parts():
    program = """
        import time
        from bital.codegen import background, jit
        from tests.codegen import test_divide
        compiled = []
        whole = jit.compile_object
        def slow(*given):
            compiled.append(1)
            time.sleep(0.2)
            return whole(*given)
        jit.compile_object = slow
        background.submit(lambda: test_divide.built(test_divide.LEAST))
        while not compiled:
            time.sleep(0.001)
        background._line.close()
        print(len(compiled))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "BITAL_CACHE": "0"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
