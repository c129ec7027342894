"""Background: one thread that compiles while the program goes on.

Room: codegen. The thread lives as long as there is something to do. Who waits for a job that has
not begun does it himself, so that nobody waits for the jobs before it; of one that has begun he
does parts that nobody is at (`offer`). A child after fork goes on with what its parent had not
finished; at exit what runs is waited for, to the end of its part if it has parts (`give_way`), and
the rest is left.
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
    """A computation that the background thread does, or who waits for it first.

    A `part` is one of a job that has begun, and begins anew with that.
    """

    __slots__ = ("_begun", "_ended", "_error", "_function", "_part", "_value")

    def __init__(self, function: Callable[[], T], part: bool = False) -> None:
        self._function: Any = function
        self._part = part
        self._value: Any = None
        self._error: Exception | None = None
        self.renew()

    def renew(self) -> None:
        """Let it begin anew: whoever was at it is gone."""
        self._begun = self._ended = False

    def run(self) -> None:
        """Do it, unless somebody has begun to."""
        if not self._begin():
            return
        try:
            self._value = self._function()
        except Exception as error:
            self._error = error
        except BaseException:  # interrupted: it is still to be done
            with _line.news:
                _line.running.discard(self)
                self._begun = False
                if self._part:
                    _line.parts[self] = None
                _line.news.notify_all()
            raise
        self._end()

    def _begin(self) -> bool:
        """Whether it is for the caller to do, who is the first to ask."""
        with _line.news:
            if self._begun:
                return False
            self._begun = True
            if self._part:
                _line.parts.pop(self, None)
            else:
                _line.running.add(self)
            return True

    def _end(self) -> None:
        with _line.news:
            _line.running.discard(self)
            self._function = None
            self._ended = True
            _line.news.notify_all()

    def cancel(self) -> None:
        """Do not do it, unless somebody has begun to."""
        if self._begin():
            self._error = RuntimeError("the job was cancelled")
            self._end()

    def done(self) -> bool:
        """Whether `result` has nothing to wait for."""
        if not self._ended:
            _line.go()  # a child after fork has no thread yet
        return self._ended

    def result(self) -> T:
        """What the computation returns, or raise what it raises; waits until it has ended."""
        while not self._ended:
            self.run()
            _line.help(self)
        if self._error is not None:
            raise self._error
        return self._value


class _Line:
    """The jobs to do, first come first served, and the thread that does them."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.parts: dict[Job, None] = {}  # that nobody is at, in order
        self.running: set[Job] = set()
        self.lock = threading.Lock()
        self.news = threading.Condition()  # of what is begun, offered and ended
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
            while not job._ended:  # who waits for it was quicker
                self.help(job)

    def help(self, job: Job) -> None:
        """Do a part that nobody is at, or wait for one, or for the job's end."""
        with self.news:
            while not (self.parts or job._ended or not job._begun):
                self.news.wait()
            part = next(iter(self.parts), None)
        if part is not None and not job._ended:
            part.run()

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
        self.news = threading.Condition()
        self.parts.clear()
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


def offer(function: Callable[[], T]) -> Job[T]:
    """A part of a job: for who waits for the job, or to be done by asking for its result."""
    part = Job(function, part=True)
    with _line.news:
        _line.parts[part] = None
        _line.news.notify_all()
    return part


def give_way() -> None:
    """Let others have LLVM before the next part of a job; RuntimeError where the program ends."""
    if threading.current_thread() is not _line.thread:
        return
    if _line.closed:
        raise RuntimeError("the program ends")
    sleep(0.0001)
