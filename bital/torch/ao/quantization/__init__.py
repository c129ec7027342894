"""`torch.ao.quantization`: the same as `torch.quantization`."""

from bital.base.errors import missing_attribute
from bital.torch.quantization import (
    convert,
    fuse_modules,
    get_default_qat_qconfig,
    get_default_qconfig,
    prepare,
    prepare_qat,
    quantize,
    quantize_dynamic,
    quantize_qat,
)

__all__ = [
    "convert", "fuse_modules", "get_default_qat_qconfig", "get_default_qconfig", "prepare",
    "prepare_qat", "quantize", "quantize_dynamic", "quantize_qat",
]  # fmt: skip
__getattr__ = missing_attribute("torch.ao.quantization")
