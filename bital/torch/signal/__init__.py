"""torch.signal: window functions."""

from bital.torch.signal import windows

__all__ = ["windows"]
