"""`torch.ao`: where PyTorch keeps quantization; bital has none of it."""

from bital.base.errors import missing_attribute

__getattr__ = missing_attribute("torch.ao", "quantization")
