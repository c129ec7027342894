"""torch.backends.mps: Apple's GPUs, of which there is none."""


def is_available() -> bool:
    """Whether there is one: no."""
    return False


def is_built() -> bool:
    """Whether it was built in: no."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether the system is a macOS with such a GPU: no."""
    return False
