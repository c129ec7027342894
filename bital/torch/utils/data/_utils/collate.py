"""Collating: a list of samples becomes one batch.

`default_collate` stacks tensors, turns numbers and arrays into tensors, leaves strings alone and
goes into mappings and sequences. `default_convert` does as much for a single sample.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import bital.torch as torch

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

_MESSAGE = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def default_convert(data: Any) -> Any:
    """`data` with every NumPy array and scalar in it as a tensor; anything else unchanged.

    Mappings and sequences keep their type where it can be rebuilt; a plain tuple becomes a list.
    """
    if isinstance(data, torch.Tensor):
        return data
    if isinstance(data, np.ndarray | np.generic):
        # Text and objects have no tensor: `np.str_` and `np.bytes_` scalars, and arrays of such.
        return data if data.dtype.kind in "SUO" else torch.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _like_sequence(data, [default_convert(item) for item in data])
    return data


def default_collate(batch: Sequence) -> Any:
    """One batch of a list of samples of the same form.

    Tensors are stacked along a new first axis (shapes (...) -> (B, ...)); arrays and numbers
    become tensors first (a Python float is a float64); strings stay a list; a mapping, sequence
    or named tuple is collated entry by entry and keeps its type, except that tuples of samples
    become lists.

    Raises:
        TypeError: a sample is, or holds, something else.
        RuntimeError: sequences, or tensors, of different sizes.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(
    batch: Sequence,
    *,
    collate_fn_map: dict[type | tuple[type, ...], Callable] | None = None,
) -> Any:
    """Collate by a table from type to function; the type of the first sample chooses.

    Functions are called as `function(batch, collate_fn_map=collate_fn_map)`. An exact type is
    looked up first, then the entries are tried in order with `isinstance`; mappings and
    sequences in no entry are collated entry by entry.
    """
    first = batch[0]
    table = collate_fn_map or {}
    function = table.get(type(first))
    if function is None:
        function = next((table[kind] for kind in table if isinstance(first, kind)), None)
    if function is not None:
        return function(batch, collate_fn_map=collate_fn_map)

    def inner(samples: Sequence) -> Any:
        return collate(samples, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        items = {key: inner([sample[key] for sample in batch]) for key in first}
        return _like_mapping(first, items)
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _like_sequence(first, [inner(samples) for samples in zip(*batch, strict=True)])
    raise TypeError(_MESSAGE.format(type(first)))


def _like_mapping(model: Mapping, items: dict) -> Mapping:
    """`items` in a mapping of `model`'s type, if that can be made; else the dict itself."""
    kind: Any = type(model)
    try:
        if not isinstance(model, MutableMapping):
            return kind(items)
        # A copy keeps what the type has besides its items (a default factory, say).
        clone = copy.copy(model)
        clone.update(items)
        return clone
    except TypeError:
        return items


def _like_sequence(model: Sequence, items: list) -> Sequence:
    """`items` in a sequence of `model`'s type, if that can be made; else the list itself."""
    kind: Any = type(model)
    if isinstance(model, tuple):
        # Plain tuples have always become lists in PyTorch; programs rely on it.
        return kind(*items) if hasattr(model, "_fields") else items
    try:
        if not isinstance(model, MutableSequence):
            return kind(items)
        clone = copy.copy(model)
        for i, item in enumerate(items):
            clone[i] = item
        return clone
    except TypeError:
        return items


def collate_tensor_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> torch.Tensor:
    """Stack tensors of equal size: (...) -> (B, ...)."""
    return torch.stack(list(batch), 0)


def collate_numpy_array_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> Any:
    """Stack arrays as tensors; arrays of text or objects are refused."""
    if batch[0].dtype.kind in "SUO":
        raise TypeError(_MESSAGE.format(batch[0].dtype))
    return collate([torch.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> Any:
    """NumPy scalars -> a tensor of shape (B,) of their dtype."""
    return torch.as_tensor(batch)


def collate_float_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> torch.Tensor:
    """Python floats -> a float64 tensor of shape (B,)."""
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> torch.Tensor:
    """Python ints or bools -> an int64 or bool tensor of shape (B,)."""
    return torch.tensor(batch)


def collate_str_fn(batch: Sequence, *, collate_fn_map: dict | None = None) -> Sequence:
    """Strings and bytes stay as they are."""
    return batch


default_collate_fn_map: dict[type | tuple[type, ...], Callable] = {
    torch.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
