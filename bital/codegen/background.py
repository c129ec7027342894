"""Background: one thread that compiles while the program goes on.

Room: codegen. The thread lives as long as there is something to do. Who waits for a job that has
not begun does it himself, so that nobody waits for the jobs before it. A child after fork goes on
with what its parent had not finished; at exit what runs is waited for, to the end of its part if it
has parts (`give_way`), and the rest is left.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from time import sleep
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Job(Generic[T]):
    """A computation that the background thread does, or who waits for it first."""

    __slots__ = ("_claim", "_ended", "_error", "_function", "_value")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function: Any = function
        self._value: Any = None
        self._error: Exception | None = None
        self.renew()

    def renew(self) -> None:
        """Let it begin anew: whoever was at it is gone."""
        self._claim = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        """Do it, unless somebody has begun to."""
        if not self._claim.acquire(blocking=False):
            return
        _line.running.add(self)
        try:
            self._value = self._function()
        except Exception as error:
            self._error = error
        except BaseException:  # interrupted: it is still to be done
            self._claim.release()
            raise
        finally:
            _line.running.discard(self)
        self._function = None
        self._ended.set()

    def cancel(self) -> None:
        """Do not do it, unless somebody has begun to."""
        if self._claim.acquire(blocking=False):
            self._function = None
            self._error = RuntimeError("the job was cancelled")
            self._ended.set()

    def done(self) -> bool:
        """Whether `result` has nothing to wait for."""
        if not self._ended.is_set():
            _line.go()  # a child after fork has no thread yet
        return self._ended.is_set()

    def result(self) -> T:
        """What the computation returns, or raise what it raises; waits until it has ended."""
        self.run()
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._value


class _Line:
    """The jobs to do, first come first served, and the thread that does them."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.running: set[Job] = set()
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.closed = False

    def go(self) -> None:
        """Start the thread where there are jobs and it is not at work."""
        with self.lock:
            if self.jobs and self.thread is None and not self.closed:
                self.thread = threading.Thread(target=self.work, name="bital", daemon=True)
                self.thread.start()

    def work(self) -> None:
        """Do the jobs until there are none."""
        while True:
            with self.lock:
                if not self.jobs or self.closed:
                    self.thread = None
                    return
                job = self.jobs.popleft()
            job.run()

    def close(self) -> None:
        """Begin nothing more and wait for what runs: LLVM must not be left in its midst."""
        with self.lock:
            self.closed = True
            thread = self.thread
        if thread is not None:
            thread.join()

    def after_fork(self) -> None:
        """In a child: the thread is not there, and what it and others were at begins anew."""
        self.lock = threading.Lock()
        self.thread = None
        for job in self.running:
            job.renew()
            self.jobs.appendleft(job)
        self.running = set()


_line = _Line()
end = atexit.register(_line.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_line.after_fork)


def submit(function: Callable[[], T]) -> Job[T]:
    """Let the background thread compute `function()`."""
    job = Job(function)
    _line.jobs.append(job)
    _line.go()
    return job


def give_way() -> None:
    """Let others have LLVM before the next part of a job; RuntimeError where the program ends."""
    if threading.current_thread() is not _line.thread:
        return
    if _line.closed:
        raise RuntimeError("the program ends")
    sleep(0.0001)
