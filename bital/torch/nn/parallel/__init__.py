"""`torch.nn.parallel`: a module on several GPUs; on the CPU it is called as it is."""

from bital.base.errors import missing_attribute
from bital.torch.nn.parallel.data_parallel import DataParallel
from bital.torch.nn.parallel.distributed import DistributedDataParallel
from bital.torch.nn.parallel.scatter_gather import gather, scatter

__all__ = ["DataParallel", "DistributedDataParallel", "gather", "scatter"]

__getattr__ = missing_attribute("torch.nn.parallel")
