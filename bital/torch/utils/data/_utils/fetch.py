"""Fetching: from the indices of a batch to the batch, the same in the process and in workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bital.torch as torch
from bital.torch.utils.data._utils.collate import (
    collate_tensor_fn,
    default_collate,
    default_collate_fn_map,
)
from bital.torch.utils.data.dataset import Subset, TensorDataset


class _BaseDatasetFetcher:
    """What both kinds of dataset share: the dataset, and how its samples become a batch."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last

    def fetch(self, possibly_batched_index: Any) -> Any:
        """The collated batch (or single sample) for what the index sampler gave."""
        raise NotImplementedError


class _IterableDatasetFetcher(_BaseDatasetFetcher):
    """Takes as many samples from the stream as there are indices; the indices say nothing."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> None:
        super().__init__(dataset, auto_collation, collate_fn, drop_last)
        self.dataset_iter = iter(dataset)
        self.ended = False

    def fetch(self, possibly_batched_index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.dataset_iter))
        samples = []
        for _ in possibly_batched_index:
            try:
                samples.append(next(self.dataset_iter))
            except StopIteration:
                self.ended = True
                break
        short = len(samples) < len(possibly_batched_index)
        if not samples or (self.drop_last and short):
            raise StopIteration
        return self.collate_fn(samples)


class _MapDatasetFetcher(_BaseDatasetFetcher):
    """Looks samples up by index."""

    def fetch(self, possibly_batched_index: Any) -> Any:
        dataset = self.dataset
        if not self.auto_collation:
            return self.collate_fn(dataset[possibly_batched_index])
        gathered = self._gather(possibly_batched_index)
        if gathered is not None:
            return gathered
        if getattr(dataset, "__getitems__", None):
            samples = dataset.__getitems__(possibly_batched_index)
        else:
            samples = [dataset[index] for index in possibly_batched_index]
        return self.collate_fn(samples)

    def _gather(self, indices: Any) -> list[torch.Tensor] | None:
        """The rows at `indices` of a `TensorDataset`'s tensors, each read at once.

        Stacking rows one by one gives the same numbers with one operation per row. Returns None
        where the two could differ: another dataset, other collating, or rows with gradients.
        """
        if (
            self.collate_fn is not default_collate
            or default_collate_fn_map.get(torch.Tensor) is not collate_tensor_fn
        ):
            return None
        dataset = self.dataset
        while type(dataset) is Subset and isinstance(indices, list):
            indices = [dataset.indices[i] for i in indices]
            dataset = dataset.dataset
        if type(dataset) is not TensorDataset or not dataset.tensors:
            return None
        if any(type(t) is not torch.Tensor or t.requires_grad for t in dataset.tensors):
            return None
        if not indices or any(type(index) is not int for index in indices):
            return None
        rows = torch.tensor(indices)
        return [tensor[rows] for tensor in dataset.tensors]
