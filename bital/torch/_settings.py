"""What `torch` keeps for the whole process: threads, determinism, precision; and names of things.

The number of threads is that of compiled code; how many NumPy uses is its own affair. What runs
side by side does so by Python's threads, so that number is kept and given back, and changes
nothing. All of bital's operators are deterministic.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from bital.autograd.anomaly import set_detect_anomaly
from bital.base import cores
from bital.base import dtype as dtypes
from bital.base.errors import Unsupported
from bital.ops.facts import TypedStorage, UntypedStorage
from bital.ops.legacy import TensorType
from bital.tensor.tensor import Tensor

_kept: dict[str, Any] = {
    "interop": os.cpu_count() or 1,
    "deterministic": False,
    "warn_only": False,
    "precision": "highest",
    "warn_always": False,
}


def _check_threads(fn: str, count: Any) -> None:
    if isinstance(count, bool) or not isinstance(count, int):
        raise RuntimeError(f"{fn} expects an int, but got {type(count).__name__}")
    if count < 1:
        raise RuntimeError(f"{fn} expects a positive integer")


def get_num_threads() -> int:
    """The number of threads for one operation."""
    return cores.get_threads()


def set_num_threads(int: Any) -> None:
    """Set the number of threads for one operation."""
    _check_threads("set_num_threads", int)
    cores.set_threads(int)


def get_num_interop_threads() -> int:
    """The number of threads that was set for operations side by side."""
    return _kept["interop"]


def set_num_interop_threads(int: Any) -> None:
    """Keep the number of threads for operations side by side."""
    _check_threads("set_num_interop_threads", int)
    _kept["interop"] = int


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for deterministic algorithms, which all of bital's are."""
    _kept["deterministic"], _kept["warn_only"] = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether deterministic algorithms were asked for."""
    return _kept["deterministic"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether only a warning was asked for where an algorithm is not deterministic."""
    return _kept["warn_only"]


def get_deterministic_debug_mode() -> int:
    """0 for "default", 1 for "warn", 2 for "error"."""
    if not _kept["deterministic"]:
        return 0
    return 1 if _kept["warn_only"] else 2


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same as `use_deterministic_algorithms`, by number or word."""
    modes = {"default": 0, "warn": 1, "error": 2}
    number = modes.get(debug_mode, -1) if isinstance(debug_mode, str) else debug_mode
    if number not in (0, 1, 2):
        raise RuntimeError(
            "invalid value of debug_mode, expected 0, 1, 2, `default`, `warn` or `error`, but got "
            f"{debug_mode}"
        )
    use_deterministic_algorithms(number > 0, warn_only=number == 1)


def set_float32_matmul_precision(precision: str) -> None:
    """Keep how precise float32 matrix products should be; here they always are "highest"."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    _kept["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given."""
    return _kept["precision"]


def set_flush_denormal(mode: bool) -> bool:
    """Whether denormal numbers can be flushed to zero: not here, so False where it is asked for."""
    return not mode


def set_warn_always(b: bool) -> None:
    """Keep whether warnings are to be given every time."""
    _kept["warn_always"] = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was given."""
    return _kept["warn_always"]


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Look for operators whose gradients are not numbers, as `autograd.set_detect_anomaly`."""
    set_detect_anomaly(enabled, check_nan)


def compiled_with_cxx11_abi() -> bool:
    """A question about PyTorch's own build; yes, as PyTorch's answer is."""
    return True


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage object."""
    return isinstance(obj, UntypedStorage)


def typename(obj: Any) -> str:
    """The name of an object's type: for tensors "torch.FloatTensor" and its like."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) else type(obj)
    module = kind.__module__.removeprefix("bital.")
    return kind.__qualname__ if module in ("builtins", None) else f"{module}.{kind.__qualname__}"


def set_default_tensor_type(t: Any) -> None:
    """Make `torch.FloatTensor`, `torch.DoubleTensor` or the like the default, by its dtype."""
    if isinstance(t, str):
        words = {f"torch.{d.legacy_name}Tensor": d for d in dtypes.ALL}
        if t not in words:
            raise TypeError(f"invalid type object: {t}")
        dtypes.set_default(words[t])
    elif isinstance(t, TensorType) and not t.is_cuda:
        dtypes.set_default(t.dtype)
    else:
        raise Unsupported(f"bital has no tensors of type {t}")


__all__ = [
    "TypedStorage", "UntypedStorage", "are_deterministic_algorithms_enabled",
    "compiled_with_cxx11_abi", "get_deterministic_debug_mode", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "is_deterministic_algorithms_warn_only_enabled",
    "is_storage", "is_warn_always_enabled", "set_anomaly_enabled", "set_default_tensor_type",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
    "set_num_interop_threads", "set_num_threads", "set_warn_always", "typename",
    "use_deterministic_algorithms",
]  # fmt: skip
