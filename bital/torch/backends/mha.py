"""torch.backends.mha: a faster way of attention in PyTorch, which is not there."""

_enabled = [True]


def get_fastpath_enabled() -> bool:
    """What `set_fastpath_enabled` was given."""
    return _enabled[0]


def set_fastpath_enabled(value: bool) -> None:
    """Keep whether the faster way may be taken."""
    _enabled[0] = bool(value)
