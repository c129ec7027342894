"""torch.backends: flags that programs set in passing; none changes what bital does."""

from bital.base.errors import missing_attribute
from bital.torch.backends import cpu as cpu
from bital.torch.backends import cuda as cuda
from bital.torch.backends import cudnn as cudnn
from bital.torch.backends import mha as mha
from bital.torch.backends import mkl as mkl
from bital.torch.backends import mkldnn as mkldnn
from bital.torch.backends import mps as mps
from bital.torch.backends import nnpack as nnpack
from bital.torch.backends import openmp as openmp
from bital.torch.backends import opt_einsum as opt_einsum
from bital.torch.backends import quantized as quantized
from bital.torch.backends import xnnpack as xnnpack

__getattr__ = missing_attribute("torch.backends")
