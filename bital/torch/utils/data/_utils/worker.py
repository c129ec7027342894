"""What a dataset may ask in a worker process: which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What `get_worker_info()` tells inside a worker.

    Attributes:
        id: the worker's number, from 0.
        num_workers: how many workers there are.
        seed: what this worker's random streams were seeded with.
        dataset: this worker's copy of the dataset.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """About the current worker process; None in the main process."""
    return _worker_info
