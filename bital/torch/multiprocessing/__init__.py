"""`torch.multiprocessing`: the standard library's, with PyTorch's `spawn` and sharing strategies.

Tensors go between processes as copies, in pickles.
"""

from __future__ import annotations

import multiprocessing as _standard
import multiprocessing.connection
import sys
import traceback
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

from bital.base.errors import missing_attribute

_strategy = ["file_descriptor"]
_STRATEGIES = {"file_descriptor", "file_system"}


def get_all_sharing_strategies() -> set[str]:
    """The words for how PyTorch shares memory."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was given."""
    return _strategy[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Keep how memory is to be shared; here it is copied."""
    if new_strategy not in _STRATEGIES:
        raise AssertionError(f"unknown sharing strategy {new_strategy!r}")
    _strategy[0] = new_strategy


class ProcessException(Exception):
    """A process that `spawn` started ended badly."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """A process raised an exception; the message has its traceback."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg, error_index, error_pid)


class ProcessExitedException(ProcessException):
    """A process was killed, or exited with another code than 0."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int,
        signal_name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(fn: Callable, index: int, args: tuple, errors: Any) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.put((index, traceback.format_exc()))
        sys.exit(1)


class ProcessContext:
    """The processes that `spawn(..., join=False)` started."""

    def __init__(self, processes: list[Any], errors: Any) -> None:
        self.processes, self._errors = processes, errors

    def pids(self) -> list[int]:
        """The processes' numbers."""
        return [int(p.pid) for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for some process; True when all have ended well.

        Where one ended badly the others are ended too, and its error is raised.
        """
        waiting = [p.sentinel for p in self.processes if p.exitcode is None]
        if waiting:
            multiprocessing.connection.wait(waiting, timeout)
        # Asked once each: a process that fails between two questions would count as ended well.
        codes = [p.exitcode for p in self.processes]
        for index, code in enumerate(codes):
            if code not in (None, 0):
                self._end(index, self.processes[index])
        return None not in codes

    def _end(self, index: int, process: Any) -> None:
        for other in self.processes:
            if other.is_alive():
                other.terminate()
            other.join()
        code = process.exitcode
        if code == 1 and not self._errors.empty():
            index, text = self._errors.get()
            raise ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error:\n{text}", index,
                process.pid,
            )  # fmt: skip
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise ProcessExitedException(
            f"process {index} terminated with {how}", index, process.pid, code
        )


SpawnContext = ProcessContext


def start_processes(
    fn: Callable, args: tuple = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """Run fn(i, *args) in `nprocs` processes; see `spawn`."""
    context: Any = _standard.get_context(start_method)
    errors = context.SimpleQueue()
    processes = []
    for index in range(nprocs):
        process = context.Process(target=_run, args=(fn, index, args, errors), daemon=daemon)
        process.start()
        processes.append(process)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable, args: tuple = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """Run fn(i, *args) in `nprocs` processes, i from 0, and wait for them.

    With join=False gives a ProcessContext at once. Raises ProcessRaisedException with the
    traceback of a process that failed.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


__getattr__ = missing_attribute("torch.multiprocessing")
