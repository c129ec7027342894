"""`torch.utils.data`: datasets, samplers, and the loader that makes batches of them."""

from bital.base.errors import missing_attribute
from bital.torch.utils.data._utils.collate import default_collate, default_convert
from bital.torch.utils.data._utils.worker import get_worker_info
from bital.torch.utils.data.dataloader import DataLoader, _DatasetKind
from bital.torch.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from bital.torch.utils.data.distributed import DistributedSampler
from bital.torch.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "_DatasetKind",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

__getattr__ = missing_attribute("torch.utils.data")
