"""PyTorch's namespace. What is spelled `torch.…` in a program is found here.

Room: torch. The functions come from the tables that the operators' declarations fill; what bital
lacks raises an error that says so.
"""

from __future__ import annotations

import math as _math
from numbers import Number as _Number
from typing import Any as _Any

from bital import __version__ as _bital_version
from bital import ops as _ops
from bital.autograd import api as _autograd_api
from bital.autograd import engine as _engine
from bital.autograd.anomaly import is_anomaly_check_nan_enabled, is_anomaly_enabled
from bital.autograd.mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from bital.autograd.vmap import vmap
from bital.base import dtype as _dtypes
from bital.base.device import device
from bital.base.device import usable as _usable
from bital.base.dtype import can_cast, dtype, finfo, iinfo
from bital.base.dtype import promote as promote_types
from bital.base.errors import missing_attribute
from bital.base.layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    sparse_csr,
    strided,
)
from bital.base.size import Size
from bital.ops import autocast as _autocast_state
from bital.ops.api import NAMESPACES as _NAMESPACES
from bital.ops.api import check_tensor as _check_tensor
from bital.ops.create import ones_of as _ones_of
from bital.ops.random import Generator, default_generator, fork_rng
from bital.runtime import executor as _executor
from bital.tensor import convert as _convert
from bital.tensor.tensor import Tensor

#: the PyTorch whose behaviour is followed, and that this is bital
__version__ = f"2.13.0+bital.{_bital_version}"

_engine.hooks.ones = _ones_of
globals().update(_NAMESPACES["torch"])
for _d in (*_dtypes.ALL, *_dtypes.WORDS):
    globals()[_d.name] = _d
globals().update(_dtypes.ALIASES)

for _name in _autocast_state.__all__:
    globals()[_name] = getattr(_autocast_state, _name)

e, inf, nan, pi, newaxis = _math.e, _math.inf, _math.nan, _math.pi, None


def is_tensor(obj: _Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the tensor's dtype is a floating one."""
    return _check_tensor(input, "is_floating_point")._meta.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the tensor's dtype is a complex one."""
    return _check_tensor(input, "is_complex")._meta.dtype.is_complex


def is_nonzero(input: Tensor) -> bool:
    """Whether the only element of the tensor is not zero."""
    return input.__bool__()


def numel(input: Tensor) -> int:
    """How many elements the tensor has."""
    return _check_tensor(input, "numel")._meta.numel


def get_default_dtype() -> dtype:
    """The dtype of floating-point tensors made without one."""
    return _dtypes.default.dtype


def set_default_dtype(d: dtype) -> None:
    """Make `d` the dtype of floating-point tensors made without one."""
    _dtypes.set_default(d)


def result_type(tensor1: _Any, tensor2: _Any) -> dtype:
    """The dtype of an operation on two tensors or numbers."""
    for each in (tensor1, tensor2):
        if not isinstance(each, (Tensor, _Number)):
            raise TypeError(
                "result_type() received an invalid combination of arguments - got "
                f"({type(tensor1).__name__}, {type(tensor2).__name__}), but expected tensors or "
                "numbers"
            )
    ranked = [
        (t.dtype, 2 if t.ndim else 1) if isinstance(t, Tensor) else (_dtypes.of_python(t), 0)
        for t in (tensor1, tensor2)
    ]
    return _dtypes.result_type(ranked)


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return input.is_inference()


def get_default_device() -> device:
    """The device that tensors are made on."""
    return device("cpu")


def set_default_device(where: _Any) -> None:
    """Make tensors on that device by default; bital has the CPU only."""
    _usable(where)


Tensor.is_floating_point = is_floating_point  # type: ignore[attr-defined]
Tensor.is_nonzero = is_nonzero  # type: ignore[attr-defined]
Tensor.is_complex = is_complex  # type: ignore[attr-defined]
Tensor.numel = Tensor.nelement = numel  # type: ignore[attr-defined]


from bital.torch import (  # noqa: E402 (they use the names above)
    amp,
    autograd,
    cpu,
    cuda,
    fft,
    func,
    linalg,
    masked,
    nn,
    optim,
    overrides,
    random,
    return_types,
    serialization,
    signal,
    special,
    storage,
    utils,
    version,
)
from bital.torch._compile import compile  # noqa: E402
from bital.torch._ops import ops  # noqa: E402
from bital.torch._printing import set_printoptions  # noqa: E402
from bital.torch._settings import *  # noqa: E402, F403
from bital.torch._words import *  # noqa: E402, F403
from bital.torch.amp.autocast_mode import autocast  # noqa: E402
from bital.torch.amp.grad_scaler import GradScaler  # noqa: E402
from bital.torch.serialization import load, save  # noqa: E402
from bital.torch.storage import STORAGE_TYPES as _STORAGE_TYPES  # noqa: E402

globals().update(_STORAGE_TYPES)

#: modules that are loaded when a program first asks for them
_LATER = (
    "_C", "_dynamo", "accelerator", "ao", "backends", "compiler", "distributed",
    "distributions", "futures", "fx", "hub", "jit", "library", "mps", "mtia", "multiprocessing",
    "nested", "onnx", "profiler", "quantization", "quasirandom", "sparse", "testing", "types",
    "xpu",
)  # fmt: skip
__getattr__ = missing_attribute("torch", *_LATER)
