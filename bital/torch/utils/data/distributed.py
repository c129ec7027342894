"""DistributedSampler: each of several processes reads a part of a dataset of its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sized

import bital.torch as torch
from bital.torch.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index, from `rank` on, of the whole order.

    Args:
        num_replicas, rank: how many processes there are and which this is; bital has no process
            groups to ask, so they must be given.
        shuffle: put the whole in random order, the same in all processes.
        seed: of that order, together with the epoch; see `set_epoch`.
        drop_last: leave out what cannot be shared evenly, instead of repeating indices.

    Raises:
        RuntimeError: `num_replicas` or `rank` is None.
        ValueError: `rank` is out of range.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise RuntimeError("Requires distributed package to be available")
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        share = len(dataset) / num_replicas
        self.num_samples = math.floor(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        order = list(range(count))
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = torch.randperm(count, generator=generator).tolist()
        again = itertools.cycle(order)  # the first ones fill up what is missing at the end
        return itertools.islice(again, self.rank, self.total_size, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass shuffle differently: to be called before every epoch."""
        self.epoch = epoch
