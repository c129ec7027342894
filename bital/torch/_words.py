"""Names of `torch` that programs mention in passing: types to ask for, symbols, streams."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any, NoReturn

from bital.base.device import device, usable
from bital.base.dtype import default, dtype
from bital.base.errors import Unsupported
from bital.ops.api import NAMESPACES
from bital.ops.facts import UntypedStorage
from bital.tensor.tensor import Tensor


class _Symbol(type):
    """The class of a number that PyTorch's compiler does not know yet: nothing is one here."""

    def __instancecheck__(cls, instance: object) -> bool:
        return False

    def __call__(cls, *args: Any) -> NoReturn:
        raise Unsupported(f"bital has no symbolic numbers such as torch.{cls.__name__}")


class SymInt(metaclass=_Symbol):
    """Sizes are ints here."""


class SymFloat(metaclass=_Symbol):
    """Numbers are floats here."""


class SymBool(metaclass=_Symbol):
    """Truth values are bools here."""


class ScriptModule:
    """The class of scripted modules: nothing is an instance of it."""


class ScriptFunction:
    """The class of scripted functions: nothing is an instance of it."""


sym_int, sym_max, sym_min, sym_sqrt = int, max, min, math.sqrt
sym_float = float


def sym_not(a: Any) -> bool:
    """Whether `a` is not true."""
    return not a


def sym_sum(args: Any) -> Any:
    """The sum of numbers."""
    return sum(args)


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """`t` if `b`, else `f`."""
    return t if b else f


class PyTorchFileReader:
    """There for annotations; files are read by `torch.load`."""

    def __init__(self, name_or_buffer: Any) -> None:
        raise Unsupported("bital lacks torch.PyTorchFileReader: read the file with torch.load")


class OutOfMemoryError(RuntimeError):
    """A GPU's memory is full; never raised here."""


class AcceleratorError(RuntimeError):
    """An accelerator failed; never raised here."""


class Stream:
    """A queue of a device's work: on the CPU, where everything is done in order."""

    def __init__(self, device: Any = None, **kwargs: Any) -> None:
        self.device = usable(device)
        self.device_index, self.stream_id = -1, 0

    def query(self) -> bool:
        """Whether all is done: yes."""
        return True

    def synchronize(self) -> None:
        """Wait until all is done: it is."""

    def wait_stream(self, stream: Any) -> None:
        """Wait for another queue: nothing to do."""

    def __repr__(self) -> str:
        return "torch.Stream device_type=cpu, device_index=-1, stream_id=0"


class Event:
    """A place in an accelerator's queue; raises RuntimeError, as there is none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("Cannot access accelerator device when none is available.")


def get_device_module(where: Any = None) -> Any:
    """The module of a kind of device: `torch.cpu`, `torch.cuda`."""
    kind = "cpu" if where is None else device(where).type
    return importlib.import_module(f"bital.torch.{kind}")


def is_distributed(input: Tensor) -> bool:
    """Whether the tensor is spread over processes: it is not."""
    return False


def is_vulkan_available() -> bool:
    """Whether there is a Vulkan device: no."""
    return False


def cond(pred: Any, true_fn: Callable, false_fn: Callable, operands: Any = ()) -> Any:
    """One of two functions of the operands, by a truth value, which is looked at."""
    return (true_fn if bool(pred) else false_fn)(*operands)


def from_file(
    filename: str, shared: bool = False, size: int = 0, *, dtype: dtype | None = None,
    requires_grad: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    """`size` elements of a file, mapped into memory; writes reach the file where `shared`."""
    kind = dtype or default.dtype
    storage = UntypedStorage.from_file(filename, shared, size * kind.itemsize)
    made = NAMESPACES["torch"]["asarray"](storage).view(kind)
    return made.requires_grad_(requires_grad)


__all__ = [
    "AcceleratorError", "Event", "OutOfMemoryError", "PyTorchFileReader", "ScriptFunction",
    "ScriptModule", "Stream", "SymBool", "SymFloat", "SymInt",
    "cond", "from_file", "get_device_module",
    "is_distributed", "is_vulkan_available", "sym_float", "sym_int", "sym_ite", "sym_max",
    "sym_min", "sym_not", "sym_sqrt", "sym_sum",
]  # fmt: skip
