"""Samplers: the order in which a loader reads a map-style dataset.

Every draw comes from a `torch.Generator`, in PyTorch's sequence of draws, so that a seed gives
PyTorch's batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import bital.torch as torch

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

_T_co = TypeVar("_T_co", covariant=True)

# Drawing with replacement takes this many indices at a time from the generator.
_REPLACEMENT_CHUNK_ELEMS = 32


class Sampler(Generic[_T_co]):
    """Something that yields indices, or lists of indices; subclasses define `__iter__`.

    `__len__` is optional, but needed for the length of a loader.
    """

    def __iter__(self) -> Iterator[_T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, 2, … to the length of `data_source`."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The indices of `data_source` in random order, or drawn with replacement.

    Args:
        replacement: draw each index anew instead of walking through permutations.
        num_samples: how many indices to yield; the length of `data_source` if None.
        generator: where to draw; if None, each pass seeds a generator of its own with one
            draw from the default generator.

    Raises:
        TypeError: `replacement` is not a bool.
        ValueError: the number of samples is not a positive int (so also for an empty source).
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        _check_num_samples(self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices one pass yields; follows the source's length unless it was given."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            seed = int(torch.empty((), dtype=torch.int64).random_().item())
            generator = torch.Generator()
            generator.manual_seed(seed)
        count = len(self.data_source)
        draw = self._with_replacement if self.replacement else self._permutations
        # A generator function: nothing is drawn before the first index is asked for, which
        # puts this seed after the one that the loader draws for its workers.
        yield from draw(count, generator)

    def _with_replacement(self, count: int, generator: torch.Generator) -> Iterator[int]:
        full, rest = divmod(self.num_samples, _REPLACEMENT_CHUNK_ELEMS)
        for size in [_REPLACEMENT_CHUNK_ELEMS] * full + [rest]:
            yield from torch.randint(
                count, (size,), dtype=torch.int64, generator=generator
            ).tolist()

    def _permutations(self, count: int, generator: torch.Generator) -> Iterator[int]:
        full, rest = divmod(self.num_samples, count)
        for _ in range(full):
            yield from torch.randperm(count, generator=generator).tolist()
        # The last permutation is drawn even when none of it is used: the generator's state
        # after a pass is part of what the same seed must reproduce.
        yield from torch.randperm(count, generator=generator).tolist()[:rest]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: torch.Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in torch.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each drawn with a probability proportional to its weight.

    Args:
        weights: one number per index, of any sum.
        replacement: whether an index may be drawn again; without it `num_samples` must not
            exceed the number of weights.

    Raises:
        ValueError: an argument has the wrong kind, or the weights are not one-dimensional.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        _check_num_samples(num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(
                f"replacement should be a boolean value, but got replacement={replacement}"
            )
        self.weights = torch.as_tensor(weights, dtype=torch.double)
        if self.weights.dim() != 1:
            raise ValueError(
                "weights should be a 1d sequence but given "
                f"weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        yield from torch.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        ).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler or iterable.

    Args:
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: `batch_size` is not a positive int, or `drop_last` is not a bool.
    """

    def __init__(
        self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool
    ) -> None:
        if not _is_positive_int(batch_size):
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler: Any = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_num_samples(num_samples: object) -> None:
    if not _is_positive_int(num_samples):
        raise ValueError(
            f"num_samples should be a positive integer value, but got num_samples={num_samples}"
        )
