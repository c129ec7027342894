"""`torch.nn`: modules, parameters, initialisers and the functional forms."""

from typing import Any as _Any

from bital.base.errors import missing_attribute
from bital.torch.nn import functional as functional
from bital.torch.nn import init as init
from bital.torch.nn.parameter import Buffer as Buffer
from bital.torch.nn.parameter import Parameter as Parameter
from bital.torch.nn.parameter import UninitializedBuffer as UninitializedBuffer
from bital.torch.nn.parameter import UninitializedParameter as UninitializedParameter

from bital.torch.nn.modules import *  # noqa: F403  isort: skip
from bital.torch.nn import attention as attention
from bital.torch.nn import common_types as common_types
from bital.torch.nn import grad as grad
from bital.torch.nn import modules as modules
from bital.torch.nn import parallel as parallel
from bital.torch.nn import parameter as parameter
from bital.torch.nn import utils as utils
from bital.torch.nn.parallel import DataParallel as DataParallel


def factory_kwargs(kwargs: dict[str, _Any] | None) -> dict[str, _Any]:
    """`device`, `dtype` and `memory_format` among keyword arguments, for what makes tensors.

    They may also come in a dictionary `factory_kwargs`; TypeError for others, or for one twice.
    """
    if kwargs is None:
        return {}
    names = {"device", "dtype", "memory_format"}
    unknown = kwargs.keys() - {*names, "factory_kwargs"}
    if unknown:
        raise TypeError(f"unexpected kwargs {unknown}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in sorted(names & kwargs.keys()):
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = kwargs[name]
    return found


__getattr__ = missing_attribute("torch.nn")
