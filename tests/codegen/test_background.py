"""The background thread: jobs are done once, waiting helps, forks and exits do not hang."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from bital.codegen import background


def begun(job: background.Job) -> background.Job:
    """The last job that was submitted, when the thread is at it."""
    while background._line.jobs:
        time.sleep(0.001)
    return job


def together(functions: list) -> list:
    """The results of parts."""
    return [part.result() for part in [*map(background.offer, functions)]]


def test_jobs_are_done_in_the_background():
    release = threading.Event()
    job = begun(background.submit(lambda: release.wait(60) and threading.get_ident()))
    assert not job.done()
    release.set()
    assert job.result() != threading.get_ident() and job.done()


def test_who_waits_does_not_wait_for_jobs_before():
    release = threading.Event()
    held = begun(background.submit(lambda: release.wait(60)))
    job = background.submit(threading.get_ident)
    assert not job.done()
    assert job.result() == threading.get_ident()
    release.set()
    assert held.result()


def test_errors_are_raised_where_the_result_is_needed():
    job = background.submit(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            job.result()
    assert background.submit(lambda: "and on").result() == "and on"


def test_an_interrupted_job_is_still_to_be_done():
    answers = iter([KeyboardInterrupt, None])

    def function():
        if error := next(answers):
            raise error
        return "done"

    job = background.Job(function)
    with pytest.raises(KeyboardInterrupt):
        job.result()
    assert not job.done() and job.result() == "done"


def test_who_waits_does_parts_that_nobody_is_at():
    here, both = threading.get_ident(), threading.Barrier(2)

    def part():
        both.wait(60)  # only two threads together get through
        return threading.get_ident()

    job = begun(background.submit(lambda: together([part] * 6)))
    found = job.result()
    assert found.count(here) == 3 and len(set(found)) == 2
    assert not background._line.parts


def test_the_thread_does_parts_of_what_another_has_begun():
    release, both = threading.Event(), threading.Barrier(2)
    held = begun(background.submit(lambda: release.wait(60)))

    def whole():
        release.set()
        return together([lambda: both.wait(60)] * 4)

    assert sorted(background.submit(whole).result()) == [0, 0, 1, 1]
    assert held.result()


def test_parts_are_done_where_nobody_waits():
    job = begun(background.submit(lambda: together([threading.get_ident] * 3)))
    while not job.done():
        time.sleep(0.001)
    assert len(set(job.result())) == 1 and threading.get_ident() not in job.result()


def test_parts_may_be_cancelled():
    part = background.offer(lambda: 1)
    part.cancel()
    with pytest.raises(RuntimeError, match="cancelled"):
        part.result()
    assert not background._line.parts


def test_an_interrupted_part_is_done_by_another():
    begun_here = threading.Event()

    def part():
        if not begun_here.is_set():
            begun_here.set()
            raise KeyboardInterrupt
        return "done"

    def whole():
        offered = background.offer(part)
        assert begun_here.wait(60)
        return offered.result()

    job = begun(background.submit(whole))
    with pytest.raises(KeyboardInterrupt):
        job.result()
    assert job.result() == "done"


def run_program(program: str) -> str:
    """What a program in a fresh process prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_after_fork_goes_on_with_the_jobs():
    program = """
        import os, time
        from bital.codegen import background
        parent, go = os.getpid(), []
        def first():
            while os.getpid() == parent and not go:
                time.sleep(0.001)
            return "first"
        jobs = [background.submit(first), background.submit(lambda: "second")]
        while len(background._line.jobs) > 1:
            time.sleep(0.001)
        if child := os.fork():
            go.append(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        else:
            while not jobs[1].done():
                time.sleep(0.001)
        print(*(job.result() for job in jobs), flush=True)
        if not child:
            os._exit(0)
        """
    assert run_program(program) == "first second\nfirst second\n"


def test_exit_waits_for_the_job_that_runs_and_no_other():
    program = """
        import time
        from bital.codegen import background
        background.submit(lambda: time.sleep(0.2) or print("first", flush=True))
        background.submit(lambda: print("second"))
        while len(background._line.jobs) > 1:
            time.sleep(0.001)
        """
    assert run_program(program) == "first\n"


def test_exit_while_compiling():
    pytest.importorskip("llvmlite")
    program = """
        import time
        from bital.codegen import background, jit, target
        lines = "".join(f" %v{i+1} = mul i64 %v{i}, %v{i}\\n" for i in range(2000))
        text = f"define i64 @f(i64 %v0) {{\\n{lines} ret i64 %v2000\\n}}"
        background.submit(lambda: jit.compile_object(text, target.host()))
        time.sleep(0.03)
        """
    run_program(program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_while_the_generator_is_imported():
    program = """
        import os, sys, threading, time
        from bital.codegen import native
        begun = threading.Event()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "bital.codegen.generate":
                    begun.set()
                    time.sleep(0.2)
        sys.meta_path.insert(0, Slow())
        thread = threading.Thread(target=native._generator)
        thread.start()
        begun.wait()
        child = os.fork()
        os.write(1, f"{native._generator().__name__}\\n".encode())  # in one piece
        if not child:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """
    assert run_program(program) == "Generated\nGenerated\n"
