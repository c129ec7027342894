"""`DataLoader`: batches of a dataset, fetched here or in worker processes."""

from __future__ import annotations

import functools
import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import bital.torch as torch
from bital.base.errors import missing_attribute
from bital.torch.utils.data import _utils
from bital.torch.utils.data._utils.collate import default_collate, default_convert
from bital.torch.utils.data._utils.fetch import _IterableDatasetFetcher, _MapDatasetFetcher
from bital.torch.utils.data._utils.worker import get_worker_info
from bital.torch.utils.data.dataset import Dataset, IterableDataset
from bital.torch.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

_T_co = TypeVar("_T_co", covariant=True)


class _DatasetKind:
    """The two kinds of dataset, and the fetcher of each."""

    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(
        kind: int, dataset: Any, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> Any:
        """What fetches the batches of a dataset of this kind."""
        fetcher = _MapDatasetFetcher if kind == _DatasetKind.Map else _IterableDatasetFetcher
        return fetcher(dataset, auto_collation, collate_fn, drop_last)


class _InfiniteConstantSampler(Sampler):
    """None for ever: an iterable dataset is asked for its next sample, whichever that is."""

    def __iter__(self) -> Iterator:
        return itertools.repeat(None)


class DataLoader(Generic[_T_co]):
    """Runs through a dataset in batches; every `iter()` is one pass.

    Args:
        dataset: map-style (indices) or an `IterableDataset` (a stream).
        batch_size: samples per batch; None for single samples, not collated.
        shuffle: read in random order, drawn from `generator` or the default one.
        sampler: the order of reading instead of `shuffle`.
        batch_sampler: lists of indices instead of batch_size, shuffle, sampler and drop_last.
        num_workers: processes that fetch; 0 fetches in this one. Batches come in the same
            order either way.
        collate_fn: makes a batch of a list of samples; `default_collate` if None
            (`default_convert` where there are no batches).
        pin_memory: accepted for PyTorch's sake; memory is not pinned.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from the workers; 0 waits for ever.
        worker_init_fn: called in each worker with its number before it fetches anything.
        multiprocessing_context: a context, or the name of a start method, for the workers.
        generator: draws for shuffling and for the workers' seed.
        prefetch_factor: batches in preparation per worker; 2 if None.
        persistent_workers: keep the workers from pass to pass.
        pin_memory_device: ignored, as in PyTorch.
        in_order: False lets a batch that is ready overtake slower ones.

    Raises:
        ValueError: arguments that contradict each other or are out of range.
        TypeError: `multiprocessing_context` is of another kind.
    """

    _initialized = False
    _FIXED = frozenset(
        ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
    )

    def __init__(
        self,
        dataset: Dataset[_T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: torch.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset: Any = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        streams = isinstance(dataset, IterableDataset)
        self._dataset_kind = _DatasetKind.Iterable if streams else _DatasetKind.Map
        if streams:
            _check_stream_options(shuffle, sampler, batch_sampler)
        _check_sampling_options(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            sampler = self._default_sampler(shuffle, generator)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._promised_samples: int | None = None
        self._iterator: _BaseDataLoaderIter | None = None
        self.check_worker_number_rationality()
        self._initialized = True

    def _default_sampler(self, shuffle: bool | None, generator: torch.Generator | None) -> Sampler:
        if self._dataset_kind == _DatasetKind.Iterable:
            return _InfiniteConstantSampler()
        if shuffle:
            return RandomSampler(self.dataset, generator=generator)
        return SequentialSampler(self.dataset)

    def __setattr__(self, attr: str, val: Any) -> None:
        if self._initialized and attr in self._FIXED:
            raise ValueError(
                f"{attr} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(attr, val)

    @property
    def multiprocessing_context(self) -> Any:
        """The context that starts the workers; None for Python's default."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            context = _utils.prefetch.context_of(context, self.num_workers)
        self._multiprocessing_context = context

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        """What is asked for the next thing to fetch: indices in batches, or one by one."""
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> _BaseDataLoaderIter:
        if not (self.persistent_workers and self.num_workers > 0):
            return self._get_iterator()
        if self._iterator is None:
            self._iterator = self._get_iterator()
        else:
            self._iterator._reset(self)
        return self._iterator

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        self.check_worker_number_rationality()
        return _utils.prefetch._MultiProcessingDataLoaderIter(self)

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Map:
            return len(self._index_sampler)
        # A stream's length is a promise: it is kept, to warn when more samples come.
        length = self._promised_samples = len(self.dataset)
        if self.batch_size is None:
            return length
        if self.drop_last:
            return length // self.batch_size
        return math.ceil(length / self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn when there are more workers than this process may use processors."""
        if not self.num_workers:
            return
        affinity = hasattr(os, "sched_getaffinity")
        usable = len(os.sched_getaffinity(0)) if affinity else os.cpu_count()
        if usable is not None and self.num_workers <= usable:
            return
        if usable is None:
            advice = "The number of processors of this system is not known."
        else:
            where = "" if affinity else " (`cpuset` is not taken into account)"
            advice = (
                f"Our suggested max number of worker in current system is {usable}{where}, which "
                "is smaller than what this DataLoader is going to create."
            )
        warnings.warn(
            f"This DataLoader will create {self.num_workers} worker processes in total. {advice} "
            "More workers than processors slow each other down; lower num_workers if loading "
            "gets slow or freezes.",
            stacklevel=3,
        )


def _check_worker_options(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if num_workers < 0:
        raise ValueError(
            "num_workers option should be non-negative; "
            "use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. "
            "Let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream_options(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    """An iterable dataset decides its order itself."""
    unwanted = {"sampler": sampler, "batch_sampler": batch_sampler}
    if shuffle not in (False, None):
        unwanted = {"shuffle": shuffle}
    for option, value in unwanted.items():
        if value is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {option} option, "
                f"but got {option}={value}"
            )


def _check_sampling_options(
    batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive "
                "with batch_size, shuffle, sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )


class _BaseDataLoaderIter:
    """One pass over a dataset: draws the workers' seed, counts, and warns of broken promises."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self._num_workers = loader.num_workers
        if loader.pin_memory and not torch.cuda.is_available():
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=4,
            )
        self._sampler_iter = iter(loader._index_sampler)
        # Drawn even where there are no workers: the stream of random numbers must not depend
        # on their number.
        seed = torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
        self._base_seed = int(seed.item())
        self._num_yielded = 0
        self._make_fetcher = functools.partial(
            _create_fetcher,
            loader._dataset_kind,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
        )

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def _reset(self, loader: DataLoader) -> None:
        self._sampler_iter = iter(loader._index_sampler)
        self._num_yielded = 0

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        promised = self._loader._promised_samples
        if promised is not None and self._num_yielded > promised:
            advice = ""
            if self._num_workers > 0:
                advice = (
                    " Every worker reads its own copy of the dataset: use get_worker_info() in "
                    "__iter__ to give each a part."
                )
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {promised} "
                f"(when accessing len(dataloader)), but {self._num_yielded} samples have been "
                f"fetched.{advice}",
                stacklevel=2,
            )
        return data

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


def _create_fetcher(
    kind: int, auto_collation: bool, collate_fn: Callable, drop_last: bool, dataset: Any
) -> Any:
    return _DatasetKind.create_fetcher(kind, dataset, auto_collation, collate_fn, drop_last)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Fetches in this process, when asked."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("timeout needs num_workers > 0, but got num_workers=0")
        self._dataset_fetcher = self._make_fetcher(loader.dataset)

    def _next_data(self) -> Any:
        return self._dataset_fetcher.fetch(next(self._sampler_iter))


def __getattr__(name: str) -> Any:
    """Libraries ask this module for the loader's other iterator, too."""
    if name == "_MultiProcessingDataLoaderIter":
        return _utils.prefetch._MultiProcessingDataLoaderIter
    return _missing(name)


_missing = missing_attribute("torch.utils.data.dataloader")
