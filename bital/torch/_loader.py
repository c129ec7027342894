"""Loading PyTorch's files: which names are allowed, how storages are read, where they are put."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from bital.base import dtype as dtypes
from bital.base.archive import BadArchive, Reader
from bital.base.device import device
from bital.base.dtype import dtype
from bital.base.unpickler import Unpickler, refuse
from bital.ir.meta import meta_of
from bital.ir.trace import given
from bital.ops.facts import TypedStorage, UntypedStorage
from bital.tensor.storage import new_cell
from bital.torch import _rebuild as rebuild
from bital.torch.storage import StorageType

#: what the program has allowed, by its full name in files
user_globals: dict[str, Any] = {}
#: (priority, function): who places storages of other devices
restorers: list[tuple[int, Callable[[Any, str], Any]]] = []
#: the order of bytes in a file that does not say, and whether the program chose it
assumed: dict[str, Any] = {"order": "little", "set": False}
#: the first numbers of a file older than PyTorch 1.6
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def user_name(value: Any) -> str:
    """The full name by which files know a class or function."""
    return f"{value.__module__.removeprefix('bital.')}.{value.__qualname__}"


def open_archive(f: IO[bytes]) -> tuple[Reader, str, int]:
    """The archive in a file, the folder that all its members lie in, and the file's size."""
    size = f.seek(0, 2)

    def read_at(offset: int, count: int) -> bytes:
        f.seek(offset)
        return f.read(count)

    archive = Reader(read_at, size)
    roots = [name[: -len("data.pkl")] for name in archive.members if name.endswith("/data.pkl")]
    if len(roots) != 1 or roots[0].count("/") != 1:
        raise BadArchive("it holds no data.pkl, or several")
    if f"{roots[0]}constants.pkl" in archive.members:
        raise RuntimeError(
            "the file is a TorchScript archive, which is a program: bital does not run it. Save "
            "the module's state_dict() with torch.save instead"
        )
    return archive, roots[0], size


class Loader:
    """Loads one file; `map_location` as for `torch.load`."""

    def __init__(self, map_location: Any, encoding: str) -> None:
        self.map_location, self.encoding = map_location, encoding
        self.storages: dict[str, UntypedStorage] = {}
        self.read: Callable[[str, dtype, int], np.ndarray] = self._read_nothing

    def load(self, f: IO[bytes], mapped: str | None) -> Any:
        """The object in the file, whose memory is `mapped` from that path if one is given."""
        begin = f.tell()
        head = f.read(4)
        if not head:
            raise EOFError("Ran out of input: the file is empty")
        f.seek(begin)
        if head != b"PK\3\4":
            if mapped is not None:
                raise RuntimeError(
                    "mmap can only be used with files saved with `torch.save(..., "
                    "_use_new_zipfile_serialization=True)`"
                )
            return self._load_legacy(f)
        archive, root, _ = open_archive(f)
        swapped = self._byteorder(archive, root) == "big"
        pages = None if mapped is None else np.memmap(mapped, np.uint8, "c")

        def read(key: str, d: dtype, count: int) -> np.ndarray:
            member = archive.members.get(f"{root}data/{key}")
            if member is None:
                raise BadArchive(f"file not found: {root}data/{key}")
            if member.size != count * d.itemsize:
                refuse(f"storage {key} has {member.size} bytes where {count} {d} are expected")
            if pages is not None:
                data: Any = pages[member.start : member.start + member.size]
            else:
                data = _read_array(f, member.start, member.size)
                if zlib.crc32(data) != member.crc:
                    raise BadArchive(f"storage {key} does not match its checksum")
            array = data.view(d.np)
            return _swapped(array, d) if swapped else array

        self.read = read
        return self._unpickler(archive.read(f"{root}data.pkl")).load()

    @staticmethod
    def _byteorder(archive: Reader, root: str) -> str:
        if f"{root}byteorder" not in archive.members:
            return assumed["order"]
        order = archive.read(f"{root}byteorder")
        if order not in (b"little", b"big"):
            raise ValueError(f"Unknown endianness type: {order!r}")
        return order.decode()

    def _unpickler(self, data: bytes, at: int = 0) -> Unpickler:
        return Unpickler(
            data, find=self._find, construct=_construct, make=_make, build=_build,
            persistent=self._persistent, at=at, encoding=self.encoding,
        )  # fmt: skip

    @staticmethod
    def allows(name: str) -> bool:
        """Whether files may name it."""
        return name in rebuild.SAFE or name in user_globals

    def _find(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in user_globals:
            return user_globals[full]
        if full in rebuild.SAFE:
            return rebuild.SAFE[full]
        if module == "torch.return_types":
            found = rebuild.named_tuple(name)
            if found is not None:
                return found
        if full in rebuild.ABSENT:
            refuse(f"the file holds {rebuild.ABSENT[full]}, which bital does not have")
        refuse(
            f"Unsupported global: GLOBAL {full} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{name}])` or the "
            f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this "
            "global if you trust this class/function."
        )

    def _persistent(self, pid: Any) -> UntypedStorage:
        """The storage that ("storage", type, key, location, number of elements) stands for."""
        if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
            refuse("a persistent id is not a storage's")
        _, kind, key, location, count = pid[:5]
        if len(pid) == 6 and pid[5] is not None:
            refuse("the file is older than PyTorch 0.4: save it again with a newer PyTorch")
        if type(key) is not str or type(location) is not str or type(count) is not int or count < 0:
            refuse("a storage's key, location or size is none")
        typed = isinstance(kind, StorageType)
        if not typed and kind is not UntypedStorage:
            refuse(f"{kind!r} is no kind of storage")
        d = kind.dtype if typed else dtypes.uint8
        storage = self.storages.get(key)
        if storage is None:
            array = self.read(key, d, count)
            made = UntypedStorage(new_cell(given(meta_of(array.shape, d), array)))
            storage = self.storages[key] = self._placed(made, location)
        if storage.nbytes() != count * d.itemsize:
            refuse(f"storage {key} is said to have different sizes")
        return TypedStorage(storage._storage, d) if typed else storage

    def _placed(self, storage: UntypedStorage, location: str) -> UntypedStorage:
        """The storage where `map_location` wants it."""
        wanted = self.map_location
        if callable(wanted) and not isinstance(wanted, device):
            placed = wanted(storage, location)
            if placed is not None:
                return placed
        elif isinstance(wanted, dict):
            location = str(wanted.get(location, location))
        elif wanted is not None:
            location = str(device(wanted))
        return restored(storage, location)

    # --- files older than PyTorch 1.6: pickles one after the other, then the storages

    def _load_legacy(self, f: IO[bytes]) -> Any:
        data = f.read()
        at = 0
        parts: list[Any] = []
        pending: dict[str, np.ndarray] = {}

        def read(key: str, d: dtype, count: int) -> np.ndarray:
            room = len(data) - sum(a.nbytes for a in pending.values())
            if count * d.itemsize > room:
                refuse(f"storage {key} is larger than the file")
            pending[key] = np.zeros(count, d.np)
            return pending[key]

        for number in range(5):  # a magic number, a version, the system, the object, the keys
            self.read = read if number == 3 else self._read_nothing
            unpickler = self._unpickler(data, at)
            parts.append(unpickler.load())
            at = unpickler.at
            if number == 0 and parts[0] != _MAGIC:
                refuse("Invalid magic number; the file is not one that torch.save wrote")
            if number == 1 and parts[1] != _PROTOCOL:
                refuse(f"Invalid protocol version: {parts[1]!r}")
            if number == 2 and (type(parts[2]) is not dict or not parts[2].get("little_endian", 1)):
                refuse("the file was written on a big-endian machine")
        keys = parts[4]
        if type(keys) is not list or set(keys) != set(pending):
            refuse("the file's storages are not those that its tensors need")
        for key in keys:
            array = pending[key]
            count = int.from_bytes(data[at : at + 8], "little")
            if count != array.size or at + 8 + array.nbytes > len(data):
                refuse(f"storage {key} is cut short")
            array.view(np.uint8)[...] = np.frombuffer(data, np.uint8, array.nbytes, at + 8)
            at += 8 + array.nbytes
        return parts[3]

    @staticmethod
    def _read_nothing(key: str, d: dtype, count: int) -> np.ndarray:
        refuse("a storage stands where none may")


def _read_array(f: IO[bytes], start: int, size: int) -> np.ndarray:
    f.seek(start)
    if not hasattr(f, "readinto"):
        got = np.frombuffer(f.read(size), np.uint8)
        if got.size != size:
            raise BadArchive("a storage is cut short")
        return got.copy()
    array: Any = np.empty(size, np.uint8)
    view, done = memoryview(array), 0
    while done < size:
        count = f.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise BadArchive("a storage is cut short")
        done += count
    return array


def _swapped(array: np.ndarray, d: dtype) -> np.ndarray:
    """Numbers of a big-endian file; a complex number is two."""
    width = d.itemsize // 2 if d.is_complex else d.itemsize
    return array.view(f"u{width}").byteswap().view(d.np)


def restored(storage: UntypedStorage, location: str) -> UntypedStorage:
    """The storage on the device it was saved on, which must be one that there is."""
    if location == "cpu":
        return storage
    for _, restore in restorers:
        placed = restore(storage, location)
        if placed is not None:
            return placed
    if location.startswith("cuda"):
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is "
            "False. If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    raise RuntimeError(
        "don't know how to restore data location of torch.storage.UntypedStorage (tagged with "
        f"{location})"
    )


def _allowed_by_user(value: Any) -> bool:
    return any(value is each for each in user_globals.values())


def _construct(fn: Any, args: tuple) -> Any:
    if _allowed_by_user(fn):
        return fn(*args)
    call = rebuild.CALLS.get(fn)
    if call is None:
        refuse(f"the file calls {fn!r}, which is not allowed")
    return call(*args)


def _make(kind: Any, args: tuple, named: dict) -> Any:
    if not isinstance(kind, type) or not _allowed_by_user(kind):
        if kind in rebuild.CALLS and not named:
            return rebuild.CALLS[kind](*args)
        refuse(f"the file makes an object of {kind!r}, which is not allowed")
    return kind.__new__(kind, *args, **named)


def _build(made: Any, state: Any) -> None:
    """Give an object of an allowed class its state, as pickle does."""
    if not _allowed_by_user(type(made)):
        refuse(f"the file gives a state to a {type(made).__name__}, which is not allowed")
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    made.__dict__.update(state or {})
    for name, value in (slots or {}).items():
        setattr(made, name, value)
