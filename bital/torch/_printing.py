"""How tensors print: `torch.set_printoptions`, `repr(tensor)`."""

from bital.tensor.format import get_printoptions, set_printoptions

__all__ = ["get_printoptions", "set_printoptions"]
