"""torch.autograd.grad_mode: whether operations are remembered for backward."""

from bital.autograd.mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]
