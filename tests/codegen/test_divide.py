"""Texts in parts: linked they do what the whole does, and exit need not wait for all."""

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
from bital.codegen.divide import LEAST, parts

KERNELS = 9


def module(lines: int) -> str:
    """KERNELS kernels of so many lines, of which number k adds k lines times to a place."""
    kernels = []
    for k in range(KERNELS):
        called = "call void @helper(ptr %x0)" if k == 4 else "store volatile i8 0, ptr %at"
        values = [f"  %x{n + 1} = getelementptr i8, ptr %x{n}, i64 {k}" for n in range(lines)]
        kernels.append(
            f"define internal void @k{k}(ptr %args, i64 %chunk) #0 {{\n"
            f"  %at = alloca i8\n  %x0 = load ptr, ptr %args\n  {called}\n" + "\n".join(values)
            + f"\n  store ptr %x{lines}, ptr %args\n  ret void\n}}\n"
        )  # fmt: skip
    pointers = ", ".join(f"ptr @k{k}" for k in range(KERNELS))
    calls = "".join(
        f"  %f{k}.at = getelementptr ptr, ptr @steps, i64 {k}\n  %f{k} = load ptr, ptr %f{k}.at\n"
        f"  call void %f{k}(ptr %args, i64 0)\n"
        for k in range(KERNELS)
    )
    return (
        "define internal void @helper(ptr %p) #0 {\n  ret void\n}\n" + "".join(kernels)
        + f"@steps = internal constant [{KERNELS} x ptr] [ {pointers} ]\n"
        + f"define void @all(ptr %args) #0 {{\n{calls}  ret void\n}}\n"
        + "attributes #0 = { nounwind }\n"
    )  # fmt: skip


def result(text: str) -> int:
    """How far the kernels move a pointer."""
    library = jit.build(text)
    start = np.array([1000], np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(start.ctypes.data)
    return int(start[0]) - 1000


def test_a_short_text_is_one_part():
    assert parts(module(10)) == [module(10)]


def test_parts_do_what_the_whole_does(tmp_path):
    lines = LEAST // 3
    text = module(lines)
    divided = parts(text)
    assert len(divided) == 5 and all(part.count("\n") < LEAST + 100 for part in divided)
    assert "define internal void @k4" in divided[-1]  # it refers to another function
    assert sum("define hidden" in part for part in divided) == 4
    with config.override(cache=True, cache_dir=str(tmp_path)):
        expected = lines * sum(range(KERNELS))
        assert result(text) == result(text) == expected
        assert jit.build(text).from_cache


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
        text = test_divide.module(test_divide.LEAST)
        background.submit(lambda: jit.build(text))
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
