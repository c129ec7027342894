"""`torch.quantization`: computing with integers in place of floats; bital has none of it."""

from __future__ import annotations

from typing import Any, NoReturn

from bital.base.errors import Unsupported, missing_attribute


def quantize_dynamic(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises: bital has no quantized tensors."""
    raise Unsupported("torch.quantization: bital has no quantized tensors. Export to ONNX, and "
                      "quantize with onnxruntime")  # fmt: skip


quantize = prepare = prepare_qat = convert = quantize_qat = fuse_modules = quantize_dynamic
get_default_qconfig = get_default_qat_qconfig = quantize_dynamic
__getattr__ = missing_attribute("torch.quantization")
