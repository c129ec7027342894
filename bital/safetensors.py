"""Reading and writing safetensors files, with the names of the package `safetensors.torch`.

    from bital.safetensors import load_file, save_file

The format: eight bytes, the header's length as a little-endian integer; the header, JSON: a name to
{"dtype", "shape", "data_offsets"}, and "__metadata__" to words; then the elements. Nothing in a
file is run, and all that it says is checked. (Under `bital run` the package itself works, too.)
https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.atomic import write_file
from bital.tensor.tensor import Tensor, array_of, from_array

#: the format's words for element types
_TYPES = {
    "BOOL": dtypes.bool_, "U8": dtypes.uint8, "I8": dtypes.int8, "I16": dtypes.int16,
    "U16": dtypes.uint16, "I32": dtypes.int32, "U32": dtypes.uint32, "I64": dtypes.int64,
    "U64": dtypes.uint64, "F16": dtypes.float16, "BF16": dtypes.bfloat16, "F32": dtypes.float32,
    "F64": dtypes.float64, "C64": dtypes.complex64,
}  # fmt: skip
_WORDS = {d: word for word, d in _TYPES.items()}
#: the package refuses longer headers, too
_MOST_HEADER = 100_000_000


class SafetensorError(ValueError):
    """The file is no safetensors file; the message says what is wrong."""


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a file of these tensors; `metadata` maps words to words.

    Raises TypeError or ValueError for what the format cannot hold.
    """
    header: dict[str, Any] = {}
    if metadata:
        if not all(isinstance(w, str) for pair in metadata.items() for w in pair):
            raise TypeError("metadata must map str to str")
        header["__metadata__"] = dict(metadata)
    for name, t in tensors.items():
        if not isinstance(t, Tensor) or not isinstance(name, str):
            raise TypeError(f"{name!r} is no tensor's name, or {type(t).__name__} is no tensor")
        if t.dtype not in _WORDS:
            raise ValueError(f"safetensors files cannot hold {t.dtype}, the dtype of {name!r}")
    # wide elements first, so that all are aligned; then by name
    order = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    chunks = []
    at = 0
    for name, t in order:
        data = np.ascontiguousarray(array_of(t)).tobytes()
        where = [at, at + len(data)]
        shape = list(map(int, t.shape))
        header[name] = {"dtype": _WORDS[t.dtype], "shape": shape, "data_offsets": where}
        chunks.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((struct.pack("<Q", len(text)), text, *chunks))


def save_file(
    tensors: Mapping[str, Tensor],
    filename: str | os.PathLike,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a file of these tensors: all of it, or where that fails, none."""
    data = save(tensors, metadata)
    write_file(filename, lambda file: file.write(data))


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors in a file's bytes. Raises SafetensorError for what is wrong with them."""
    header, body = _header(data)
    tensors = {}
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        d, shape, begin, end = _entry(name, entry)
        if end > len(body):
            raise SafetensorError(f"tensor {name!r} lies outside the file")
        array = np.frombuffer(body[begin:end], np.uint8).copy().view(d.np).reshape(shape)
        tensors[name] = from_array(array, d)
        spans.append((begin, end))
    spans.sort()
    ends = [0, *[end for _, end in spans]]
    if [begin for begin, _ in spans] != ends[:-1] or ends[-1] != len(body):
        raise SafetensorError("tensors overlap, or leave gaps between them")
    return tensors


def load_file(filename: str | os.PathLike, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors in a file."""
    with open(filename, "rb") as file:
        tensors = load(file.read())
    return {name: t.to(device) for name, t in tensors.items()}


def load_metadata(filename: str | os.PathLike) -> dict[str, str]:
    """The words that a file maps to words."""
    with open(filename, "rb") as file:
        return _header(file.read())[0].get("__metadata__", {})


def _header(data: bytes) -> tuple[dict, memoryview]:
    if len(data) < 8:
        raise SafetensorError("the file is too short for a header")
    (size,) = struct.unpack_from("<Q", data)
    if size > min(_MOST_HEADER, len(data) - 8):
        raise SafetensorError(f"the header is said to have {size} bytes")
    try:
        header = json.loads(data[8 : 8 + size].decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise SafetensorError(f"the header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise SafetensorError("the header is no object")
    words = header.get("__metadata__", {})
    if not isinstance(words, dict) or not all(isinstance(w, str) for w in words.values()):
        raise SafetensorError("the metadata do not map words to words")
    return header, memoryview(data)[8 + size :]


def _once(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _entry(name: str, entry: Any) -> tuple[dtypes.dtype, list[int], int, int]:
    """A tensor's dtype, shape, and where its bytes begin and end."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise SafetensorError(f"tensor {name!r} has no dtype, shape and data_offsets")
    shape, where = entry["shape"], entry["data_offsets"]
    numbers = [*shape, *where] if isinstance(shape, list) and isinstance(where, list) else [None]
    if not all(type(n) is int and n >= 0 for n in numbers) or len(where) != 2 or len(shape) > 64:
        raise SafetensorError(f"tensor {name!r} has shape {shape} and lies at {where}")
    d = _TYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if d is None:
        raise SafetensorError(f"tensor {name!r} has dtype {entry['dtype']!r}, which is not known")
    size = d.itemsize
    for n in shape:
        size *= n
    if where[1] - where[0] != size:
        raise SafetensorError(f"tensor {name!r} takes {size} bytes and has {where}")
    return d, shape, where[0], where[1]
