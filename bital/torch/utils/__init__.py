"""`torch.utils`: what supports a training program besides the mathematics."""

from bital.torch.utils import data as data
