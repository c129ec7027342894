"""torch.autograd.graph: the nodes of the backward graph and what they keep."""

from bital.autograd.saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from bital.tensor.node import Node

__all__ = ["Node", "disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks"]
