"""Records of cases in one compressed file: all numbers of a dtype in one flat array.

The file is a NumPy `.npz`: one array per dtype and `index`, JSON text that holds, for every case,
the structure of what it returned and, for every array, where it lies.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.parity.harness import Record, Seen

PATH = Path(__file__).with_name("ops.npz")


class Writer:
    """Collects records and writes them."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}
        self._sizes: dict[str, int] = {}
        self._index: dict[str, list] = {}

    def add(self, key: str, record: Record) -> None:
        """Keep `record` under `key`."""
        self._index[key] = [
            record.form,
            [
                [
                    self._put(seen.values),
                    seen.dtype,
                    list(seen.stride),
                    int(seen.requires_grad),
                    seen.grad_fn,
                ]
                for seen in record.outputs
            ],
            record.versions,
            *(
                [None if array is None else self._put(array) for array in arrays]
                for arrays in (record.changed, record.grads, record.grads2)
            ),
        ]

    def _put(self, array: np.ndarray) -> list:
        kind = array.dtype.name
        start = self._sizes.get(kind, 0)
        self._parts.setdefault(kind, []).append(array.ravel())
        self._sizes[kind] = start + array.size
        return [kind, start, list(array.shape)]

    def save(self, path: Path, made_with: str) -> None:
        """Write everything to `path`."""
        data = {kind: np.concatenate(parts) for kind, parts in self._parts.items()}
        text = json.dumps({"made with": made_with, "cases": self._index}, separators=(",", ":"))
        index = np.frombuffer(text.encode(), dtype=np.uint8)
        np.savez_compressed(path, index=index, **data)


class Reader:
    """The records of a file."""

    def __init__(self, path: Path = PATH) -> None:
        with np.load(path) as file:
            self._data = {name: file[name] for name in file.files}
        index = json.loads(self._data.pop("index").tobytes())
        self.made_with: str = index["made with"]
        self._index: dict[str, list] = index["cases"]

    def __contains__(self, key: str) -> bool:
        return key in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __getitem__(self, key: str) -> Record:
        form, outputs, versions, *arrays = self._index[key]
        seen = [
            Seen(self._get(place), dtype, tuple(place[2]), tuple(stride), bool(tracked), node)
            for place, dtype, stride, tracked, node in outputs
        ]
        changed, grads, grads2 = (
            [None if place is None else self._get(place) for place in places] for places in arrays
        )
        return Record(form, seen, versions, changed, grads, grads2)

    def _get(self, place: list) -> np.ndarray:
        kind, start, shape = place
        return self._data[kind][start : start + math.prod(shape)].reshape(shape)
