"""torch.backends.cpu: what the processor can do."""


def get_cpu_capability() -> str:
    """Which instructions PyTorch's kernels would use: bital leaves that to NumPy."""
    return "DEFAULT"
