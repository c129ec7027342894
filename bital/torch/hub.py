"""`torch.hub`: models from the network, whose code would be run; bital does neither."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute

_folder: list[str] = []


def get_dir() -> str:
    """Where PyTorch keeps what it downloads."""
    if _folder:
        return _folder[0]
    home = os.environ.get("TORCH_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch"
    )
    return os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str | os.PathLike) -> None:
    """Say where `get_dir` is."""
    _folder[:] = [os.path.expanduser(d)]


def _refuse(what: str, instead: str) -> NoReturn:
    raise Unsupported(f"torch.hub.{what}: bital downloads nothing. {instead}")


def load(repo_or_dir: Any, model: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: the code of a model would have to be downloaded and run."""
    _refuse("load", "Get the model's source, and its weights for torch.load, yourself")


def list(github: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: nothing is downloaded."""
    _refuse("list", "See the repository's hubconf.py")


def help(github: Any, model: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: nothing is downloaded."""
    _refuse("help", "See the repository's hubconf.py")


def load_state_dict_from_url(url: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: nothing is downloaded."""
    _refuse("load_state_dict_from_url", f"Download {url} yourself and torch.load it")


def download_url_to_file(url: str, dst: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises: nothing is downloaded."""
    _refuse("download_url_to_file", f"Download {url} yourself")


__all__ = [
    "download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url",
    "set_dir",
]  # fmt: skip
__getattr__ = missing_attribute("torch.hub")
