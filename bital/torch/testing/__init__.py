"""torch.testing: comparing what tests compute, and making what they compute with."""

from bital.base.errors import missing_attribute
from bital.torch.testing._comparison import assert_allclose as assert_allclose
from bital.torch.testing._comparison import assert_close as assert_close
from bital.torch.testing._creation import make_tensor as make_tensor

__getattr__ = missing_attribute("torch.testing")
