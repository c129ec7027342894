"""torch.autograd.graph: the nodes of the backward graph and what they keep."""

from bital.autograd.api import GradientEdge, get_gradient_edge, register_multi_grad_hook
from bital.autograd.saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from bital.base.errors import missing_attribute
from bital.tensor.node import Node

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip
__getattr__ = missing_attribute("torch.autograd.graph")
