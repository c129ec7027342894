"""LLVM's functions: as llvmlite declares them, and used by several threads at once."""

import ctypes
import os
import threading

import pytest

pytest.importorskip("llvmlite")

from bital.codegen import jit, llvm
from bital.codegen.target import host

LOOP = """
define void @f(ptr %a, i64 %n) nounwind {{
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %k, %next ]
  %at = getelementptr <4 x float>, ptr %a, i64 %i
  %x = load <4 x float>, ptr %at, align 4
  %y = fadd <4 x float> %x, splat (float {number}.0)
  store <4 x float> %y, ptr %at, align 4
  %k = add i64 %i, 1
  %more = icmp slt i64 %k, %n
  br i1 %more, label %next, label %end
end:
  ret void
}}
"""


def _kind(what):
    """How a value is passed: pointers are all alike."""
    plain = None, ctypes.c_bool, ctypes.c_int, ctypes.c_size_t
    return what if what in plain else ctypes.c_void_p


@pytest.mark.parametrize("name", llvm.SIGNATURES)
def test_functions_are_declared_as_in_llvmlite(name):
    from llvmlite.binding import ffi

    theirs = getattr(ffi.lib, "LLVMPY_" + name)
    result, *arguments = llvm.SIGNATURES[name]
    # what they do not declare is passed as it comes, and results are ints that nobody looks at
    if theirs.argtypes is not None:
        assert [*map(_kind, arguments)] == [*map(_kind, theirs.argtypes)]
    assert result is None or _kind(result) == _kind(theirs.restype)


def test_several_threads_compile_at_once():
    texts = [LOOP.format(number=k) for k in range(12)]
    expected = [jit.compile_object(text, host()) for text in texts]
    assert len(set(expected)) == len(texts)
    found = {}

    def work(own):
        for k in own:
            found[k] = jit.compile_object(texts[k], host())

    threads = [threading.Thread(target=work, args=(range(n, 12, 3),)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(12)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_until_nobody_is_inside():
    child = 0
    with llvm.seat():
        forked = threading.Event()

        def fork():
            nonlocal child
            child = os.fork()
            if not child:
                with llvm.seat(), llvm.seat():  # both are free in the child
                    os._exit(0)
            forked.set()

        thread = threading.Thread(target=fork)
        thread.start()
        assert not forked.wait(0.05)
    thread.join()
    assert forked.is_set() and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
