"""Batches fetched by worker processes, from the side of the loader.

Imported when a loader first has workers: multiprocessing takes a tenth of the time that bital does.
"""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import time
from typing import Any

from bital.torch.utils.data._utils.serve import (
    Resume,
    StreamEnd,
    Task,
    WorkerFailure,
    WorkerJob,
    worker_loop,
)
from bital.torch.utils.data.dataloader import DataLoader, _BaseDataLoaderIter

# How long a worker may take to finish what it is doing when its loader no longer needs it.
_SHUTDOWN_SECONDS = 5.0


def context_of(context: Any, num_workers: int) -> Any:
    """The context of multiprocessing that a loader was given, or the one of that name."""
    if num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading "
            f"(num_workers > 0), but got num_workers={num_workers}"
        )
    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={context!r}"
            )
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={context}"
        )
    return context


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Keeps workers supplied with tasks and hands out their batches in order.

    Task `idx` goes to the workers in turn. `_sent` maps each task that was not handed out yet
    to its worker, `_ready` those whose batch has come to the batch.
    """

    _shut = True

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        self._ahead = (loader.prefetch_factor or 0) * self._num_workers
        if self._ahead <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 with num_workers > 0")
        self._epoch = 0
        self._workers: list[Any] = []
        self._pipes: list[Any] = []
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._stop = context.Event()
        self._owner_pid = os.getpid()
        self._shut = False
        for worker_id in range(self._num_workers):
            self._start_worker(context, worker_id)
        self._begin_pass()

    def _start_worker(self, context: Any, worker_id: int) -> None:
        loader = self._loader
        job = WorkerJob(
            worker_id,
            self._num_workers,
            self._base_seed,
            loader.dataset,
            self._make_fetcher,
            loader.worker_init_fn,
            self._stop,
        )
        ours, theirs = context.Pipe()
        worker = context.Process(target=worker_loop, args=(job, theirs), daemon=True)
        worker.start()
        # Without this copy the pipe ends when the worker does.
        theirs.close()
        self._workers.append(worker)
        self._pipes.append(ours)

    def _begin_pass(self) -> None:
        self._send_idx = self._next_idx = 0
        self._sent: dict[int, int] = {}
        self._ready: dict[int, Any] = {}
        self._active = [True] * self._num_workers
        self._load = [0] * self._num_workers
        self._turn = itertools.cycle(range(self._num_workers))
        for _ in range(self._ahead):
            self._send_task()

    def _reset(self, loader: DataLoader) -> None:
        super()._reset(loader)
        # Batches of an abandoned pass may still come; their epoch tells them apart.
        self._epoch += 1
        for pipe in self._pipes:
            pipe.send(Resume())
        self._begin_pass()

    def _send_task(self) -> None:
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        worker_id = self._pick_worker()
        if worker_id is None:
            return
        try:
            self._pipes[worker_id].send(Task(self._epoch, self._send_idx, index))
        except OSError as error:
            raise self._death_of(worker_id) from error
        self._sent[self._send_idx] = worker_id
        self._load[worker_id] += 1
        self._send_idx += 1

    def _pick_worker(self) -> int | None:
        """The next worker in turn that still has data (and, out of order, is not busy)."""
        share = self._ahead // max(1, sum(self._active))
        for worker_id in itertools.islice(self._turn, self._num_workers):
            if self._active[worker_id] and (self._loader.in_order or self._load[worker_id] < share):
                return worker_id
        return None

    def _next_data(self) -> Any:
        while True:
            self._skip_ended()
            if not self._sent:
                if not self._loader.persistent_workers:
                    self._shutdown_workers()
                raise StopIteration
            if self._next_idx in self._ready:
                return self._hand_out(self._next_idx)
            idx = self._receive()
            if idx is not None and (idx == self._next_idx or not self._loader.in_order):
                return self._hand_out(idx)

    def _skip_ended(self) -> None:
        """Forget tasks whose worker ran out of data before it came to them."""
        while self._next_idx < self._send_idx:
            worker_id = self._sent.get(self._next_idx)
            if worker_id is not None:
                if self._active[worker_id] or self._next_idx in self._ready:
                    return
                del self._sent[self._next_idx]
            self._next_idx += 1

    def _hand_out(self, idx: int) -> Any:
        data = self._ready.pop(idx)
        self._load[self._sent.pop(idx)] -= 1
        self._send_task()
        if isinstance(data, WorkerFailure):
            data.reraise()
        return data

    def _receive(self) -> int | None:
        """Take one message of this pass into `_ready`; its index, or None at a stream's end."""
        while True:
            worker_id = self._wait_for_worker()
            try:
                epoch, idx, data = self._pipes[worker_id].recv()
            except (EOFError, ConnectionError) as error:
                raise self._death_of(worker_id) from error
            if epoch != self._epoch:
                continue
            if not isinstance(data, StreamEnd):
                self._ready[idx] = data
                return idx
            self._active[worker_id] = False
            self._send_task()
            return None

    def _wait_for_worker(self) -> int:
        """The number of a worker that has something to say, preferring the one awaited."""
        timeout = self._loader.timeout
        deadline = time.monotonic() + timeout
        left = timeout or None
        while True:
            talking = multiprocessing.connection.wait(self._pipes, left)
            if talking:
                awaited = self._pipes[self._sent[self._next_idx]]
                return self._pipes.index(awaited if awaited in talking else talking[0])
            left = deadline - time.monotonic()
            if left <= 0:
                raise RuntimeError(f"DataLoader timed out after {timeout} seconds")

    def _death_of(self, worker_id: int) -> RuntimeError:
        pid = self._workers[worker_id].pid
        self._shutdown_workers()
        return RuntimeError(f"DataLoader worker (pid(s) {pid}) exited unexpectedly")

    def _shutdown_workers(self) -> None:
        """End the workers: politely first, by force if one does not answer."""
        if self._shut:
            return
        self._shut = True
        self._sent.clear()
        self._sampler_iter = iter(())
        self._stop.set()
        for pipe in self._pipes:
            try:
                pipe.send(None)
            except OSError:
                continue
        deadline = time.monotonic() + _SHUTDOWN_SECONDS
        # A worker may be sending a batch that nobody wants any more: let it finish.
        talking = set(self._pipes)
        while talking and (left := deadline - time.monotonic()) > 0:
            heard: list[Any] = multiprocessing.connection.wait(list(talking), left)
            for pipe in heard:
                try:
                    pipe.recv_bytes()
                except (EOFError, OSError):
                    talking.discard(pipe)
        for worker, pipe in zip(self._workers, self._pipes, strict=True):
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                worker.terminate()
                worker.join()
            pipe.close()

    def __del__(self) -> None:
        # A forked process holds a copy of this object, but not of the workers.
        if not self._shut and self._owner_pid == os.getpid():
            self._shutdown_workers()
