"""`torch.save` and `torch.load`: PyTorch's files, written whole or not at all, read without trust.

A file is never run: `load` knows plain data, tensors, and the classes that the program has allowed
with `add_safe_globals`, whatever `weights_only` says. Whatever is wrong with a file raises an
error that says so, before anything of it is used.
"""

from __future__ import annotations

import enum
import io
import os
import pickle
import pickletools
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable
from typing import IO, Any, TypeAlias

from bital.base.archive import Writer
from bital.base.atomic import write_file
from bital.base.device import device
from bital.base.errors import Unsupported, missing_attribute
from bital.base.unpickler import python3_name
from bital.ops.api import NAMESPACES
from bital.ops.facts import UntypedStorage
from bital.torch import _loader
from bital.torch._loader import Loader, open_archive, user_name
from bital.torch._loader import restorers as _restorers
from bital.torch._loader import user_globals as _user_globals
from bital.torch._pickler import TorchPickler, memory_of

_FileLike = str | os.PathLike | IO[bytes]


def save(
    obj: object,
    f: _FileLike,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write an object to a path or a file open for writing, as PyTorch 2.13 does.

    A path gets its new contents in one step: a process that is killed leaves the old file or the
    new one. Raises RuntimeError where the folder is missing, and pickle's errors for what cannot
    be written.
    """
    if not _use_new_zipfile_serialization:
        raise Unsupported("bital writes PyTorch's zip format only; PyTorch reads it since 1.4")
    if pickle_module is not pickle:
        raise Unsupported("bital writes with its own pickler: leave pickle_module out")
    if isinstance(f, (str, os.PathLike)):
        path = os.fspath(f)
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            raise RuntimeError(f"Parent directory {folder} does not exist.")
        stem = os.path.splitext(os.path.basename(path))[0]
        parts = _pickled(obj, pickle_protocol)
        write_file(path, lambda file: _write(parts, file.write, stem or "archive"))
    elif hasattr(f, "write"):
        _write(_pickled(obj, pickle_protocol), f.write, "archive")
    else:
        raise AttributeError(
            f"expected 'f' to be string, path, or a file-like object with a 'write' attribute, "
            f"not {type(f).__name__}"
        )


def _pickled(obj: object, protocol: int) -> tuple[bytes, list]:
    buffer = io.BytesIO()
    pickler = TorchPickler(buffer, protocol)
    pickler.dump(obj)
    return buffer.getvalue(), pickler.storages


def _write(parts: tuple[bytes, list], write: Callable, root: str) -> None:
    """The members of an archive, in PyTorch's order."""
    pickled, storages = parts
    archive = Writer(write)
    archive.add(f"{root}/data.pkl", pickled)
    archive.add(f"{root}/.format_version", b"1")
    archive.add(f"{root}/.storage_alignment", b"64")
    archive.add(f"{root}/byteorder", sys.byteorder.encode())
    checksum = zlib.crc32(pickled)
    for number, storage in enumerate(storages):
        memory = memory_of(storage)
        checksum = zlib.crc32(memory, checksum)
        archive.add(f"{root}/data/{number}", memory)
    archive.add(f"{root}/version", b"3\n")
    identity = f"{zlib.crc32(pickled):020d}{checksum:020d}"
    archive.add(f"{root}/.data/serialization_id", identity.encode())
    archive.close()


def load(
    f: _FileLike,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """The object in a file that `torch.save` wrote, from a path or a file open for reading.

    map_location  a device, its name, a dict from names to names, or a function (storage, name) ->
                  storage or None: where tensors saved on another device go
    mmap          map the file into memory rather than read it; a path is needed

    No code from the file is run, also with `weights_only=False`: classes of the program must be
    allowed with `torch.serialization.add_safe_globals`. Raises pickle.UnpicklingError for what is
    not allowed or damaged, RuntimeError for what is no such file.
    """
    if pickle_module is not None:
        raise RuntimeError(
            "Can not safely load weights when explicit pickle_module is specified: bital loads "
            "with its own unpickler only"
        )
    if weights_only is False:
        warnings.warn(
            "weights_only=False is taken as weights_only=True: bital never runs code from a file. "
            "Allow the classes that it holds with torch.serialization.add_safe_globals([...])",
            stacklevel=2,
        )
    loader = Loader(map_location, encoding=pickle_load_args.get("encoding", "utf-8"))
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return loader.load(file, os.fspath(f) if mmap else None)
    if mmap:
        raise ValueError("f must be a file path in order to use the mmap argument")
    for needed in ("read", "seek", "tell"):
        if not hasattr(f, needed):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{needed}'. You can only torch.load "
                "from a file that is seekable. Please pre-load the data into a buffer like "
                "io.BytesIO and try to load from it instead."
            )
    return loader.load(f, None)


def add_safe_globals(safe_globals: list) -> None:
    """Allow `load` to make objects of these classes and to call these functions.

    Items are classes or functions, or pairs of one and the full name that files have for it.
    """
    for item in safe_globals:
        value, name = item if isinstance(item, tuple) else (item, user_name(item))
        _user_globals[name] = value


def get_safe_globals() -> list:
    """What `add_safe_globals` was given."""
    return [v if user_name(v) == name else (v, name) for name, v in _user_globals.items()]


def clear_safe_globals() -> None:
    """Allow nothing but what bital allows by itself."""
    _user_globals.clear()


class safe_globals:
    """Inside the block, `load` may also make and call these; see `add_safe_globals`."""

    def __init__(self, safe_globals: list) -> None:
        self.added = safe_globals

    def __enter__(self) -> None:
        self.before = dict(_user_globals)
        add_safe_globals(self.added)

    def __exit__(self, *exc: object) -> None:
        _user_globals.clear()
        _user_globals.update(self.before)


def get_unsafe_globals_in_checkpoint(f: _FileLike) -> list[str]:
    """The names in a file that `load` would refuse, for a path or a file open for reading."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return get_unsafe_globals_in_checkpoint(file)
    archive, root, _ = open_archive(f)
    found = []
    words: list[str] = []
    for opcode, argument, _ in pickletools.genops(archive.read(f"{root}data.pkl")):
        if isinstance(argument, str):
            words.append(argument)
        if opcode.name == "GLOBAL":
            found.append(".".join(python3_name(*words.pop().split(" ", 1))))
        elif opcode.name == "STACK_GLOBAL":
            found.append(".".join(python3_name(*words[-2:])))
    return [name for name in dict.fromkeys(found) if not Loader.allows(name)]


def register_package(
    priority: int, tagger: Callable[[Any], Any], deserializer: Callable[[Any, str], Any]
) -> None:
    """Let `deserializer(storage, location)` place storages tagged by another device, or give None.

    Lower priorities are asked first. bital tags what it saves "cpu".
    """
    _restorers.append((priority, deserializer))
    _restorers.sort(key=lambda entry: entry[0])


def location_tag(storage: UntypedStorage) -> str:
    """The device that a file says a storage was on."""
    return str(storage.device)


def check_module_version_greater_or_equal(
    module: Any, req_version_tuple: Iterable[int], error_if_malformed: bool = True
) -> bool:
    """Whether a module's `__version__` is at least that."""
    try:
        parts = module.__version__.split(".")
        numbers = tuple(type(r)(n) for r, n in zip(req_version_tuple, parts))
    except Exception as error:
        message = f"'{module.__name__}' module version string is malformed '{module.__version__}'"
        if error_if_malformed:
            raise RuntimeError(f"{message}: {error}") from error
        warnings.warn(f"{message}, {error}", stacklevel=2)
        return True
    return numbers >= tuple(req_version_tuple)


class SourceChangeWarning(Warning):
    """PyTorch's warning for modules whose source has changed since they were saved; not used."""


class LoadEndianness(enum.Enum):
    """The order of bytes that `load` takes where a file does not say its own."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


def get_default_load_endianness() -> LoadEndianness | None:
    """What `set_default_load_endianness` was given."""
    return LoadEndianness[_loader.assumed["order"].upper()] if _loader.assumed["set"] else None


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Say which order of bytes a file has that does not say."""
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    name = "native" if endianness is None else endianness.name.lower()
    _loader.assumed["order"] = sys.byteorder if name == "native" else name
    _loader.assumed["set"] = endianness is not None


def normalize_storage_type(storage_type: Any) -> Any:
    """The storage's class without its module's: itself."""
    return storage_type


def storage_to_tensor_type(storage: Any) -> Any:
    """The word for tensors of a storage's elements."""
    name = f"{storage.dtype.legacy_name}Tensor"
    return NAMESPACES["torch"][name]


def default_restore_location(storage: UntypedStorage, location: str) -> UntypedStorage:
    """The storage on the device it was saved on; RuntimeError where there is none."""
    return _loader.restored(storage, location)


def validate_cuda_device(location: Any) -> int:
    """Raises: there is no GPU."""
    _loader.restored(None, "cuda")  # type: ignore[arg-type]
    return -1


def get_crc32_options() -> bool:
    """Whether checksums are written: always."""
    return True


def set_crc32_options(compute_crc32: bool) -> None:
    """Ask for checksums, which are always written."""


#: what `map_location` may be
MAP_LOCATION: TypeAlias = Callable[[Any, str], Any] | device | str | dict[str, str] | None

__all__ = [
    "MAP_LOCATION", "LoadEndianness", "SourceChangeWarning", "add_safe_globals",
    "check_module_version_greater_or_equal", "clear_safe_globals", "default_restore_location",
    "get_crc32_options", "get_default_load_endianness", "get_safe_globals",
    "get_unsafe_globals_in_checkpoint", "load", "location_tag", "normalize_storage_type",
    "register_package", "safe_globals", "save", "set_crc32_options", "set_default_load_endianness",
    "storage_to_tensor_type", "validate_cuda_device",
]  # fmt: skip
__getattr__ = missing_attribute("torch.serialization")
