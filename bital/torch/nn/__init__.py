"""`torch.nn`: modules, parameters, initialisers and the functional forms."""

from bital.base.errors import missing_attribute
from bital.torch.nn import functional as functional
from bital.torch.nn import init as init
from bital.torch.nn.parameter import Buffer as Buffer
from bital.torch.nn.parameter import Parameter as Parameter

from bital.torch.nn.modules import *  # noqa: F403  isort: skip
from bital.torch.nn import attention as attention
from bital.torch.nn import modules as modules
from bital.torch.nn import parallel as parallel
from bital.torch.nn import parameter as parameter
from bital.torch.nn import utils as utils
from bital.torch.nn.parallel import DataParallel as DataParallel

__getattr__ = missing_attribute("torch.nn")
