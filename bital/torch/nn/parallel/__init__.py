"""`torch.nn.parallel`: a module on several GPUs; on the CPU it is called as it is."""

from bital.base.errors import missing_attribute
from bital.torch.nn.parallel.data_parallel import DataParallel

__all__ = ["DataParallel"]

__getattr__ = missing_attribute("torch.nn.parallel")
