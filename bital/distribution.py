"""The distribution `torch` that `importlib.metadata` finds where bital stands in for it.

Libraries ask for its version before they import torch, or whether it is installed at all. Loaded
only when somebody asks, as `importlib.metadata` itself is slow to load.
"""

from importlib.metadata import Distribution
from pathlib import Path

from bital import __version__


class TorchDistribution(Distribution):
    """PyTorch's name and version, with bital's own as the local part."""

    def read_text(self, filename: str) -> str | None:
        """One of the distribution's files, or None where it has none of that name."""
        version = f"2.13.0+bital.{__version__}"
        return {
            "METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
            "top_level.txt": "torch\n",
        }.get(filename)

    def locate_file(self, path: object) -> Path:
        """Where a file of the distribution lies."""
        return Path(__file__).parent / str(path)
