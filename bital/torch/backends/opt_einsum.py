"""torch.backends.opt_einsum: a package that chooses the order of einsum's products; not used."""

from __future__ import annotations

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """Whether the package is used: no."""
    return False


def get_opt_einsum() -> None:
    """The package: none."""
