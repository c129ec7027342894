"""`torch._dynamo.eval_frame`: where the class of compiled modules lies in PyTorch."""

from bital.torch.nn.modules.module import Module


class OptimizedModule(Module):
    """What `torch.compile` makes of a module in PyTorch; none is ever made here."""
