"""The thread pool: every chunk runs once, whoever calls, forks or exits."""

import ctypes
import os
import platform
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from bital.base import cores
from bital.codegen import jit, target, team, threads
from bital.codegen.kernel import chunks_of

pytest.importorskip("llvmlite")

# `count` adds 1 to its chunk's place; `nested` runs `count` of all 4 places in a region of its own;
# `many` runs a region again and again.
TEXT = """
define void @count(ptr %args, i64 %chunk) nounwind {
  %places = load ptr, ptr %args
  %place = getelementptr i64, ptr %places, i64 %chunk
  %old = atomicrmw add ptr %place, i64 1 monotonic
  ret void
}
define void @nested(ptr %args, i64 %chunk) nounwind {
  %parallel.at = getelementptr ptr, ptr %args, i64 1
  %parallel = load ptr, ptr %parallel.at
  call void %parallel(ptr @count, ptr %args, i64 4, i64 4)
  ret void
}
define void @many(ptr %parallel, ptr %fn, ptr %args, i64 %chunks, i64 %times) nounwind {
entry:
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  call void %parallel(ptr %fn, ptr %args, i64 %chunks, i64 %chunks)
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %times
  br i1 %more, label %next, label %end
end:
  ret void
}
"""


KEPT: list[jit.Library] = []


class Regions:
    """Regions over the places of an array."""

    def __init__(self) -> None:
        self.library = jit.build(TEXT)
        kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2
        self.many = ctypes.CFUNCTYPE(None, *kinds)(self.library.address("many"))

    def run(self, name: str, places: int, chunks: int, times: int) -> np.ndarray:
        """How often each place was counted."""
        counts = np.zeros(places, np.int64)
        args = (ctypes.c_void_p * 2)(counts.ctypes.data, threads.address())
        self.many(threads.address(), self.library.address(name), args, chunks, times)
        return counts


@pytest.fixture(scope="module")
def regions():
    """Regions; the number of threads is put back when the tests are over."""
    before = cores.get_threads()
    yield Regions()
    cores.set_threads(before)


@pytest.mark.parametrize("number", [1, 2, 4, 3])
def test_every_chunk_runs_once(regions, number):
    cores.set_threads(number)
    for chunks in (0, 1, 2, 3, 5, 64, 1000):
        counts = regions.run("count", 1001, chunks, times=500)
        assert (counts[:chunks] == 500).all() and not counts[chunks:].any(), chunks


@pytest.mark.parametrize("number", [1, 3])
def test_regions_inside_regions(regions, number):
    cores.set_threads(number)
    assert regions.run("nested", 4, 5, times=300).tolist() == [1500] * 4


def test_two_callers_at_once(regions):
    cores.set_threads(2)
    found = {}

    def caller(name: int) -> None:
        found[name] = regions.run("count", 16, 16, times=5000)

    callers = [threading.Thread(target=caller, args=(name,)) for name in range(2)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert all((found[name] == 5000).all() for name in range(2))


def test_workers_come_back_after_sleeping(regions):
    cores.set_threads(2)
    for _ in range(20):
        assert (regions.run("count", 64, 64, times=1) == 1).all()
        threading.Event().wait(3 * team.SPIN_NS * 1e-9)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
def test_workers_that_were_woken_in_vain_are_woken_again_without_a_pause(regions):
    text = team.pool_text(sys.platform, platform.machine()).replace("internal global", "global")
    library = jit.build(text)
    KEPT.append(library)  # its worker runs until the process ends

    def state(name: str) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(library.address(name))

    state("limit").value = 2
    state("pauses").value = 512
    counts = np.zeros(64, np.int64)
    args = (ctypes.c_void_p * 1)(counts.ctypes.data)
    regions.many(library.address("parallel"), regions.library.address("count"), args, 64, 7)
    assert state("pauses").value == 64
    assert not state("roused").value & 1
    regions.many(library.address("parallel"), regions.library.address("count"), args, 64, 1)
    assert state("roused").value & 1


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
def test_who_owes_time_runs_regions_alone_for_a_while(regions):
    text = team.pool_text(sys.platform, platform.machine()).replace("internal global", "global")
    library = jit.build(text)
    KEPT.append(library)
    ctypes.c_int64.from_address(library.address("limit")).value = 2
    counts = np.zeros(64, np.int64)
    args = (ctypes.c_void_p * 1)(counts.ctypes.data)
    parallel, count = library.address("parallel"), regions.library.address("count")
    for until, workers in ((2**62, 0), (0, 1)):
        ctypes.c_int64.from_address(library.address("until")).value = until
        regions.many(parallel, count, args, 64, 10)
        assert ctypes.c_int64.from_address(library.address("workers")).value == workers
    assert (counts == 20).all()


def run_program(program: str) -> str:
    """What a program in a fresh process prints; it must end well."""
    setup = """
        import os, sys
        from bital.base import cores
        from bital.codegen import threads
        from tests.codegen.test_threads import Regions
        cores.set_threads(3)
        regions = Regions()
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(setup) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_after_fork_computes_and_has_workers():
    program = """
        assert (regions.run("count", 64, 64, 1000) == 1000).all()
        child = os.fork()
        before = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1
        assert (regions.run("count", 64, 64, 1000) == 1000).all()
        after = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 3
        if not child:
            assert (before, after) == (1, 3)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        print("both")
        """
    assert run_program(program) == "both\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_a_region_runs_computes():
    program = """
        import threading
        thread = threading.Thread(target=regions.run, args=("count", 64, 64, 30000))
        thread.start()
        for _ in range(10):
            child = os.fork()
            if not child:
                os._exit(int((regions.run("count", 64, 64, 100) == 100).all()))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        thread.join()
        """
    run_program(program)


def test_exit_is_clean_with_workers_awake():
    assert run_program("print(regions.run('count', 64, 64, 1000).sum())") == "64000\n"


@pytest.mark.parametrize(
    ("system", "machine", "name", "words"),
    [
        ("linux", "x86_64", "x86-64-v2", ["pause", "syscall"]),
        ("linux", "aarch64", "aarch64-neon", ["yield", "syscall"]),
        ("darwin", "arm64", "apple-m1", ["yield", "usleep"]),
        ("linux", "other", "x86-64-v2", ["usleep"]),
    ],
)
def test_the_pool_of_each_system_compiles(system, machine, name, words):
    text = jit.assembly(team.pool_text(system, machine), target.named(name))
    assert all(word in text for word in words)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
def test_napping_workers_count_as_well(regions):
    library = jit.build(team.pool_text(sys.platform, "without a futex"))
    KEPT.append(library)  # its worker runs until the process ends
    ctypes.c_int64.from_address(library.address("limit")).value = 2
    counts = np.zeros(64, np.int64)
    args = (ctypes.c_void_p * 1)(counts.ctypes.data)
    for _ in range(10):
        parallel, count = library.address("parallel"), regions.library.address("count")
        regions.many(parallel, count, args, 64, 100)
        threading.Event().wait(3 * team.SPIN_NS * 1e-9)
    assert (counts == 1000).all()


def test_where_there_are_no_posix_threads_the_caller_does_all(regions):
    library = jit.build(team.SERIAL)
    counts = np.zeros(9, np.int64)
    args = (ctypes.c_void_p * 1)(counts.ctypes.data)
    regions.many(library.address("parallel"), regions.library.address("count"), args, 8, 10)
    assert counts.tolist() == [10] * 8 + [0]


def test_the_number_of_threads():
    for given, expected in (("3", "3"), ("2,1", "2"), ("", str(cores.available_cores()))):
        done = subprocess.run(
            [sys.executable, "-c", "from bital import torch\nprint(torch.get_num_threads())"],
            env={**os.environ, "OMP_NUM_THREADS": given},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected, done.stderr
    with pytest.raises(ValueError, match="positive"):
        cores.set_threads(0)


def test_loops_are_cut_into_as_many_chunks_as_threads_share_evenly():
    wanted = 0, 1, 2, 3, 5, 11, 21, 1000
    assert [chunks_of(12_000 * k) for k in wanted] == [1, 1, 2, 4, 6, 12, 24, 64]
