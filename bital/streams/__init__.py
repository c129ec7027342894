"""Random number streams equal to PyTorch's CPU generator.

Room: streams; imports NumPy and the standard library only.
"""

from bital.streams.stream import DEFAULT_SEED, Stream

__all__ = ["DEFAULT_SEED", "Stream"]
