"""`torch.nn.utils`: gradients kept within bounds, parameters as vectors."""

from bital.base.errors import missing_attribute
from bital.torch.nn.utils import rnn as rnn
from bital.torch.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from bital.torch.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]

__getattr__ = missing_attribute("torch.nn.utils")
