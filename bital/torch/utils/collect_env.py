"""`torch.utils.collect_env`: what to say about an installation in a report of a mistake."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

import bital.torch as torch

#: packages whose versions matter
_PACKAGES = ("bital", "numpy", "scipy", "ml_dtypes", "onnx", "onnxruntime", "safetensors")


def get_env_info() -> dict[str, str]:
    """The versions of bital, Python, the system and the packages that bital uses."""
    info = {
        "PyTorch version": torch.__version__,
        "Is debug build": "False",
        "CUDA used to build PyTorch": "None",
        "OS": platform.platform(),
        "Python version": sys.version.replace("\n", " "),
        "Is CUDA available": str(torch.cuda.is_available()),
        "CPU": platform.processor() or platform.machine(),
    }
    for name in _PACKAGES:
        try:
            info[f"[pip3] {name}"] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return info


def get_pretty_env_info() -> str:
    """The same as lines of text."""
    return "\n".join(f"{name}: {value}" for name, value in get_env_info().items())


def main() -> None:
    """Print it: `bital run -m torch.utils.collect_env`."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
