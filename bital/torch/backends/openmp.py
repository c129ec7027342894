"""torch.backends.openmp: threads of PyTorch's own kernels, which are not there."""


def is_available() -> bool:
    """Whether it is used: no."""
    return False
