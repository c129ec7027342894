"""Sequences of different lengths in one batch: padded, or packed row by row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

import bital.torch as torch
from bital.tensor.tensor import from_array


class PackedSequence_(NamedTuple):
    """The parts of a PackedSequence."""

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(PackedSequence_):
    """Sequences of different lengths, the rows of one time step after another.

    data              (rows, *)
    batch_sizes       how many sequences reach each time step
    sorted_indices    the order by length in which the sequences lie here, None for the given one
    unsorted_indices  its inverse
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Any = None,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> Self:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def pin_memory(self) -> Self:
        """The sequence itself: pinned memory serves other devices."""
        return self

    def is_pinned(self) -> bool:
        """Whether the data lies in pinned memory."""
        return self.data.is_pinned()

    @property
    def is_cuda(self) -> bool:
        """Whether the data lies on a GPU."""
        return self.data.is_cuda

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The sequence with data of another dtype or device, as `Tensor.to`."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """The sequence on a GPU; raises, since there is none."""
        return self.to(*args, **kwargs, device="cuda")

    def cpu(self, *args: Any, **kwargs: Any) -> Self:
        """The sequence on the CPU."""
        return self.to(*args, **kwargs, device="cpu")

    def double(self) -> Self:
        return self.to(dtype=torch.double)

    def float(self) -> Self:
        return self.to(dtype=torch.float)

    def half(self) -> Self:
        return self.to(dtype=torch.half)

    def long(self) -> Self:
        return self.to(dtype=torch.long)

    def int(self) -> Self:
        return self.to(dtype=torch.int)

    def short(self) -> Self:
        return self.to(dtype=torch.short)

    def char(self) -> Self:
        return self.to(dtype=torch.int8)

    def byte(self) -> Self:
        return self.to(dtype=torch.uint8)


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another; None for None."""
    if permutation is None:
        return None
    numbers = torch.arange(permutation.numel(), device=permutation.device)
    return torch.empty_like(permutation).scatter_(0, permutation, numbers)


def _rows(lengths: list, batch: Any, steps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Time step and sequence of every element, step after step, for lengths that do not grow."""
    reached = np.asarray(lengths)[None, :] > np.arange(steps)[:, None]
    t, b = np.nonzero(reached[:, :batch])
    return t, b


def _flat(t: np.ndarray, b: np.ndarray, steps: Any, batch: Any, batch_first: bool) -> Any:
    """Where (t, b) lies among the rows of a padded batch."""
    return from_array(b * steps + t if batch_first else t * batch + b)


def _check_lengths(lengths: list, batch: Any, steps: Any) -> None:
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch})"
        )
    if any(a < b for a, b in zip(lengths, lengths[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if lengths[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if lengths[0] > steps:
        raise RuntimeError(
            f"Expected lengths of at most {steps}, the length of the padded batch, but got "
            f"{lengths[0]}"
        )


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (T, B, *), or (B, T, *) with `batch_first`.

    `lengths` of the B sequences must not grow unless `enforce_sorted` is False, which sorts.
    """
    if isinstance(lengths, torch.Tensor):
        lengths = lengths.to(dtype=torch.int64)
    else:
        lengths = torch.as_tensor(lengths, dtype=torch.int64)
    if not input.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    order = None
    if not enforce_sorted:
        lengths, order = torch.sort(lengths, descending=True)
        input = input.index_select(0 if batch_first else 1, order)
    first, second = input.shape[:2]
    batch, steps = (first, second) if batch_first else (second, first)
    counts = lengths.tolist()
    _check_lengths(counts, batch, steps)
    t, b = _rows(counts, batch, counts[0])
    where = _flat(t, b, steps, batch, batch_first)
    data = input.reshape(first * second, *input.shape[2:]).index_select(0, where)
    return PackedSequence(data, from_array(np.bincount(t)), order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: Any = None,
) -> tuple[Any, Any]:
    """The padded batch (T, B, *), or (B, T, *), of a packed one, and the lengths.

    `total_length` makes T longer; ValueError where it is too short.
    """
    sizes = np.asarray(sequence.batch_sizes.tolist(), np.int64)
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    counts = (sizes[None, :] > np.arange(batch)[:, None]).sum(1)
    t, b = _rows(counts.tolist(), batch, len(sizes))
    data, shape = sequence.data, (batch, steps) if batch_first else (steps, batch)
    empty = data.new_full((batch * steps, *data.shape[1:]), padding_value)
    where = _flat(t, b, steps, batch, batch_first)
    out = empty.index_copy(0, where, data).view(*shape, *data.shape[1:])
    lengths, order = from_array(counts), sequence.unsorted_indices
    if order is None:
        return out, lengths
    return out.index_select(0 if batch_first else 1, order), lengths[order]


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:
    """Sequences (L, *) of different lengths as one batch (T, B, *), or (B, T, *)."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    counts = [each.shape[0] for each in sequences]
    rest, first = sequences[0].shape[1:], sequences[0]
    batch, steps = len(counts), max(counts)
    t = np.concatenate([np.arange(n) + (steps - n) * (padding_side == "left") for n in counts])
    b = np.repeat(np.arange(batch), counts)
    empty = first.new_full((batch * steps, *rest), padding_value)
    where = _flat(t, b, steps, batch, batch_first)
    out = empty.index_copy(0, where, torch.cat(sequences))
    return out.view(*((batch, steps) if batch_first else (steps, batch)), *rest)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list:
    """The sequences (L, *) of a padded batch."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences: list, enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (L, *)."""
    lengths = torch.as_tensor([each.size(0) for each in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list:
    """The sequences (L, *) of a packed batch, in the order in which they were given."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
