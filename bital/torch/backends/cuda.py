"""torch.backends.cuda: flags of CUDA's libraries, which are not there; kept and given back."""

from __future__ import annotations

import types
from typing import Any

from bital.base.errors import missing_attribute

#: precision of matrix products on a GPU
matmul = types.SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
_ways = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """Whether CUDA was built in: no."""
    return False


def _asks(way: str) -> Any:
    def enabled() -> bool:
        """Whether this way of attention was allowed."""
        return _ways[way]

    return enabled


def _sets(way: str) -> Any:
    def enable(enabled: bool) -> None:
        """Allow this way of attention: bital has one of its own."""
        _ways[way] = bool(enabled)

    return enable


flash_sdp_enabled, enable_flash_sdp = _asks("flash"), _sets("flash")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _asks("mem_efficient"), _sets("mem_efficient")
math_sdp_enabled, enable_math_sdp = _asks("math"), _sets("math")
cudnn_sdp_enabled, enable_cudnn_sdp = _asks("cudnn"), _sets("cudnn")


class sdp_kernel:
    """Ways of attention for the length of a block: bital has one of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.given = args, kwargs

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


def preferred_linalg_library(backend: Any = None) -> str:
    """Which of CUDA's libraries to prefer: it makes no difference."""
    return "default"


preferred_blas_library = preferred_linalg_library
__getattr__ = missing_attribute("torch.backends.cuda")
