"""`torch.utils`: what supports a training program besides the mathematics."""

from bital.base.errors import missing_attribute
from bital.torch.utils import _pytree as _pytree
from bital.torch.utils import checkpoint as checkpoint
from bital.torch.utils import data as data

__getattr__ = missing_attribute(
    "torch.utils", "benchmark", "collect_env", "model_zoo", "tensorboard"
)
