"""`torch.optim`: optimizers, and the schedulers of their learning rates."""

from bital.base.errors import missing_attribute
from bital.torch.optim import lr_scheduler as lr_scheduler
from bital.torch.optim import swa_utils as swa_utils
from bital.torch.optim._adafactor import Adafactor as Adafactor
from bital.torch.optim._muon import Muon as Muon
from bital.torch.optim.adadelta import Adadelta as Adadelta
from bital.torch.optim.adagrad import Adagrad as Adagrad
from bital.torch.optim.adam import Adam as Adam
from bital.torch.optim.adamax import Adamax as Adamax
from bital.torch.optim.adamw import AdamW as AdamW
from bital.torch.optim.asgd import ASGD as ASGD
from bital.torch.optim.lbfgs import LBFGS as LBFGS
from bital.torch.optim.nadam import NAdam as NAdam
from bital.torch.optim.optimizer import Optimizer as Optimizer
from bital.torch.optim.radam import RAdam as RAdam
from bital.torch.optim.rmsprop import RMSprop as RMSprop
from bital.torch.optim.rprop import Rprop as Rprop
from bital.torch.optim.sgd import SGD as SGD
from bital.torch.optim.sparse_adam import SparseAdam as SparseAdam

__getattr__ = missing_attribute("torch.optim")
