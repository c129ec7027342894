"""Datasets: what a sample is, and how datasets are put together and taken apart.

A map-style dataset answers `dataset[index]` and `len(dataset)`; an iterable-style one is only
run through. A dataset may also offer `__getitems__(indices)`, which returns the list of samples
of one batch; the loader prefers it.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import bital.torch as torch

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

_T_co = TypeVar("_T_co", covariant=True)


class Dataset(Generic[_T_co]):
    """A map from indices to samples; subclasses define `__getitem__`, and usually `__len__`.

    `a + b` is a `ConcatDataset` of both.
    """

    def __getitem__(self, index: Any) -> _T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset) -> Dataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[_T_co], Iterable[_T_co], metaclass=ABCMeta):
    """A stream of samples; subclasses define `__iter__`.

    With several workers each of them runs its own copy: use `get_worker_info()` to share the
    work out. `a + b` is a `ChainDataset` of both.
    """

    @abstractmethod
    def __iter__(self) -> Iterator[_T_co]: ...

    def __add__(self, other: Dataset) -> Dataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Sample `i` is the tuple of the `i`-th rows of tensors of equal first size.

    Raises:
        AssertionError: the first sizes differ.
    """

    def __init__(self, *tensors: torch.Tensor) -> None:
        if any(tensor.size(0) != tensors[0].size(0) for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Sample `i` is the tuple (positional datasets) or dict (keyword datasets) of samples `i`.

    Raises:
        ValueError: both kinds, neither, or datasets of different lengths were given.
    """

    def __init__(self, *args: Dataset, **kwargs: Dataset) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or ``dict``- (via ``kwargs``) like "
                "input/output, but both types are given."
            )
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets: Any = args or kwargs
        members = list(self._members())
        self._length = len(members[0])
        if any(len(member) != self._length for member in members):
            raise ValueError("Size mismatch between datasets")

    def _members(self) -> Iterable:
        return self.datasets.values() if isinstance(self.datasets, dict) else self.datasets

    def _join(self, parts: Iterable) -> Any:
        """One sample made of its parts, in the datasets' order."""
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, parts, strict=True))
        return tuple(parts)

    def __getitem__(self, index: Any) -> Any:
        return self._join(member[index] for member in self._members())

    def __getitems__(self, indices: list) -> list:
        columns = []
        for member in self._members():
            if not callable(getattr(member, "__getitems__", None)):
                columns.append([member[index] for index in indices])
                continue
            column = member.__getitems__(indices)
            if len(column) != len(indices):
                raise ValueError(
                    "Nested dataset's output size mismatch. "
                    f"Expected {len(indices)}, got {len(column)}"
                )
            columns.append(column)
        return [self._join(parts) for parts in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[_T_co]):
    """The samples of several map-style datasets, one dataset after the other.

    Raises:
        AssertionError: no dataset was given, or one of them is iterable-style.
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(member, IterableDataset) for member in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = self.cumsum(self.datasets)

    @staticmethod
    def cumsum(sequence: Iterable) -> list[int]:
        """The total length after each dataset."""
        return list(itertools.accumulate(len(member) for member in sequence))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: int) -> _T_co:
        if idx < 0:
            if -idx > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][idx - start]


class ChainDataset(IterableDataset):
    """The samples of several iterable-style datasets, one stream after the other.

    Raises:
        AssertionError: when run through or measured with a member that is not iterable-style.
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = datasets

    def _members(self) -> Iterator[Any]:
        for member in self.datasets:
            if not isinstance(member, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield member

    def __iter__(self) -> Iterator:
        return itertools.chain.from_iterable(self._members())

    def __len__(self) -> int:
        return sum(len(member) for member in self._members())


class Subset(Dataset[_T_co]):
    """The samples of `dataset` at `indices`, in that order.

    Raises:
        NotImplementedError: a subclass redefines `__getitem__` alone, which batches fetched
            through `__getitems__` would silently bypass.
    """

    def __init__(self, dataset: Dataset[_T_co], indices: Sequence[int]) -> None:
        self.dataset: Any = dataset
        self.indices = indices
        kind = type(self)
        own_item = kind.__getitem__ is not Subset.__getitem__
        if own_item and kind.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{kind.__name__} overrides __getitem__ but not __getitems__; batches are fetched "
                "with __getitems__, so define it too, for example:\n\n"
                "def __getitems__(self, indices):\n"
                "    return [self.__getitem__(idx) for idx in indices]"
            )

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[int]) -> list:
        whole = [self.indices[i] for i in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.dataset.__getitems__(whole)
        return [self.dataset[i] for i in whole]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any,
    lengths: Sequence[int | float],
    generator: torch.Generator | None = None,
) -> list[Subset]:
    """Split `dataset` at random into parts that do not overlap.

    Args:
        lengths: either whole numbers that add up to `len(dataset)`, or fractions that add up
            to 1; what rounding the fractions down leaves over goes to the parts in turn.
        generator: where the permutation is drawn; the default generator if None.

    Raises:
        ValueError: a fraction lies outside 0 to 1, or the lengths do not add up.
    """
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _lengths_of_fractions(len(dataset), lengths)
        for i, length in enumerate(lengths):
            if length == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.",
                    stacklevel=2,
                )
    if sum(lengths) != len(dataset):
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = torch.randperm(sum(lengths), generator=generator).tolist()
    ends = itertools.accumulate(lengths)
    return [
        Subset(dataset, order[end - length : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


def _lengths_of_fractions(total: int, fractions: Sequence[float]) -> list[int]:
    for i, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1")
    lengths = [math.floor(total * fraction) for fraction in fractions]
    for i in range(total - sum(lengths)):
        lengths[i % len(lengths)] += 1
    return lengths
