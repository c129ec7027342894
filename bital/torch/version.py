"""torch.version: which PyTorch's behaviour is followed."""

__version__ = "2.13.0"
debug = False
cuda = None
hip = None
git_version = "bital"
