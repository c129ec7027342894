"""Parts of the loader that are not named in `torch.utils.data`: collating, fetching, workers."""

from bital.base.errors import missing_attribute
from bital.torch.utils.data._utils import collate as collate
from bital.torch.utils.data._utils import fetch as fetch
from bital.torch.utils.data._utils import worker as worker

__getattr__ = missing_attribute("torch.utils.data._utils", "prefetch")
