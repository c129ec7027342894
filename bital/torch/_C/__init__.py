"""`torch._C`: the few names of PyTorch's own inside that programs use."""

from bital.base.errors import LinAlgError as _LinAlgError
from bital.base.errors import missing_attribute
from bital.ops.random import Generator
from bital.tensor.tensor import Tensor
from bital.torch.overrides import DisableTorchFunctionSubclass, _disabled_torch_function_impl

DisableTorchFunction = DisableTorchFunctionSubclass
_TensorMeta = type(Tensor)


def _log_api_usage_once(event: str) -> None:
    """Libraries report here which of their classes are used; nobody listens."""


def _get_tracing_state() -> None:
    """What TorchScript is tracing: nothing, ever."""


__all__ = [
    "DisableTorchFunction", "DisableTorchFunctionSubclass", "Generator", "_LinAlgError",
    "_TensorMeta", "_disabled_torch_function_impl", "_log_api_usage_once",
]  # fmt: skip

__getattr__ = missing_attribute("torch._C", "_nn")
