"""`torch.optim`: optimizers, and the schedulers of their learning rates."""

from bital.base.errors import missing_attribute
from bital.torch.optim import lr_scheduler as lr_scheduler
from bital.torch.optim.adam import Adam as Adam
from bital.torch.optim.adamw import AdamW as AdamW
from bital.torch.optim.optimizer import Optimizer as Optimizer
from bital.torch.optim.sgd import SGD as SGD

__getattr__ = missing_attribute("torch.optim")
