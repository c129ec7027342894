"""Workers: the processes that fetch batches for a loader, and what they send.

A worker and the loader share one pipe. The loader sends `Task` and `Resume` messages and None to
stop; the worker answers each `Task`, in order, with (epoch, idx, batch), pickled with the tensors
as NumPy arrays. In place of a batch stands a `WorkerFailure` or a `StreamEnd`.
"""

from __future__ import annotations

import io
import os
import pickle
import queue
import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Event
from typing import Any

import numpy as np

import bital.torch as torch
from bital.torch.utils.data._utils import worker
from bital.torch.utils.data._utils.fetch import _IterableDatasetFetcher


@dataclass(frozen=True, slots=True)
class Task:
    """A request for one batch: number `idx` of pass `epoch`."""

    epoch: int
    idx: int
    index: Any


@dataclass(frozen=True, slots=True)
class Resume:
    """Start a new pass over the dataset."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Sent in place of a batch: this worker's iterable dataset has no more."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """All that a worker needs to know when it starts."""

    worker_id: int
    num_workers: int
    base_seed: int
    dataset: Any
    make_fetcher: Callable[[Any], Any]
    init_fn: Callable[[int], None] | None
    stop: Event


class _QuotedText(str):
    """A message that shows its line breaks even as the argument of a KeyError."""

    def __repr__(self) -> str:
        return str(self)


class WorkerFailure:
    """An exception of a worker, sent as its type and the text of its traceback."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind = type(error)
        self.where = where
        self.text = "".join(traceback.format_exception(error))

    def reraise(self) -> None:
        """Raise the exception here, with the worker's traceback in the message.

        A type that cannot be made from one message becomes a RuntimeError.
        """
        message = _QuotedText(f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}")
        try:
            error = self.kind(message)
        except Exception:
            raise RuntimeError(str(message)) from None
        raise error


class _ResultPickler(pickle.Pickler):
    """Pickles plain tensors as arrays; what has no array, or a gradient, as it pickles itself."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not torch.Tensor or obj.requires_grad:
            return NotImplemented
        try:
            return _tensor_of, (obj.contiguous().numpy(),)
        except TypeError:
            return NotImplemented


def _tensor_of(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)


def _dump(result: Any) -> bytes:
    stream = io.BytesIO()
    _ResultPickler(stream, protocol=5).dump(result)
    return stream.getvalue()


def worker_loop(job: WorkerJob, pipe: Connection) -> None:
    """The life of a worker process: seed, initialise, then serve tasks until told to stop."""
    seed = job.base_seed + job.worker_id
    _seed_streams(job.base_seed, job.worker_id, seed)
    worker._worker_info = worker.WorkerInfo(job.worker_id, job.num_workers, seed, job.dataset)
    outbox: queue.SimpleQueue = queue.SimpleQueue()
    # Sending blocks until the loader reads; a thread of its own lets fetching go on meanwhile.
    sender = threading.Thread(target=_send_all, args=(outbox, pipe, job.stop), daemon=True)
    sender.start()
    try:
        _serve(job, pipe, outbox)
    except (KeyboardInterrupt, EOFError, OSError):
        # The loader is gone, or is being interrupted and will say so itself.
        os._exit(0)
    outbox.put(None)
    sender.join()


def _seed_streams(base_seed: int, worker_id: int, seed: int) -> None:
    torch.set_num_threads(1)
    random.seed(seed)
    torch.manual_seed(seed)
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32]
    np.random.seed(np.random.SeedSequence(words).generate_state(4))


def _send_all(outbox: queue.SimpleQueue, pipe: Connection, stop: Event) -> None:
    while (data := outbox.get()) is not None and not stop.is_set():
        try:
            pipe.send_bytes(data)
        except OSError:
            return


def _serve(job: WorkerJob, pipe: Connection, outbox: queue.SimpleQueue) -> None:
    where = f"in DataLoader worker process {job.worker_id}"
    parent: Any = parent_process()
    alive = [pipe, parent.sentinel]
    fetcher, failure, ended = None, None, False
    try:
        if job.init_fn is not None:
            job.init_fn(job.worker_id)
        fetcher = job.make_fetcher(job.dataset)
    except Exception as error:
        failure = WorkerFailure(error, where)
    while True:
        if pipe not in wait(alive):
            raise EOFError("the process of the loader has ended")
        message = pipe.recv()
        if message is None or job.stop.is_set():
            return
        if isinstance(message, Resume):
            fetcher, ended = job.make_fetcher(job.dataset), False
            continue
        if ended:
            continue
        data = failure or _fetch(fetcher, message.index, where)
        ended = isinstance(data, StreamEnd)
        outbox.put(_packed(message, data, where))
        # Nothing of the batch stays alive in the worker while it waits.
        del message, data


def _fetch(fetcher: Any, index: Any, where: str) -> Any:
    """The batch, or what to send in its place."""
    try:
        return fetcher.fetch(index)
    except StopIteration as error:
        if isinstance(fetcher, _IterableDatasetFetcher):
            return StreamEnd()
        return WorkerFailure(error, where)
    except Exception as error:
        return WorkerFailure(error, where)


def _packed(task: Task, data: Any, where: str) -> bytes:
    """The answer to a task as bytes; a batch that cannot be pickled becomes a failure."""
    try:
        return _dump((task.epoch, task.idx, data))
    except Exception as error:
        return _dump((task.epoch, task.idx, WorkerFailure(error, where)))
