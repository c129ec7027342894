"""torch.autograd: gradients, hooks, functions of one's own, and checks of gradients."""

from __future__ import annotations

from bital.autograd.anomaly import detect_anomaly, set_detect_anomaly
from bital.autograd.api import backward, grad
from bital.autograd.function import Function
from bital.autograd.mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from bital.base.errors import missing_attribute
from bital.tensor.tensor import Tensor
from bital.torch.autograd import (
    anomaly_mode,
    forward_ad,
    function,
    functional,
    grad_mode,
    graph,
    variable,
)
from bital.torch.autograd.gradcheck import gradcheck, gradgradcheck  # the function hides its module
from bital.torch.autograd.variable import Variable

__all__ = [
    "Function", "Tensor", "Variable", "anomaly_mode", "backward", "detect_anomaly", "enable_grad",
    "forward_ad", "function", "functional", "grad", "grad_mode", "gradcheck", "gradgradcheck",
    "graph", "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled", "variable",
]  # fmt: skip
__getattr__ = missing_attribute("torch.autograd", "profiler", "profiler_util")
